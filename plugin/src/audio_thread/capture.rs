//! What the player plays, on the grid: which notes belong to a step, and which voices they are. Audio thread.

use continuo_model::generate::Given;
use continuo_model::tokeniser::grid::NUM_VOICES;
use continuo_model::vocabulary::Symbol;

/// Notes that are remembered at once.
const MAX_NOTES: usize = 128;

#[derive(Clone, Copy, Debug)]
struct Played {
    key: u8,
    channel: u8,
    /// The step that it starts on: the nearest.
    onset: i64,
    /// The step that it no longer belongs to, once it has been released.
    end: Option<i64>,
    /// The voice that it was dealt to, and the step from which it has been in it.
    voice: Option<(usize, i64)>,
}

/// The grid step that a position belongs to. Halfway between two it is the later, and a few samples of rounding in a
/// host's position do not matter to that.
fn nearest(step: f64) -> i64 {
    const ROUNDING_STEPS: f64 = 1e-3;
    (step + 0.5 + ROUNDING_STEPS).floor() as i64
}

impl Played {
    fn belongs_to(&self, step: i64) -> bool {
        self.onset <= step && self.end.is_none_or(|end| end > step)
    }
}

/// The player's notes of the last steps.
pub struct Capture {
    notes: [Option<Played>; MAX_NOTES],
    /// Velocity of what was played lately, 0 to 1.
    velocity: f32,
}

/// A row of the grid as the player gives it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlayedRow {
    /// The player's voices; the others are free.
    pub given: [Given; NUM_VOICES],
    /// The key that each of them sounds.
    keys: [Option<u8>; NUM_VOICES],
}

impl PlayedRow {
    /// The voice that sounds `key`.
    pub fn voice_of(&self, key: u8) -> Option<usize> {
        self.keys.iter().position(|k| *k == Some(key))
    }

    /// The row as it is given to who hears it for the first time: what is held starts.
    pub fn struck(&self) -> [Given; NUM_VOICES] {
        self.keys.map(|key| key.map_or(Given::Free, |key| Given::Symbol(Symbol::Pitch(key))))
    }
}

/// How loud generated notes are before anything has been played, 0 to 1.
const FIRST_VELOCITY: f32 = 0.63;

impl Capture {
    /// Nothing has been played.
    pub const fn new() -> Self {
        Self { notes: [None; MAX_NOTES], velocity: FIRST_VELOCITY }
    }

    /// Forgets what was played.
    pub fn clear(&mut self) {
        self.notes = [None; MAX_NOTES];
        // Or a bounce would not be as loud as what was heard, which began with other notes before it.
        self.velocity = FIRST_VELOCITY;
    }

    /// The velocity that generated notes take, 0 to 1: an average of what was played lately.
    pub fn velocity(&self) -> f32 {
        self.velocity
    }

    /// A key goes down at `step` (steps, with a fraction). Returns the grid step that the note starts on.
    pub fn note_on(&mut self, channel: u8, key: u8, velocity: f32, step: f64) -> i64 {
        let onset = nearest(step);
        self.velocity += (velocity - self.velocity) * 0.3;
        self.release(channel, key, onset);
        // With 128 notes at once the oldest gives way: no hand and no hearing will miss it.
        let free = self.notes.iter().position(Option::is_none).unwrap_or_else(|| {
            let oldest = (0..MAX_NOTES).min_by_key(|i| self.notes[*i].map(|note| note.onset));
            oldest.expect("there is room for notes")
        });
        self.notes[free] = Some(Played { key, channel, onset, end: None, voice: None });
        onset
    }

    /// A key comes up at `step`.
    pub fn note_off(&mut self, channel: u8, key: u8, step: f64) {
        self.release(channel, key, nearest(step));
    }

    fn release(&mut self, channel: u8, key: u8, step: i64) {
        let held = |n: &&mut Played| n.channel == channel && n.key == key && n.end.is_none();
        if let Some(note) = self.notes.iter_mut().flatten().find(held) {
            // However short, a note fills the step that it starts on.
            note.end = Some(step.max(note.onset + 1));
        }
    }

    /// Whether a note belongs to `step`.
    pub fn sounds_in(&self, step: i64) -> bool {
        self.notes.iter().flatten().any(|note| note.belongs_to(step))
    }

    /// Whether a key is down.
    pub fn is_holding(&self) -> bool {
        self.notes.iter().flatten().any(|note| note.end.is_none())
    }

    /// Forgets notes that ended at or before `step`.
    pub fn forget_before(&mut self, step: i64) {
        for note in &mut self.notes {
            if note.is_some_and(|n| n.end.is_some_and(|end| end <= step)) {
                *note = None;
            }
        }
    }

