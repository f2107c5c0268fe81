//! What a network sees of the music.

use super::*;

/// The first slot of the pattern.
const PATTERN: usize = HEAD_SLOTS - 9 * PERIODS;

fn note(tick: i64, lane: u8, key: u8, duration: Option<i64>) -> NoteEvent {
    NoteEvent { tick, lane, key, duration, velocity: Some(80) }
}

fn feed(reader: &mut NoteReader, note: NoteEvent) {
    reader.feed(note, note.duration.map(|ticks| note.tick + ticks));
}

fn trunk(reader: &NoteReader) -> Vec<u32> {
    let mut out = [0; TRUNK_SLOTS];
    reader.trunk_indices(&mut out);
    out.to_vec()
}

fn head(reader: &NoteReader, attribute: Attribute, draft: &Draft) -> Vec<u32> {
    let mut out = [0; HEAD_SLOTS];
    reader.head_indices(attribute, draft, &mut out);
    out.to_vec()
}

#[test]
fn a_transposed_passage_looks_alike_to_the_head() {
    let seen = |up: u8| {
        let mut reader = NoteReader::default();
        reader.begin_at(0);
        for (n, key) in (0..).zip([48, 60, 64, 67]) {
            feed(&mut reader, note(n * 12, u8::from(n > 0), key + up, Some(60)));
        }
        let mut draft = Draft::default();
        [(Attribute::Advance, 0), (Attribute::Tick, 12), (Attribute::Lane, 1)]
            .iter()
            .for_each(|(attribute, token)| draft.set(*attribute, *token));
        let mut rows = head(&reader, Attribute::Key, &draft);
        rows[9] = 0; // the reference itself
        [PATTERN + 4, PATTERN + 13].iter().for_each(|pattern| rows[*pattern] = 0); // the pattern's keys themselves
        (rows, trunk(&reader))
    };
    let ((head, trunk), (head_up, trunk_up)) = (seen(0), seen(5));
    assert_eq!(head, head_up);
    assert_ne!(trunk, trunk_up);
}

#[test]
fn what_sounds_is_seen_until_it_ends() {
    let sounding = |reader: &NoteReader| trunk(reader)[11..].iter().filter(|row| **row != NO_INDEX).count();
    let mut reader = NoteReader::default();
    feed(&mut reader, note(0, 0, 60, None));
    feed(&mut reader, note(10, 0, 64, Some(20)));
    feed(&mut reader, note(20, 1, 40, Some(100)));
    assert_eq!(sounding(&reader), 3);
    feed(&mut reader, note(30, 1, 43, Some(10)));
    assert_eq!(sounding(&reader), 3, "the second note has ended");
    reader.release_where(35, |lane, key| (lane, key) == (0, 60));
    feed(&mut reader, note(50, 1, 41, Some(10)));
    assert_eq!(sounding(&reader), 2);
    assert!(reader.sounds(1, 40, 50) && !reader.sounds(0, 60, 50) && reader.struck(50).contains(41));
    reader.skip_to(100);
    assert_eq!((sounding(&reader), reader.last_tick()), (0, 2400));
}

#[test]
fn a_restruck_key_sounds_once() {
    let mut reader = NoteReader::default();
    feed(&mut reader, note(0, 0, 60, Some(500)));
    feed(&mut reader, note(48, 0, 60, Some(10)));
    assert!(reader.sounds(0, 60, 50) && !reader.sounds(0, 60, 60));
}

#[test]
fn held_notes_end_when_they_are_not_held_any_more() {
    let mut reader = NoteReader::default();
    feed(&mut reader, note(0, 0, 60, None));
    feed(&mut reader, note(0, 1, 50, None));
    reader.release_held_where(30, |lane, _| lane == 0);
    assert!(!reader.sounds(0, 60, 30) && reader.sounds(1, 50, 30));
}

#[test]
fn places_follow_from_one_that_is_known() {
    let mut reader = NoteReader::default();
    reader.set_place(10, Place { step_in_beat: Some(2), bar: Some(BarPosition { step_in_bar: 10, bar_steps: 12 }) });
    let place = reader.place_of(13);
    assert_eq!((place.step_in_beat, place.bar.unwrap().step_in_bar), (Some(1), 1));
    assert_eq!(reader.place_of(9).bar.unwrap().step_in_bar, 9);
    reader.set_place(10, Place { step_in_beat: Some(2), bar: None });
    assert_eq!(reader.place_of(13).step_in_beat, Some(1));
    assert_eq!(Place::default().later(5), Place::default());
}

#[test]
fn a_crowd_of_notes_forgets_the_oldest() {
    let mut reader = NoteReader::default();
    for n in 0..100 {
        feed(&mut reader, note(n, 0, n as u8, Some(1000)));
    }
    assert!(reader.sounds(0, 99, 100) && !reader.sounds(0, 0, 100));
    assert!(trunk(&reader).iter().all(|row| *row == NO_INDEX || (*row as usize) < TRUNK_ROWS));
}
