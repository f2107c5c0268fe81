//! How fast a host asks for blocks. It waits on the thread that plays them.

use std::time::{Duration, Instant};

/// How fast blocks follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Each block lasts as long as its audio.
    Live,
    /// A block follows as soon as the last one is done.
    Fast,
}

/// Keeps a pace from its start on.
pub struct Pacer {
    pace: Pace,
    start: Instant,
}

impl Pacer {
    /// Starts now.
    pub fn start(pace: Pace) -> Self {
        Self { pace, start: Instant::now() }
    }

    /// Waits until so much audio has been heard, if the pace is live; returns how late that was already.
    pub fn wait(&self, audio: Duration) -> Duration {
        if self.pace == Pace::Fast {
            return Duration::ZERO;
        }
        let late = self.start.elapsed().saturating_sub(audio);
        std::thread::sleep(audio.saturating_sub(self.start.elapsed()));
        late
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_live_pace_takes_as_long_as_the_audio_and_says_how_late_it_is() {
        let audio = Duration::from_millis(20);
        let pacer = Pacer::start(Pace::Live);
        pacer.wait(audio);
        assert!(pacer.start.elapsed() >= audio);
        // No audio was due yet, so the call is at least 20 ms late.
        assert!(pacer.wait(Duration::ZERO) >= audio);
        // A fast pace is never late.
        assert_eq!(Pacer::start(Pace::Fast).wait(Duration::ZERO), Duration::ZERO);
    }
}