    /// What the player does in `step`, or `None` if nothing. One note is `voice`; a chord's notes are dealt to the
    /// voices from the top, ending on `voice` where they must end above it, and are at most four.
    pub fn row(&mut self, step: i64, voice: usize) -> Option<PlayedRow> {
        // The four highest, highest first.
        let mut chosen = [None::<usize>; NUM_VOICES];
        let mut count = 0;
        while count < NUM_VOICES {
            let next = (0..MAX_NOTES)
                .filter(|i| self.notes[*i].is_some_and(|n| n.belongs_to(step)) && !chosen.contains(&Some(*i)))
                .max_by_key(|i| self.notes[*i].map(|n| (n.key, n.onset)));
            let Some(next) = next else { break };
            chosen[count] = Some(next);
            count += 1;
        }
        if count == 0 {
            return None;
        }
        let first = voice.min(NUM_VOICES - count);
        let mut row = PlayedRow { given: [Given::Free; NUM_VOICES], keys: [None; NUM_VOICES] };
        for (n, i) in chosen.into_iter().flatten().enumerate() {
            let note = self.notes[i].as_mut().expect("only notes that are there were chosen");
            let voice = first + n;
            if note.voice.is_none_or(|(dealt_to, _)| dealt_to != voice) {
                note.voice = Some((voice, step));
            }
            let starts = note.onset >= step || note.voice.is_some_and(|(_, since)| since >= step);
            row.keys[voice] = Some(note.key);
            row.given[voice] = Given::Symbol(if starts { Symbol::Pitch(note.key) } else { Symbol::Hold });
        }
        Some(row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The row in words: `.` free, `-` hold, else a pitch.
    fn row(capture: &mut Capture, step: i64, voice: usize) -> String {
        let word = |given| match given {
            Given::Free => ".".to_string(),
            Given::Symbol(Symbol::Hold) => "-".into(),
            Given::Symbol(Symbol::Pitch(pitch)) => pitch.to_string(),
            Given::Symbol(Symbol::Rest) => "rest".into(),
        };
        capture.row(step, voice).map_or("nothing".into(), |row| row.given.map(word).join(" "))
    }

    #[test]
    fn a_second_run_is_as_loud_as_the_first() {
        let mut capture = Capture::new();
        let first = capture.velocity();
        capture.note_on(0, 60, 1.0, 0.0);
        assert!(capture.velocity() > first);
        capture.clear();
        assert_eq!(capture.velocity(), first);
    }

    #[test]
    fn notes_belong_to_the_nearest_step() {
        let mut capture = Capture::new();
        assert_eq!(capture.note_on(0, 67, 0.5, 3.6), 4);
        capture.note_off(0, 67, 6.4);
        let rows: Vec<_> = (3..8).map(|step| row(&mut capture, step, 0)).collect();
        assert_eq!(rows, ["nothing", "67 . . .", "- . . .", "nothing", "nothing"]);
        assert!(!capture.is_holding());
    }

    #[test]
    fn halfway_is_the_later_step_whatever_the_rounding() {
        let onsets = [3.5 - 1e-4, 3.5, 3.5 + 1e-4].map(|step| Capture::new().note_on(0, 60, 0.5, step));
        assert_eq!(onsets, [4, 4, 4]);
    }

    #[test]
    fn a_short_note_fills_its_step() {
        let mut capture = Capture::new();
        capture.note_on(0, 60, 0.5, 2.0);
        capture.note_off(0, 60, 2.1);
        assert_eq!((row(&mut capture, 2, 3), row(&mut capture, 3, 3)), (". . . 60".into(), "nothing".into()));
        capture.forget_before(3);
        assert_eq!(row(&mut capture, 2, 3), "nothing");
    }

    #[test]
    fn chords_are_dealt_from_the_top() {
        let mut capture = Capture::new();
        for key in [48, 55, 64] {
            capture.note_on(0, key, 0.5, 0.0);
        }
        assert_eq!(row(&mut capture, 0, 0), "64 55 48 .");
        assert_eq!(row(&mut capture, 1, 0), "- - - .");
        assert_eq!(row(&mut capture, 1, 3), ". 64 55 48");
        capture.note_on(0, 72, 0.5, 2.0);
        // They are in the voices that they were dealt to last.
        assert_eq!(row(&mut capture, 2, 0), "72 - - -");
        capture.note_on(0, 40, 0.5, 3.0);
        assert_eq!(row(&mut capture, 3, 0), "- - - -");
    }

    #[test]
    fn a_held_note_that_moves_to_another_voice_starts_there() {
        let mut capture = Capture::new();
        capture.note_on(0, 64, 0.5, 0.0);
        assert_eq!(row(&mut capture, 0, 0), "64 . . .");
        capture.note_on(0, 72, 0.5, 1.0);
        for _ in 0..2 {
            assert_eq!(row(&mut capture, 1, 0), "72 64 . .", "asking again gives the same");
        }
        assert_eq!(row(&mut capture, 2, 0), "- - . .");
    }
}
