//! Walks over the notes of a piece as a performance model reads them.

use continuo_model::decision::{Lanes, TICKS_PER_STEP};
use continuo_model::note_tokens::{Attribute, NUM_ATTRIBUTES, advance_token, duration_token, velocity_token};
use continuo_model::tokeniser::note_reader::{Draft, NoteEvent, NoteReader};

use crate::preparation::performed::{PerformedNote, PerformedPiece};

/// Notes at the start of a window within a piece that only prepare the state and are not trained on.
const NOTES_TO_SETTLE: usize = 8;
const STEP: i64 = TICKS_PER_STEP as i64;
/// Notes within so many ticks start together.
const TOGETHER: i64 = 6;

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

impl Target {
    fn none() -> Self {
        Self { draft: Draft::default(), counts: [false; NUM_ATTRIBUTES] }
    }

    /// The tokens of `next` after what `reader` has read. Without `is_next` only its onset counts.
    fn of(next: &PerformedNote, reader: &NoteReader, passage: &Passage, is_next: bool) -> Self {
        let velocity = next.velocity.map(|velocity| velocity_token(louder(velocity, passage.louder)));
        let tokens = [
            advance_token(step(next) - reader.last_step()),
            next.tick.rem_euclid(STEP) as u8,
            next.lane,
            next.key,
            duration_token(next.end - next.tick),
            velocity.unwrap_or(0),
        ];
        let mut draft = Draft::default();
        Attribute::ALL.iter().zip(tokens).for_each(|(attribute, token)| draft.set(*attribute, token));
        let several_own = passage.own.iter().nth(1).is_some();
        let counts = [true, true, is_next && several_own, is_next, is_next, is_next && velocity.is_some()];
        Self { draft, counts }
    }
}

/// Calls `visit` before each note of the passage, with what the reader has read of it by then. `past` are the notes
/// that it reads: the piece's, or partly the network's own. The targets are the piece's.
pub fn walk(
    piece: &PerformedPiece,
    past: &[PerformedNote],
    passage: &Passage,
    mut visit: impl FnMut(usize, &NoteReader, &Target),
) {
    let Passage { first, len, own, .. } = *passage;
    let mut notes = past[first..first + len].to_vec();
    // Of notes that start together the player's come first.
    notes.sort_by_key(|note| (note.tick, own.contains(note.lane), note.lane, std::cmp::Reverse(note.key)));
    let own_notes: Vec<PerformedNote> = piece.notes.iter().filter(|note| own.contains(note.lane)).copied().collect();
    let last_tick = notes.last().map_or(0, |note| note.tick);
    let mut reader = NoteReader::default();
    reader.set_own(own);
    reader.begin_at(match first.checked_sub(1) {
        Some(before) => step(&past[before]),
        None => step(&notes[0]),
    });
    for (idx, note) in notes.iter().enumerate() {
        reader.set_place(reader.last_step(), piece.place(reader.last_step()));
        let next = next_own(&own_notes, &notes[..idx], &notes[idx], own).filter(|next| next.tick <= last_tick);
        let mut target = next.map_or_else(Target::none, |next| {
            let next = PerformedNote { tick: next.tick.max(reader.last_tick()), ..*next };
            // A note of the player's that comes first is read before the rest of this one is decided.
            let is_next =
                notes[idx..].iter().find(|note| !own.contains(note.lane)).is_none_or(|given| given.tick > next.tick);
            Target::of(&next, &reader, passage, is_next)
        });
        // The time from a note of the network's own to the piece's next one says nothing: they only happen to be near.
        let last_own = notes[..idx].iter().rev().find(|note| own.contains(note.lane));
        if last_own.is_some_and(|last| !own_notes[together(&own_notes, last.tick)].contains(last)) {
            (target.counts[Attribute::Advance as usize], target.counts[Attribute::Tick as usize]) = (false, false);
        }
        if first > 0 && idx < NOTES_TO_SETTLE {
            target.counts = [false; NUM_ATTRIBUTES];
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

/// The piece's note that should come after `read`: of those that start with the last one the first that has no
/// counterpart yet, or the first after them. `next` is what is read next.
fn next_own<'a>(
    own_notes: &'a [PerformedNote],
    read: &[PerformedNote],
    next: &PerformedNote,
    own: Lanes,
) -> Option<&'a PerformedNote> {
    let Some(last) = read.last() else {
        return own_notes[own_notes.partition_point(|note| note.tick < next.tick)..].first();
    };
    let place = together(own_notes, last.tick);
    let recent = read.iter().rev().take_while(|note| note.tick >= last.tick - TOGETHER);
    let struck = recent.filter(|note| own.contains(note.lane)).count();
    own_notes.get((place.start + struck).min(place.end))
}

/// The places in `notes` of those that start together with a note at `tick`.
fn together(notes: &[PerformedNote], tick: i64) -> std::ops::Range<usize> {
    notes.partition_point(|note| note.tick < tick - TOGETHER)
        ..notes.partition_point(|note| note.tick <= tick + TOGETHER)
}

fn step(note: &PerformedNote) -> i64 {
    note.tick.div_euclid(STEP)
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
        walk(piece, &piece.notes, passage, |_, _, target| {
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
    fn after_notes_of_its_own_the_network_learns_what_the_piece_would_play() {
        // The piece: a chord of two notes, then one note. The network has played a chord of three other notes, the
        // last of them a little late, and a note too many.
        let piece = piece(&[(0, 24, 0, 72), (0, 24, 0, 64), (48, 72, 0, 74), (96, 120, 0, 76), (120, 144, 0, 77)]);
        let note = |tick: i64, key: u8| PerformedNote { tick, end: tick + 24, lane: 0, key, velocity: Some(64) };
        let past = [note(0, 71), note(0, 63), note(2, 55), note(24, 60), note(48, 74), note(96, 76)];
        let mut targets = Vec::new();
        let passage = Passage { len: past.len(), ..Passage::whole(&piece, 99, 1) };
        walk(&piece, &past, &passage, |_, _, target| {
            targets.push((
                target.draft.token(Attribute::Advance),
                target.draft.token(Attribute::Key),
                target.counts[0],
            ));
        });
        // The chord has its two notes, so after the second one the next onset is due, and still after each note more.
        // The times from the network's notes back to the piece do not count.
        let expect = [(0, 72, true), (0, 64, false), (2, 74, false), (2, 74, false), (1, 74, false), (2, 76, true)];
        assert_eq!(targets, expect);
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
