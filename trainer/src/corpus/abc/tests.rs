//! Tests of the ABC reader on tunes of a few bars.

use super::*;
use crate::corpus::piece::TICKS_PER_BEAT;
use crate::corpus::written::notes_in_words;

/// Two tunes with most features of ABC, also used by the fuzz tests.
pub const ABC: &str = "% a file\nM:3/4\n\nX:1\nT:First\nL:1/8\nQ:1/4=90\nK:Gmix\n\
    |:G>A {c}B2 \"Am\"!trill!c2-|[1c(3def [ce]2 z2:|\
    \\\n[2^f/=f//f// F2 c3 ||\nw: la la\n\nfree text | here\n\nX:2\nT:Second\nM:6/8\nV:1 name=\"High\"\n\
    V:2 clef=bass-8\nK:D\n\
    [V:1] d3 f3 | [K:A] g6 |]\n[V:2] D6- | D3 z3 |]\n";

fn notes(music: &str) -> String {
    let text = format!("X:1\nM:4/4\nL:1/4\nK:C\n{music}\n");
    notes_in_words(&piece(&text)).join(" / ")
}

fn piece(text: &str) -> Piece {
    read("a.abc", text, true).unwrap().remove(0).unwrap()
}

fn error(text: &str) -> String {
    match read("a.abc", text, true) {
        Err(error) => format!("{error:#}"),
        Ok(mut pieces) => format!("{:#}", pieces.remove(0).expect_err("an error")),
    }
}

#[test]
fn two_tunes_are_read() {
    let pieces: Vec<_> = read("a.abc", ABC, true).unwrap().into_iter().map(Result::unwrap).collect();
    let first = &pieces[0];
    assert_eq!((first.source.as_str(), first.title.as_str()), ("a.abc:4", "First"));
    assert_eq!(first.key().unwrap().to_string(), "G mixolydian");
    assert_eq!(first.tempo_bpm, Some(90.0));
    assert_eq!(
        notes_in_words(first)[0],
        "0+3/4:67 3/4+1/4:69 1+1:71 2+3/2:72 7/2+1/3:74 23/6+1/3:76 25/6+1/3:77 9/2+1:76 9/2+1:72 \
         13/2+3/4:67 29/4+1/4:69 15/2+1:71 17/2+1:72 19/2+1/4:78 39/4+1/8:77 79/8+1/8:77 10+1:65 11+3/2:72"
    );
    assert_eq!(first.bars.iter().map(|bar| bar * 2 / TICKS_PER_BEAT).collect::<Vec<_>>(), [0, 6, 13, 19]);
    let second = &pieces[1];
    assert_eq!(notes_in_words(second), ["0+3/2:74 3/2+3/2:78 3+3:80", "0+9/2:50"]);
    assert_eq!(second.parts.iter().map(|part| part.name.as_str()).collect::<Vec<_>>(), ["High", "2"]);
    let written = read("a.abc", ABC, false).unwrap().remove(0).unwrap();
    assert_eq!(written.parts[0].notes.iter().filter(|note| note.pitch == 67).count(), 1);
}

#[test]
fn accidentals_last_for_the_bar() {
    assert_eq!(notes("^FfF|F"), "0+1:66 1+1:78 2+1:66 3+1:65");
    assert_eq!(notes("^F=FF_B__B^^B"), "0+1:66 1+1:65 2+1:65 3+1:70 4+1:69 5+1:73");
    // A tie carries an accidental over the barline, but only for its own note.
    assert_eq!(notes("^F-|FF"), "0+2:66 2+1:65");
    assert_eq!(notes("^F2-|G F"), "0+2:66 2+1:67 3+1:65");
    let octave = "X:1\n%%propagate-accidentals octave\nL:1/4\nK:C\n^Ff|\n";
    assert_eq!(notes_in_words(&piece(octave))[0], "0+1:66 1+1:77");
    let not = "X:1\n%%propagate-accidentals not\nL:1/4\nK:C\n^FF|\n";
    assert_eq!(notes_in_words(&piece(not))[0], "0+1:66 1+1:65");
}

