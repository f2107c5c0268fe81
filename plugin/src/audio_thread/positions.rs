//! Positions in time. Each has a type of its own, so that mixing them up does not compile. Audio thread.

use std::ops::{Add, AddAssign, Sub};

use continuo_model::tokeniser::grid::STEPS_PER_BEAT;

/// The number of steps in a beat, as a factor.
pub const STEPS_IN_A_BEAT: f64 = STEPS_PER_BEAT as f64;

/// A sample, counted from the plugin's activation; negative before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sample(i64);

impl Sample {
    /// Samples from `earlier` to this one; 0 if it is not earlier.
    pub fn since(self, earlier: Self) -> u64 {
        (self.0 - earlier.0).max(0) as u64
    }
}

impl Add<u64> for Sample {
    type Output = Self;
    fn add(self, samples: u64) -> Self {
        Self(self.0 + samples as i64)
    }
}

impl Add<i64> for Sample {
    type Output = Self;
    fn add(self, samples: i64) -> Self {
        Self(self.0 + samples)
    }
}

/// The difference in samples.
impl Sub for Sample {
    type Output = i64;
    fn sub(self, other: Self) -> i64 {
        self.0 - other.0
    }
}

/// A step in the count, which runs on through loops and jumps while time runs: no step number repeats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct CountedStep(i64);

impl CountedStep {
    /// The step with this number.
    #[cfg(test)]
    pub const fn new(number: i64) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn number(self) -> i64 {
        self.0
    }

    /// The position of its start.
    pub fn position(self) -> StepPosition {
        StepPosition(self.0 as f64)
    }

    /// The steps from this one to `last`, in order.
    pub fn through(self, last: Self) -> impl DoubleEndedIterator<Item = Self> {
        (self.0..=last.0).map(Self)
    }
}

impl Add<i64> for CountedStep {
    type Output = Self;
    fn add(self, steps: i64) -> Self {
        Self(self.0 + steps)
    }
}

impl AddAssign<i64> for CountedStep {
    fn add_assign(&mut self, steps: i64) {
        self.0 += steps;
    }
}

impl Sub<i64> for CountedStep {
    type Output = Self;
    fn sub(self, steps: i64) -> Self {
        Self(self.0 - steps)
    }
}

/// The difference in steps.
impl Sub for CountedStep {
    type Output = i64;
    fn sub(self, other: Self) -> i64 {
        self.0 - other.0
    }
}

/// A position in counted steps, with a fraction.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct StepPosition(f64);

impl StepPosition {
    /// The position at this many counted steps.
    pub const fn new(steps: f64) -> Self {
        Self(steps)
    }

    /// In counted steps.
    pub const fn steps(self) -> f64 {
        self.0
    }

    /// The step that contains it.
    pub fn step(self) -> CountedStep {
        CountedStep(self.0.floor() as i64)
    }

    /// The first step that begins at or after it.
    pub fn next_step(self) -> CountedStep {
        CountedStep(self.0.ceil() as i64)
    }

    /// The nearest step. Halfway between two steps it is the later one, even if the host rounds its position down by a
    /// few samples.
    pub fn nearest_step(self) -> CountedStep {
        const ROUNDING_STEPS: f64 = 1e-3;
        (self + 0.5 + ROUNDING_STEPS).step()
    }
}

impl Add<f64> for StepPosition {
    type Output = Self;
    fn add(self, steps: f64) -> Self {
        Self(self.0 + steps)
    }
}

/// The difference in steps.
impl Sub for StepPosition {
    type Output = f64;
    fn sub(self, other: Self) -> f64 {
        self.0 - other.0
    }
}

/// A step of the song: 16ths from its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct SongStep(i64);

impl SongStep {
    /// The step with this number.
    pub const fn new(number: i64) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn number(self) -> i64 {
        self.0
    }

    /// The position of its start.
    pub fn beats(self) -> SongBeats {
        SongBeats(self.0 as f64 / STEPS_IN_A_BEAT)
    }
}

impl Add<i64> for SongStep {
    type Output = Self;
    fn add(self, steps: i64) -> Self {
        Self(self.0 + steps)
    }
}

/// The difference in steps.
impl Sub for SongStep {
    type Output = i64;
    fn sub(self, other: Self) -> i64 {
        self.0 - other.0
    }
}

/// A position in the song, in beats from its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct SongBeats(f64);

impl SongBeats {
    /// The position at this many beats.
    pub const fn new(beats: f64) -> Self {
        Self(beats)
    }

    /// In beats.
    pub const fn beats(self) -> f64 {
        self.0
    }

    /// The step that contains it.
    pub fn step(self) -> SongStep {
        SongStep((self.0 * STEPS_IN_A_BEAT).floor() as i64)
    }
}

impl Add<f64> for SongBeats {
    type Output = Self;
    fn add(self, beats: f64) -> Self {
        Self(self.0 + beats)
    }
}

impl Sub<f64> for SongBeats {
    type Output = Self;
    fn sub(self, beats: f64) -> Self {
        Self(self.0 - beats)
    }
}

/// The difference in beats.
impl Sub for SongBeats {
    type Output = f64;
    fn sub(self, other: Self) -> f64 {
        self.0 - other.0
    }
}

/// The number to add to a counted step to get its song step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SongOffset(i64);

impl SongOffset {
    /// The offset that maps a counted step to a song step.
    pub fn between(count: CountedStep, song: SongStep) -> Self {
        Self(song.0 - count.0)
    }

    /// The offset that maps a position as near as possible to a song position.
    pub fn nearest(position: StepPosition, song: SongBeats) -> Self {
        Self((song.0 * STEPS_IN_A_BEAT - position.0).round() as i64)
    }

    /// The offset after the song has gone back by this many steps.
    pub fn back(self, steps: i64) -> Self {
        Self(self.0 - steps)
    }

    /// The song step of a counted step.
    pub fn song_step(self, count: CountedStep) -> SongStep {
        SongStep(count.0 + self.0)
    }

    /// The counted step of a song step.
    pub fn count(self, song: SongStep) -> CountedStep {
        CountedStep(song.0 - self.0)
    }

    /// The song position of a counted position.
    pub fn song_beats(self, position: StepPosition) -> SongBeats {
        SongBeats((position.0 + self.0 as f64) / STEPS_IN_A_BEAT)
    }

    /// The counted position of a song position.
    pub fn position(self, song: SongBeats) -> StepPosition {
        StepPosition(song.0 * STEPS_IN_A_BEAT - self.0 as f64)
    }
}

/// A position in a take, in beats. It starts at the song's position and runs on as if there were no loops.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct TakeBeats(f64);

impl TakeBeats {
    /// The position at this many beats.
    pub const fn new(beats: f64) -> Self {
        Self(beats)
    }

    /// In beats.
    pub const fn beats(self) -> f64 {
        self.0
    }
}

impl Add<f64> for TakeBeats {
    type Output = Self;
    fn add(self, beats: f64) -> Self {
        Self(self.0 + beats)
    }
}

impl Sub<f64> for TakeBeats {
    type Output = Self;
    fn sub(self, beats: f64) -> Self {
        Self(self.0 - beats)
    }
}

/// The difference in beats.
impl Sub for TakeBeats {
    type Output = f64;
    fn sub(self, other: Self) -> f64 {
        self.0 - other.0
    }
}
