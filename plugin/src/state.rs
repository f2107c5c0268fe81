//! What a host's project saves beside the parameters. Locked by the worker and by the host's main thread, never by the audio
//! thread.

use serde::{Deserialize, Serialize};

use crate::bridge::Played;

/// Version of what is saved; a later one is left alone.
const VERSION: u32 = 1;
/// How much of the music is kept, beats: 64 bars of 4/4.
const TAKE_BEATS: f64 = 256.0;
/// Resolution of saved times.
const TICKS_PER_BEAT: f64 = 960.0;

/// The weights that a project plays with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChosenWeights {
    /// The file, or empty for the shipped weights.
    pub path: String,
    /// Fingerprint of the file's bytes when it was last read, sixteen hexadecimal digits; empty for a new choice.
    pub hash: String,
}

/// The last 64 bars that went out, played and generated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Take {
    version: u32,
    /// In order of their starts as they sounded.
    notes: Vec<TakeNote>,
    /// Notes that sound: (index into `notes`, elapsed beats at their start).
    #[serde(skip)]
    open: Vec<(usize, f64)>,
    /// Elapsed beats at the start of each note, to know which are too old; empty for notes from a project.
    #[serde(skip)]
    elapsed: Vec<f64>,
}

/// A note of a take: channel, key, velocity (1 to 127), start in the song and length, in 960ths of a beat. A tuple, as
/// thousands of them are saved as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakeNote(pub u8, pub u8, pub u8, pub i64, pub u32);

impl Default for Take {
    fn default() -> Self {
        Self { version: VERSION, notes: Vec::new(), open: Vec::new(), elapsed: Vec::new() }
    }
}

impl Take {
    /// The notes.
    #[cfg(test)]
    pub fn notes(&self) -> &[TakeNote] {
        &self.notes
    }

    /// Takes down a start or an end.
    pub fn add(&mut self, played: &Played) {
        if self.version != VERSION {
            *self = Self::default();
        }
        // What came with a project has no times of this session: it is as old as can be.
        self.elapsed.resize(self.notes.len(), f64::NEG_INFINITY);
        let same = |(i, _): &(usize, f64)| (self.notes[*i].0, self.notes[*i].1) == (played.channel, played.key);
        if let Some(at) = self.open.iter().position(same) {
            let (i, since) = self.open.remove(at);
            let length = (played.elapsed_beats - since) * TICKS_PER_BEAT;
            self.notes[i].4 = length.round().max(1.0) as u32;
        }
        if played.velocity > 0.0 {
            let velocity = (played.velocity * 127.0).round().clamp(1.0, 127.0) as u8;
            let start = (played.song_beats * TICKS_PER_BEAT).round() as i64;
            self.open.push((self.notes.len(), played.elapsed_beats));
            self.notes.push(TakeNote(played.channel, played.key, velocity, start, 1));
            self.elapsed.push(played.elapsed_beats);
            self.forget_before(played.elapsed_beats - TAKE_BEATS);
        }
    }

    fn forget_before(&mut self, elapsed_beats: f64) {
        let mut old = self.elapsed.iter().take_while(|start| **start < elapsed_beats).count();
        // A note that still sounds keeps what follows it.
        old = self.open.iter().map(|(i, _)| *i).fold(old, usize::min);
        self.notes.drain(..old);
        self.elapsed.drain(..old);
        self.open.iter_mut().for_each(|(i, _)| *i -= old);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn played(beats: f64, key: u8, velocity: f32) -> Played {
        Played { song_beats: beats % 8.0, elapsed_beats: beats, channel: 1, key, velocity }
    }

    #[test]
    fn notes_have_their_place_in_the_song_and_their_length() {
        let mut take = Take::default();
        for event in [played(7.5, 60, 1.0), played(8.5, 60, 0.0), played(8.5, 62, 0.5), played(9.0, 62, 0.0)] {
            take.add(&event);
        }
        assert_eq!(take.notes(), [TakeNote(1, 60, 127, 7200, 960), TakeNote(1, 62, 64, 480, 480)]);
        let text = serde_json::to_string(&take).unwrap();
        assert_eq!(text, r#"{"version":1,"notes":[[1,60,127,7200,960],[1,62,64,480,480]]}"#);
        let mut again: Take = serde_json::from_str(&text).unwrap();
        assert_eq!(again.notes(), take.notes());
        again.add(&played(10.0, 64, 0.5));
        assert_eq!(again.notes(), [TakeNote(1, 64, 64, 1920, 1)], "what came with a project gives way");
    }

    #[test]
    fn sixty_four_bars_are_kept() {
        let mut take = Take::default();
        for beat in 0..1000 {
            take.add(&played(f64::from(beat), 60, 0.5));
            take.add(&played(f64::from(beat) + 0.5, 60, 0.0));
        }
        assert_eq!(take.notes().len(), 257);
    }
}
