//! Checks single pixels of piano rolls.

use super::*;

fn note(pitch: u8, velocity: u8, start_beats: f64, length_beats: f64) -> Note {
    Note { pitch, velocity, channel: 0, start_beats, length_beats }
}

fn phrase(tracks: &[(&str, &[Note])]) -> Phrase {
    Phrase {
        tempo_bpm: 92.0,
        time_signature: (4, 4),
        tracks: tracks.iter().map(|(name, notes)| Track { name: name.to_string(), notes: notes.to_vec() }).collect(),
    }
}

/// The colour at a time in the middle of a row.
fn pixel(phrase: &Phrase, num_bars: u32, beats: f64, pitch: u8) -> [u8; 3] {
    let layout = Layout::new(phrase, num_bars);
    let pixmap = draw(phrase, num_bars).unwrap();
    let (x, y) = (layout.x(beats), layout.y(pitch) + layout.row_height / 2.0);
    let pixel = pixmap.pixel(x as u32, y as u32).expect("inside the picture");
    [pixel.red(), pixel.green(), pixel.blue()]
}

#[test]
fn each_voice_has_its_colour_in_its_place() {
    for (name, rgb) in VOICE_COLOURS {
        let phrase = phrase(&[(name, &[note(60, 127, 4.0, 2.0)])]);
        assert_eq!(pixel(&phrase, 4, 5.1, 60), rgb, "{name}");
        assert_eq!(pixel(&phrase, 4, 3.3, 60), PAPER, "before the note of {name}");
        assert_eq!(pixel(&phrase, 4, 6.6, 60), PAPER, "after the note of {name}");
        assert_eq!(pixel(&phrase, 4, 5.1, 61), BLACK_KEY_ROW, "above the note of {name}");
    }
    let phrase = phrase(&[("Descant", &[note(60, 127, 4.0, 2.0)])]);
    assert_eq!(pixel(&phrase, 4, 5.1, 60), OTHER_COLOUR);
}

#[test]
fn a_soft_note_is_paler() {
    let phrase = phrase(&[("Bass", &[note(60, 127, 0.0, 1.0), note(60, 20, 1.0, 1.0)])]);
    let (loud, soft) = (pixel(&phrase, 1, 0.4, 60), pixel(&phrase, 1, 1.4, 60));
    assert_eq!(soft, note_colour("Bass", 20));
    assert!(loud.iter().zip(soft).all(|(loud, soft)| *loud < soft), "{loud:?} {soft:?}");
}

#[test]
fn the_players_notes_are_outlines() {
    let notes = [note(60, 127, 1.0, 2.0)];
    let alone = phrase(&[("Played", &notes)]);
    assert_eq!(pixel(&alone, 1, 2.4, 60), PAPER);
    let with_voice = phrase(&[("Soprano", &notes), ("Played", &notes)]);
    assert_eq!(pixel(&with_voice, 1, 2.4, 60), VOICE_COLOURS[0].1);
    let layout = Layout::new(&with_voice, 1);
    let edge = draw(&with_voice, 1).unwrap();
    let pixel = edge.pixel(layout.x(2.4) as u32, layout.y(60) as u32 + 1).unwrap();
    assert_eq!([pixel.red(), pixel.green(), pixel.blue()], INK);
}

#[test]
fn the_picture_fits_the_music() {
    let low_and_high = phrase(&[("Bass", &[note(0, 90, 0.0, 1.0), note(127, 90, 1.0, 1.0)])]);
    let nothing = phrase(&[]);
    for (phrase, num_bars) in [(&low_and_high, 1), (&low_and_high, 16), (&nothing, 16), (&nothing, 100_000)] {
        let pixmap = draw(phrase, num_bars).unwrap();
        assert!(pixmap.width() as f32 <= MAX_WIDTH + 1.0, "{num_bars} bars: {}", pixmap.width());
        assert!((300..1300).contains(&pixmap.height()), "{}", pixmap.height());
    }
    assert_eq!(draw(&nothing, 16).unwrap().width(), 1600);
}

#[test]
fn notes_past_the_end_are_cut_or_left_out() {
    let phrase = phrase(&[("Alto", &[note(60, 127, 3.0, 9.0), note(62, 127, 8.0, 1.0)])]);
    assert_eq!(pixel(&phrase, 1, 3.5, 60), VOICE_COLOURS[1].1);
    let layout = Layout::new(&phrase, 1);
    assert!(layout.note(&phrase.tracks[0].notes[1]).is_none());
    assert!(layout.note(&phrase.tracks[0].notes[0]).unwrap().right() <= layout.x(4.0));
}

#[test]
fn the_same_music_gives_the_same_file() {
    let phrase = phrase(&[("Tenor", &[note(60, 100, 0.0, 1.0)])]);
    let bytes = png(&phrase, 2).unwrap();
    assert!(bytes.starts_with(b"\x89PNG") && bytes == png(&phrase, 2).unwrap());
}
