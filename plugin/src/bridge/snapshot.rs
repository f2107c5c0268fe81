//! Where the music stands, for the eye: written by the audio thread once a block, read by the editor whenever it draws.

use std::time::Instant;

use continuo_model::decision::{Decision, Lanes};

/// Steps ahead that are shown at the most: more than the longest lookahead.
pub const NUM_AHEAD: usize = 24;

/// A step that is planned and has not sounded.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Ahead {
    /// Where in the take it lies, beats.
    pub take_beats: f64,
    /// What will happen if the player changes nothing; `None` while the worker decides.
    pub decision: Option<Decision>,
    /// The lanes that are the player's in it.
    pub played: Lanes,
}

/// One block's view of time and plans.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// Time runs, be it the host's or the plugin's own.
    pub runs: bool,
    /// When the block was begun; `None` before the first.
    pub at: Option<Instant>,
    /// Place in the take at the block's start, beats.
    pub take_beats: f64,
    /// Length of the block, beats.
    pub block_beats: f64,
    /// The same place in the song, beats.
    pub song_beats: f64,
    /// Where the song's bar began, beats.
    pub bar_start_beats: f64,
    /// Length of a bar, beats.
    pub bar_beats: f64,
    /// Quarter notes a minute.
    pub tempo_bpm: f64,
    /// Beats in a bar and which note is one.
    pub time_signature: (u8, u8),
    /// What the host loops over, song beats.
    pub loop_beats: Option<(f64, f64)>,
    /// How often the loop has come round.
    pub pass: u64,
    /// What is planned, in order of time; the first `num_ahead` hold.
    pub ahead: [Ahead; NUM_AHEAD],
    /// How many steps are planned.
    pub num_ahead: usize,
}

impl Snapshot {
    /// The steps that are planned.
    pub fn ahead(&self) -> &[Ahead] {
        &self.ahead[..self.num_ahead.min(NUM_AHEAD)]
    }

    /// The playhead at `now`: on from the block's start at its tempo, but never past its end, which the host has not asked for yet.
    pub fn playhead_beats(&self, now: Instant) -> f64 {
        let Some(at) = self.at.filter(|_| self.runs) else { return self.take_beats };
        let since = now.saturating_duration_since(at).as_secs_f64() * self.tempo_bpm / 60.0;
        self.take_beats + since.min(self.block_beats)
    }

    /// The song's place where the take is at `take_beats`: loops that have come round, and those that will, are folded in.
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
    fn the_playhead_moves_within_its_block_alone() {
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
    fn a_loop_is_folded_both_ways_as_often_as_it_came_round() {
        let snapshot = Snapshot {
            take_beats: 12.0,
            song_beats: 5.0,
            loop_beats: Some((4.0, 8.0)),
            pass: 1,
            ..Snapshot::default()
        };
        let song = |take_beats: f64| snapshot.song_beats_at(take_beats);
        assert_eq!([12.0, 14.5, 15.0, 19.0, 20.5].map(song), [5.0, 7.5, 4.0, 4.0, 5.5]);
        // Back over the one seam into the first round, and before the loop.
        assert_eq!([11.0, 10.0, 7.0, 6.0].map(song), [4.0, 7.0, 4.0, 3.0]);
    }
}
