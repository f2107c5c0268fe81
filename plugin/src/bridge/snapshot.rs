//! A snapshot of time and of the planned music. The audio thread writes it once a block, the editor reads it for each
//! frame.

use std::time::Instant;

use continuo_model::decision::{Decision, Lanes};

/// The most planned steps in a snapshot: more than the longest lookahead.
pub const NUM_AHEAD: usize = 24;

/// A planned step, which has not sounded yet.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Ahead {
    /// Position in the take, beats.
    pub take_beats: f64,
    /// The decision, which a new note of the player may still change; `None` until the worker has decided.
    pub decision: Option<Decision>,
    /// The lanes that the player plays in this step.
    pub played: Lanes,
}

/// Time and plans at the start of a block.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// Whether time runs: the host's or free-running time.
    pub runs: bool,
    /// When the audio thread began the block; `None` before the first block.
    pub at: Option<Instant>,
    /// Position in the take, beats.
    pub take_beats: f64,
    /// Length of the block, beats.
    pub block_beats: f64,
    /// Position in the song, beats.
    pub song_beats: f64,
    /// Start of the current bar in the song, beats.
    pub bar_start_beats: f64,
    /// Length of a bar, beats.
    pub bar_beats: f64,
    /// Tempo, quarter notes per minute.
    pub tempo_bpm: f64,
    /// Time signature: 6/8 is `(6, 8)`.
    pub time_signature: (u8, u8),
    /// Start and end of the host's loop in the song, beats.
    pub loop_beats: Option<(f64, f64)>,
    /// How many times the loop has wrapped.
    pub pass: u64,
    /// The key that the player plays in, 0 to 23; `None` until enough has been played.
    pub heard_key: Option<u8>,
    /// The planned steps, in order of time; only the first `num_ahead` are valid.
    pub ahead: [Ahead; NUM_AHEAD],
    /// The number of planned steps.
    pub num_ahead: usize,
}

impl Snapshot {
    /// The planned steps, in order of time.
    pub fn ahead(&self) -> &[Ahead] {
        &self.ahead[..self.num_ahead.min(NUM_AHEAD)]
    }

    /// The playhead at `now`: it moves on from the start of the block at its tempo, and stops at its end.
    pub fn playhead_beats(&self, now: Instant) -> f64 {
        let Some(at) = self.at.filter(|_| self.runs) else { return self.take_beats };
        let since = now.saturating_duration_since(at).as_secs_f64() * self.tempo_bpm / 60.0;
        self.take_beats + since.min(self.block_beats)
    }

    /// Converts a position in the take to a position in the song, through past and future wraps of the loop.
    pub fn song_beats_at(&self, take_beats: f64) -> f64 {
        let mut song = self.song_beats + take_beats - self.take_beats;
        let Some((start, end)) = self.loop_beats.filter(|(start, end)| (*start..*end).contains(&self.song_beats))
        else {
            return song;
        };
        for _ in 0..self.pass {
            if song >= start {
                break;
            }
            song += end - start;
        }
        if song >= end { start + (song - start) % (end - start) } else { song }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_playhead_stays_within_its_block() {
        let start = Instant::now();
        let mut snapshot = Snapshot {
            runs: true,
            at: Some(start),
            take_beats: 8.0,
            block_beats: 0.5,
            tempo_bpm: 120.0,
            ..Snapshot::default()
        };
        let after = |snapshot: &Snapshot, ms| snapshot.playhead_beats(start + Duration::from_millis(ms));
        assert_eq!([0, 125, 250, 5000].map(|ms| after(&snapshot, ms)), [8.0, 8.25, 8.5, 8.5]);
        snapshot.runs = false;
        assert_eq!(after(&snapshot, 250), 8.0);
    }

    #[test]
    fn positions_wrap_with_the_loop_in_both_directions() {
        let snapshot = Snapshot {
            take_beats: 12.0,
            song_beats: 5.0,
            loop_beats: Some((4.0, 8.0)),
            pass: 1,
            ..Snapshot::default()
        };
        let song = |take_beats: f64| snapshot.song_beats_at(take_beats);
        assert_eq!([12.0, 14.5, 15.0, 19.0, 20.5].map(song), [5.0, 7.5, 4.0, 4.0, 5.5]);
        // Back through the one wrap into the first pass, and to before the loop.
        assert_eq!([11.0, 10.0, 7.0, 6.0].map(song), [4.0, 7.0, 4.0, 3.0]);
    }
}