#[test]
fn lengths_broken_rhythm_and_tuplets_are_read() {
    assert_eq!(notes("A3/2B/ c/4d3/4 e//"), "0+3/2:69 3/2+1/2:71 2+1/4:72 9/4+3/4:74 3+1/4:76");
    assert_eq!(
        notes("A>B A<B A>>B [AC]<<z"),
        "0+3/2:69 3/2+1/2:71 2+1/2:69 5/2+3/2:71 4+7/4:69 23/4+1/4:71 6+1/4:69 6+1/4:60"
    );
    assert_eq!(
        notes("(3A>BA (2AB (3:2:2A2B (3A2B c"),
        "0+1:69 1+1/3:71 4/3+2/3:69 2+3/2:69 7/2+3/2:71 5+4/3:69 19/3+2/3:71 7+4/3:69 25/3+2/3:71 9+2/3:72"
    );
    assert_eq!(notes("(5ABABA (9ABABABABA").split(' ').next_back(), Some("34/9+2/9:69"));
    assert_eq!(notes("A, A,,b' [C2E]2G z2 x Z A"), "0+1:57 1+1:45 2+1:95 3+2:64 3+4:60 7+1:67 15+1:69");
    assert_eq!(notes("AB & c2 | d"), "0+2:72 0+1:69 1+1:71 2+1:74");
}

#[test]
fn repeats_endings_and_parts_are_played() {
    assert_eq!(notes("A|:B:|c"), "0+1:69 1+1:71 2+1:71 3+1:72");
    assert_eq!(notes("A::B|1c:|2d||e"), "0+1:69 1+1:69 2+1:71 3+1:72 4+1:71 5+1:74 6+1:76");
    assert_eq!(notes("A|[1-2B:|[3c|]"), "0+1:69 1+1:71 2+1:69 3+1:71 4+1:69 5+1:72");
    let parts = "X:1\nP:ABA\nL:1/4\nK:C\nP:A\nC:|\nP:B\nD||\n";
    assert_eq!(notes_in_words(&piece(parts))[0], "0+1:60 1+1:60 2+1:62 3+1:60 4+1:60");
    let missing = piece("X:1\nP:AC\nL:1/4\nK:C\nP:A\nC:|\n");
    assert_eq!(missing.remarks, ["the order of parts is ignored: P:AC: there is no part C"]);
}

#[test]
fn signs_of_the_page_are_passed_over() {
    assert_eq!(notes("!f!A(.B)~c \"^x\"{gf}Td`e\\"), "0+1:69 1+1:71 2+1:72 3+1:74 4+1:76");
    assert_eq!(notes("A ! B!\nd:| % done |"), "0+1:69 1+1:71 2+1:74 3+1:69 4+1:71 5+1:74");
    assert_eq!(
        notes("[I:x]A[L:1/8]B[M:2/4](5c+f+dcdc"),
        "0+1:69 1+1/2:71 3/2+1/5:72 17/10+1/5:74 19/10+1/5:72 21/10+1/5:74 23/10+1/5:72"
    );
}

#[test]
fn slips_of_the_pen_are_mended() {
    assert_eq!(notes("A|\n:B|c:d"), "0+1:69 1+1:71 2+1:72 3+1:71 4+1:72 5+1:74");
    assert_eq!(notes("[Az]B=\n=20"), "0+1:69 1+1:71");
    let piece = piece("X:1\n3/8=120\nN::a\nL:1/4\nK:C\nA=20\n\nnot | this\n");
    assert_eq!(
        piece.remarks,
        [
            "line 2 of the header is not a field and is ignored",
            "line 6 ends in `=20` or `=` from an e-mail encoding, which is ignored",
            "line 8 comes after the empty line that ends the tune"
        ]
    );
}

#[test]
fn errors_name_the_line() {
    assert_eq!(error("hello"), "expected a tune that begins with `X:`, got none");
    assert_eq!(error("X:1\nT:x\n"), "a.abc:1: expected a key (`K:`) at the end of the header, got none");
    assert_eq!(error("X:1\nK:C\n"), "a.abc:1: expected notes, got none");
    assert_eq!(
        error("X:1\nK:Q\n"),
        "a.abc:1: line 2: expected a key such as G or Bdor, got `Q`: expected a mode, clef or accidentals, got `Q`"
    );
    assert_eq!(error("\nX:1\nK:C\nAB#\n"), "a.abc:2: line 4: column 3: expected a note, a rest or a barline, got `#`");
    assert_eq!(
        error("X:1\nK:C\nA{B\n"),
        "a.abc:1: line 3: column 2: expected grace notes to end with `}`, got the end of the line"
    );
    assert_eq!(
        error("X:1\nK:C\n>A\n"),
        "a.abc:1: line 3: column 1: expected a note before the broken rhythm, got none"
    );
    assert_eq!(error("X:1\nK:C\nA0\n"), "a.abc:1: line 3: column 1: expected a length above 0, got 0");
    assert_eq!(error("X:1\nK:C\n[AB\n"), "a.abc:1: line 3: column 1: expected notes and `]`, got no chord");
    assert_eq!(error("X:1\nK:C\nA''''''\n"), "a.abc:1: line 3: column 1: expected a pitch that MIDI has, got 141");
    assert!(error("X:1\nABC\n").contains("expected a key (`K:`) at the end of the header"));
}
