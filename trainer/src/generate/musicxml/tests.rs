//! Reads written scores back with the corpus reader.

use continuo_model::phrase::Note;
use continuo_model::random::SplitMix64;

use super::*;
use crate::corpus::piece::{Piece, TICKS_PER_BEAT};
use crate::corpus::read_musicxml;

fn note(pitch: u8, start_beats: f64, length_beats: f64) -> Note {
    Note { pitch, velocity: 80, channel: 0, start_beats, length_beats }
}

fn phrase(time_signature: (u8, u8), tracks: &[(&str, &[Note])]) -> Phrase {
    let track = |&(name, notes): &(&str, &[Note])| Track { name: name.into(), notes: notes.to_vec() };
    Phrase { tempo_bpm: 92.5, time_signature, tracks: tracks.iter().map(track).collect() }
}

/// `onset+duration:pitch` in 16ths, track by track.
fn words_of_phrase(phrase: &Phrase) -> Vec<String> {
    let word = |n: &Note| format!("{}+{}:{}", n.start_beats * 4.0, n.length_beats * 4.0, n.pitch);
    let words = |track: &Track| track.notes.iter().map(word).collect::<Vec<_>>().join(" ");
    phrase.tracks.iter().map(words).collect()
}

fn words_of_piece(piece: &Piece) -> Vec<String> {
    let sixteenths = |ticks: u64| ticks as f64 * 4.0 / TICKS_PER_BEAT as f64;
    piece
        .parts
        .iter()
        .map(|part| {
            let word = |n: &crate::corpus::piece::Note| {
                format!("{}+{}:{}", sixteenths(n.onset), sixteenths(n.duration), n.pitch)
            };
            part.notes.iter().map(word).collect::<Vec<_>>().join(" ")
        })
        .collect()
}

fn check(phrase: &Phrase) -> Piece {
    let text = text(phrase, "a").unwrap();
    let piece = read_musicxml("a.musicxml", &text, true).unwrap_or_else(|error| panic!("{error:#}\n{text}"));
    assert_eq!(words_of_piece(&piece), words_of_phrase(phrase), "{text}");
    assert!(piece.remarks.is_empty(), "{:?}", piece.remarks);
    piece
}

#[test]
fn the_same_notes_come_back() {
    let upper = [note(67, 0.0, 1.5), note(69, 1.5, 3.75), note(71, 6.0, 0.25), note(72, 8.0, 4.0)];
    let lower = [note(55, 1.0, 0.5), note(52, 1.0, 0.5), note(48, 1.0, 0.5), note(43, 11.0, 1.0)];
    let piece = check(&phrase((3, 4), &[("Soprano", &upper), ("Bass & <co>", &lower)]));
    assert_eq!(piece.parts.iter().map(|part| part.name.as_str()).collect::<Vec<_>>(), ["Soprano", "Bass & <co>"]);
    assert_eq!((piece.title.as_str(), piece.tempo_bpm), ("a", Some(92.5)));
    assert_eq!(piece.bars, [0, 3, 6, 9].map(|beat| beat * TICKS_PER_BEAT));
    assert_eq!(piece.key().unwrap().to_string(), "C major");
}

#[test]
fn notes_that_overlap_are_in_several_voices() {
    let notes = [note(72, 0.0, 4.0), note(60, 0.0, 1.0), note(64, 0.5, 2.0), note(67, 1.0, 5.0)];
    let text = text(&phrase((4, 4), &[("", &notes)]), "a").unwrap();
    assert!(text.contains("<voice>3</voice>") && text.contains("<part-name>Music</part-name>"), "{text}");
    check(&phrase((4, 4), &[("", &notes)]));
}

#[test]
fn ties_rests_and_signs_are_written() {
    let notes = [note(66, 3.0, 2.0), note(62, 6.0, 1.0), note(69, 7.0, 5.0), note(62, 12.0, 4.0)];
    let text = text(&phrase((4, 4), &[("Alto", &notes)]), "a").unwrap();
    for line in [
        "<key><fifths>2</fifths><mode>major</mode></key>",
        "<note><rest/><duration>48</duration><voice>1</voice><type>half</type><dot/></note>",
        "<note><pitch><step>F</step><alter>1</alter><octave>4</octave></pitch><duration>16</duration>\
         <tie type=\"start\"/><voice>1</voice><type>quarter</type><notations><tied type=\"start\"/></notations></note>",
        "<tie type=\"stop\"/><voice>1</voice><type>quarter</type><notations><tied type=\"stop\"/></notations></note>",
        "<bar-style>light-heavy</bar-style>",
    ] {
        assert!(text.contains(line), "no {line} in {text}");
    }
    let low = super::text(&phrase((4, 4), &[("", &[note(40, 0.0, 1.0)])]), "a").unwrap();
    assert!(low.contains("<sign>F</sign><line>4</line>") && text.contains("<sign>G</sign><line>2</line>"));
}

#[test]
fn only_tracks_with_notes_have_a_staff() {
    let parts = |tracks: &[(&str, &[Note])]| {
        let text = text(&phrase((4, 4), tracks), "a").unwrap();
        (text.matches("<part id=").count(), text.matches("<rest measure=").count())
    };
    assert_eq!(parts(&[("Soprano", &[note(66, 5.0, 1.0)]), ("Alto", &[])]), (1, 1));
    assert_eq!(parts(&[]), (1, 1));
    assert!(text(&phrase((4, 128), &[]), "a").unwrap_err().to_string().contains("got 4/128"));
}

#[test]
fn any_music_on_the_grid_comes_back() {
    let mut random = SplitMix64::new(8);
    for metre in [(4, 4), (3, 4), (2, 2), (6, 8), (12, 8), (5, 8), (7, 16), (1, 4), (3, 32)] {
        for _ in 0..40 {
            let tracks: Vec<Vec<Note>> = (0..1 + random.next_below(3))
                .map(|_| {
                    let mut notes: Vec<Note> = (0..1 + random.next_below(24))
                        .map(|_| {
                            let (start, length) = (random.next_below(64), 1 + random.next_below(20));
                            note(30 + random.next_below(60) as u8, start as f64 / 4.0, length as f64 / 4.0)
                        })
                        .collect();
                    notes.sort_by(|a, b| a.start_beats.total_cmp(&b.start_beats).then(b.pitch.cmp(&a.pitch)));
                    // A key is struck again only after it is released.
                    let mut free = [0.0; 128];
                    notes.retain(|note| {
                        let end = &mut free[usize::from(note.pitch)];
                        let is_free = note.start_beats > *end;
                        *end = if is_free { note.end_beats() } else { *end };
                        is_free
                    });
                    notes
                })
                .filter(|notes| !notes.is_empty())
                .collect();
            if !tracks.is_empty() {
                let named: Vec<_> = tracks.iter().map(|notes| ("a", notes.as_slice())).collect();
                check(&phrase(metre, &named));
            }
        }
    }
}
