//! The host's clock: how the samples, beats and bars of a song relate, and the transport that a host announces. Plain
//! values, of no thread.

use continuo_model::tokeniser::grid::STEPS_PER_BEAT;

use crate::fake_host::Transport;

/// The sample rate of most tests, Hz.
pub const SAMPLE_RATE: f64 = 48_000.0;
/// A quarter note of [`HostClock::AT_120`], samples.
pub const BEAT: u64 = 24_000;
/// A 16th of [`HostClock::AT_120`], samples.
pub const STEP: u64 = BEAT / STEPS_PER_BEAT as u64;

/// The clock of a song in one tempo, which begins at sample 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HostClock {
    /// In Hz.
    pub sample_rate: f64,
    /// Quarter notes a minute.
    pub tempo_bpm: f64,
}

impl HostClock {
    /// What most tests run at: 120 quarter notes a minute, at 48 kHz.
    pub const AT_120: Self = Self { sample_rate: SAMPLE_RATE, tempo_bpm: 120.0 };

    /// The length of a quarter note, samples.
    pub fn samples_per_beat(&self) -> f64 {
        self.sample_rate * 60.0 / self.tempo_bpm
    }

    /// The song position of a sample, in quarter notes.
    pub fn to_beats(&self, samples: i64) -> f64 {
        samples as f64 / self.samples_per_beat()
    }

    /// The sample nearest to a song position.
    pub fn to_samples(&self, beats: f64) -> i64 {
        (beats * self.samples_per_beat()).round() as i64
    }

    /// How long some quarter notes last, seconds.
    pub fn seconds(&self, beats: f64) -> f64 {
        beats * 60.0 / self.tempo_bpm
    }

    /// The transport of a host that announces tempo and position and nothing else, at a sample.
    pub fn transport(&self, playing: bool, samples: i64) -> Transport {
        let (tempo_bpm, pos_beats) = (Some(self.tempo_bpm), Some(self.to_beats(samples)));
        Transport { playing, tempo_bpm, pos_beats, ..Transport::default() }
    }
}

/// Where the bar lines of a song in one metre are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bars {
    /// Beats in a bar, and which note is one.
    pub time_signature: (u16, u16),
    /// A bar line, in quarter notes, and the number of the bar that it opens.
    pub first_bar: (f64, i32),
}

impl Bars {
    /// Bars from the song's start on; the first has the number 0.
    pub fn of(time_signature: (u16, u16)) -> Self {
        Self { time_signature, first_bar: (0.0, 0) }
    }

    /// The length of a bar, quarter notes.
    pub fn beats(&self) -> f64 {
        f64::from(self.time_signature.0) * 4.0 / f64::from(self.time_signature.1)
    }

    /// The bar at a position: where it starts, and its number.
    pub fn at(&self, pos_beats: f64) -> (f64, i32) {
        // A block that starts at a bar line belongs to the bar after it, however the division rounds.
        let bars = ((pos_beats - self.first_bar.0) / self.beats() + 1e-9).floor();
        (self.first_bar.0 + bars * self.beats(), self.first_bar.1 + bars as i32)
    }

    /// A transport that also announces the metre and the bar of its position.
    pub fn announced_in(&self, transport: Transport) -> Transport {
        let (start, bar_number) = self.at(transport.pos_beats.unwrap_or(0.0));
        let (bar_start_beats, time_signature) = (Some(start), Some(self.time_signature));
        Transport { bar_start_beats, bar_number, time_signature, ..transport }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beats_and_samples_belong_together() {
        assert_eq!(HostClock::AT_120.to_samples(1.0), BEAT as i64);
        assert_eq!((HostClock::AT_120.to_samples(0.25), STEP), (STEP as i64, 6_000));
        assert_eq!(HostClock::AT_120.to_beats(36_000), 1.5);
        let clock = HostClock { sample_rate: 44_100.0, tempo_bpm: 90.0 };
        assert_eq!((clock.to_samples(3.0), clock.to_beats(88_200), clock.seconds(3.0)), (88_200, 3.0, 2.0));
    }

    #[test]
    fn a_bar_starts_at_or_before_the_position() {
        let bars = Bars { time_signature: (6, 8), first_bar: (16.0, 4) };
        assert_eq!(bars.beats(), 3.0);
        for (pos_beats, expected) in [(16.0, (16.0, 4)), (18.99, (16.0, 4)), (19.0, (19.0, 5)), (25.5, (25.0, 7))] {
            assert_eq!(bars.at(pos_beats), expected, "beat {pos_beats}");
        }
        // A hair before the line, as rounding leaves it.
        assert_eq!(bars.at(19.0_f64.next_down()), (19.0, 5));
        let transport = bars.announced_in(HostClock::AT_120.transport(true, 20 * BEAT as i64));
        assert_eq!((transport.bar_start_beats, transport.bar_number), (Some(19.0), 5));
        assert_eq!((transport.pos_beats, transport.time_signature), (Some(20.0), Some((6, 8))));
    }
}
