//! Tests of the kern reader on files of a few lines.

use super::*;
use crate::corpus::piece::TICKS_PER_BEAT;
use crate::corpus::written::notes_in_words;

/// Two spines with splits, joins, ties, trills and repeats, also used by the fuzz tests.
pub const KERN: &str = "!!!OTL: A study\n**kern\t**kern\t**dynam\n*I\"Left\t*I\"Right\t*\n*k[b-]\t*k[b-]\t*\n\
    *d:\t*d:\t*\n*M3/4\t*M3/4\t*\n*MM96\t*MM96\t*\n*>[A,A,B]\t*>[A,A,B]\t*>[A,A,B]\n*>A\t*>A\t*>A\n=1\t=1\t=1\n\
    4D 4F\t(12aL\tp\n.\t12b-\t.\n.\t12aJ)\t.\n*\t*^\t*\n[2A\t4dd\t2f\t.\n.\tqee\t.\t.\n.\t[4dd\t.\t.\n\
    =2\t=2\t=2\t=2\n*\t*v\t*v\t*\n2.A]\t2.dd]\t.\n*>B\t*>B\t*>B\n=3\t=3\t=3\n!\t! a remark\t!\n\
    2.D\t20dd\t.\n.\t20ee\t.\n.\t20ff\t.\n.\t20ee\t.\n.\t20dd\t.\n.\t2r\t.\n==\t==\t==\n*-\t*-\t*-\n";

fn piece(text: &str, played: bool) -> Piece {
    read("a.krn", text, played).unwrap()
}

fn error(text: &str) -> String {
    format!("{:#}", read("a.krn", text, true).expect_err("an error"))
}

#[test]
fn spines_split_and_join_and_ties_make_one_note() {
    let piece = piece(KERN, false);
    assert_eq!(
        notes_in_words(&piece),
        [
            "0+1/3:69 1/3+1/3:70 2/3+1/3:69 1+1:74 1+2:65 2+4:74 6+1/5:74 31/5+1/5:76 32/5+1/5:77 33/5+1/5:76 \
             34/5+1/5:74",
            "0+1:53 0+1:50 1+5:57 6+3:50",
        ]
    );
    assert_eq!(piece.title, "A study");
    assert_eq!(piece.parts.iter().map(|part| part.name.as_str()).collect::<Vec<_>>(), ["Right", "Left"]);
    assert_eq!(piece.key().unwrap().to_string(), "D minor");
    assert_eq!(piece.tempo_bpm, Some(96.0));
    assert_eq!(piece.bars, [0, 3, 6].map(|beats| beats * TICKS_PER_BEAT));
    assert!(piece.remarks.is_empty(), "{:?}", piece.remarks);
}

#[test]
fn the_default_expansion_is_played() {
    let piece = piece(KERN, true);
    assert_eq!(piece.length, 15 * TICKS_PER_BEAT);
    assert_eq!(notes_in_words(&piece)[1], "0+1:53 0+1:50 1+5:57 6+1:53 6+1:50 7+5:57 12+3:50");
    let missing = KERN.replace("[A,A,B]", "[A,C]");
    let piece = read("a.krn", &missing, true).unwrap();
    assert_eq!(piece.remarks, ["the order of sections is ignored: there is no label `*>C`"]);
    assert_eq!(piece.length, 9 * TICKS_PER_BEAT);
}

#[test]
fn spines_are_exchanged_added_and_ended() {
    let text = "**kern\t**text\n4c\tla\n*x\t*x\n.\t4d\n*\t*+\n*\t*\t**kern\n.\t4e\t4g\n*-\t*\t*\n4f\t4a\n*-\t*-\n";
    assert_eq!(notes_in_words(&piece(text, true)), ["2+1:67 3+1:69", "0+1:60 1+1:62 2+1:64 3+1:65"]);
}

#[test]
fn inconsistent_rhythms_are_aligned_with_a_remark() {
    let text = "**kern\t**kern\n4c\t4e\n4d\t8f\n=2\t=2\n4c\t4e\n*-\t*-\n";
    let piece = piece(text, true);
    assert_eq!(notes_in_words(&piece), ["0+1:64 1+1/2:65 2+1:64", "0+1:60 1+1:62 2+1:60"]);
    assert_eq!(piece.remarks, ["spines do not end together before line 4"]);
}

#[test]
fn ties_lead_through_several_notes_and_spines() {
    let text = "**kern\n*^\n[4c\t4r\n4r\t4c_\n*v\t*v\n8cL_\n8dJ\n4c]\n4[c 4e]\n*-\n";
    assert_eq!(notes_in_words(&piece(text, true)), ["0+5/2:60 5/2+1/2:62 3+1:60 4+1:64 4+1:60"]);
}

#[test]
fn voices_of_two_parts_may_join() {
    let text = "**kern\t**kern\n*^\t*^\n4c\t4d\t4e\t4f\n*v\t*v\t*v\t*v\n4c\t4g\n*v\t*v\n4d\n*-\n";
    assert_eq!(notes_in_words(&piece(text, true)), ["0+1:65 0+1:64 1+1:67", "0+1:62 0+1:60 1+1:60 2+1:62"]);
}

#[test]
fn errors_name_the_line() {
    assert_eq!(error(""), "expected a spine `**kern`, got none");
    assert_eq!(error("hello\n"), "line 1: expected spines to begin with `**`, got `hello`");
    assert_eq!(
        error("**kern\n4c\n"),
        "line 2: expected the spines to end with `*-`; the file is cut short, copy it again"
    );
    assert_eq!(error("**kern\n4c\t4d\n*-\n"), "line 2: expected 1 spines, got 2 tokens");
    assert_eq!(
        error("**kern\n4cccccccccc\n*-\n"),
        "line 2: spine 1, `4cccccccccc`: expected a pitch that MIDI has, got `4cccccccccc`"
    );
    assert_eq!(error("**kern\n*x\n*-\n"), "line 2: expected two spines to exchange (`*x`), got one");
    assert_eq!(error("**kern\n4r\n*-\n"), "expected notes, got none");
}
