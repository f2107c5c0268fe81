//! Walks over the notes of a piece as a performance model reads them.

use continuo_model::decision::{Lanes, TICKS_PER_STEP};
use continuo_model::note_tokens::{Attribute, NUM_ATTRIBUTES, advance_token, duration_token, velocity_token};
use continuo_model::tokeniser::note_reader::{Draft, NoteEvent, NoteReader};

use crate::preparation::performed::{PerformedNote, PerformedPiece};

/// Notes at the start of a window within a piece that only prepare the state and are not trained on.
const NOTES_TO_SETTLE: usize = 8;
const STEP: i64 = TICKS_PER_STEP as i64;

/// A stretch of a piece, and how a network hears it.
#[derive(Clone, Copy, Debug)]
pub struct Passage {
    /// Its first note.
    pub first: usize,
    /// The number of its notes.
    pub len: usize,
    /// The lanes that the network plays; the others are the player's.
    pub own: Lanes,
    /// The lengths of the notes before this one are unknown, as the player's are.
    pub unknown_lengths: usize,
    /// Added to all velocities.
    pub louder: i16,
}

impl Passage {
    /// A whole piece, or its first `len` notes, that the network plays.
    pub fn whole(piece: &PerformedPiece, len: usize, lanes: usize) -> Self {
        let len = piece.notes.len().min(len);
        Self { first: 0, len, own: Lanes::first(lanes), unknown_lengths: 0, louder: 0 }
    }
}

/// What a network has to predict after some of the notes: the tokens of the next note of its own, and which of them
/// count.
pub struct Target {
    /// The tokens.
    pub draft: Draft,
    /// Whether each attribute counts.
    pub counts: [bool; NUM_ATTRIBUTES],
}

/// Calls `visit` before each note of the passage, with what the reader has read of it by then.
pub fn walk(piece: &PerformedPiece, passage: &Passage, mut visit: impl FnMut(usize, &NoteReader, &Target)) {
    let Passage { first, len, own, .. } = *passage;
    let mut notes = piece.notes[first..first + len].to_vec();
    // Of notes that start together the player's come first.
    notes.sort_by_key(|note| (note.tick, own.contains(note.lane), note.lane, std::cmp::Reverse(note.key)));
    let step = |note: &PerformedNote| note.tick.div_euclid(STEP);
    let mut reader = NoteReader::default();
    reader.begin_at(match first.checked_sub(1) {
        Some(before) => step(&piece.notes[before]),
        None => step(&notes[0]),
    });
    let several_own = own.iter().nth(1).is_some();
    for (idx, note) in notes.iter().enumerate() {
        reader.set_place(reader.last_step(), piece.place(reader.last_step()));
        let mut target = Target { draft: Draft::default(), counts: [false; NUM_ATTRIBUTES] };
        let next = notes[idx..].iter().position(|note| own.contains(note.lane));
        if let Some(ahead) = next {
            let next = &notes[idx + ahead];
            let velocity = next.velocity.map(|velocity| velocity_token(louder(velocity, passage.louder)));
            let tokens = [
                advance_token(step(next) - reader.last_step()),
                next.tick.rem_euclid(STEP) as u8,
                next.lane,
                next.key,
                duration_token(next.end - next.tick),
                velocity.unwrap_or(0),
            ];
            Attribute::ALL.iter().zip(tokens).for_each(|(attribute, token)| target.draft.set(*attribute, token));
            let settled = first == 0 || idx >= NOTES_TO_SETTLE;
            let is_next = ahead == 0;
            let counts = [true, true, is_next && several_own, is_next, is_next, is_next && velocity.is_some()];
            target.counts = counts.map(|counts| counts && settled);
        }
        visit(idx, &reader, &target);
        let knows_length = own.contains(note.lane) && idx >= passage.unknown_lengths;
        let event = NoteEvent {
            tick: note.tick,
            lane: note.lane,
            key: note.key,
            duration: knows_length.then_some(note.end - note.tick),
            velocity: note.velocity.map(|velocity| louder(velocity, passage.louder)),
        };
        reader.feed(event, Some(note.end));
    }
}

fn louder(velocity: u8, by: i16) -> u8 {
    (i16::from(velocity) + by).clamp(1, 127) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(notes: &[(i64, i64, u8, u8)]) -> PerformedPiece {
        let note = |&(tick, end, lane, key)| PerformedNote { tick, end, lane, key, velocity: Some(64) };
        PerformedPiece { notes: notes.iter().map(note).collect(), ..PerformedPiece::default() }
    }

    fn walked(piece: &PerformedPiece, passage: &Passage) -> Vec<([u8; NUM_ATTRIBUTES], [bool; NUM_ATTRIBUTES])> {
        let mut targets = Vec::new();
        walk(piece, passage, |_, _, target| {
            targets.push((Attribute::ALL.map(|attribute| target.draft.token(attribute)), target.counts));
        });
        targets
    }

    #[test]
    fn each_note_is_predicted_from_those_before() {
        let piece = piece(&[(24, 72, 0, 72), (24, 120, 1, 48), (60, 90, 0, 74)]);
        let all = [true; NUM_ATTRIBUTES];
        let expect = [([0, 0, 0, 72, 20, 16], all), ([0, 0, 1, 48, 29, 16], all), ([1, 12, 0, 74, 16, 16], all)];
        let mut walked = walked(&piece, &Passage::whole(&piece, 9, 2));
        walked.iter_mut().for_each(|(tokens, _)| tokens[4] = tokens[4].min(29));
        assert_eq!(walked.len(), 3);
        for ((tokens, counts), (expect, all)) in walked.iter().zip(expect) {
            assert_eq!((tokens[..4].to_vec(), *counts), (expect[..4].to_vec(), all));
        }
    }

    #[test]
    fn beside_given_lanes_only_the_others_are_predicted() {
        let piece = piece(&[(0, 24, 0, 72), (0, 96, 1, 48), (48, 72, 0, 74), (96, 120, 1, 50)]);
        let passage = Passage { own: Lanes::NONE.with(1), ..Passage::whole(&piece, 9, 2) };
        let walked = walked(&piece, &passage);
        let onset_only = [true, true, false, false, false, false];
        let of_one_lane = [true, true, false, true, true, true];
        assert_eq!(
            walked.iter().map(|(_, counts)| *counts).collect::<Vec<_>>(),
            [onset_only, of_one_lane, onset_only, of_one_lane]
        );
        // After the note at 0 the next own one is at 96, four steps on; after the one at 48, two.
        assert_eq!([walked[2].0[0], walked[3].0[0]], [4, 2]);
        assert_eq!(walked[2].0[3], 50);
    }

    #[test]
    fn a_window_within_a_piece_settles_first() {
        let notes: Vec<_> = (0..30).map(|n| (24 * n, 24 * n + 24, 0, 60)).collect();
        let piece = piece(&notes);
        let walked = walked(&piece, &Passage { first: 10, len: 12, ..Passage::whole(&piece, 99, 1) });
        assert_eq!(walked.iter().filter(|(_, counts)| counts[0]).count(), 4);
        assert_eq!(walked[9].0[0], 1);
    }
}
