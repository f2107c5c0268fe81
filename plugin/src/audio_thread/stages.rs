//! The stages of a block, by name, and who takes down which of them is at work. Audio thread.

/// A stage of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Where the block lies.
    Time,
    /// Starts, stops and jumps.
    Discontinuities,
    /// The player.
    Hands,
    /// Whose turn it is.
    Turns,
    /// What the worker is asked.
    Plan,
    /// What is due.
    Deadline,
    /// What is generated.
    Voices,
    /// What is frozen.
    Frozen,
    /// What goes out.
    Output,
    /// What the worker takes down.
    Take,
    /// What the editor sees.
    Glance,
}

#[cfg(any(test, feature = "bench"))]
impl Stage {
    /// All of them, in order.
    pub const ALL: [Self; 11] = [
        Self::Time,
        Self::Discontinuities,
        Self::Hands,
        Self::Turns,
        Self::Plan,
        Self::Deadline,
        Self::Voices,
        Self::Frozen,
        Self::Output,
        Self::Take,
        Self::Glance,
    ];

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Discontinuities => "discontinuities",
            Self::Hands => "hands",
            Self::Turns => "turns",
            Self::Plan => "plan",
            Self::Deadline => "deadline",
            Self::Voices => "voices",
            Self::Frozen => "frozen",
            Self::Output => "output",
            Self::Take => "take",
            Self::Glance => "glance",
        }
    }
}

/// Takes down which stage is at work. The plugin's is `()`, of which nothing is left when it is compiled; the bench's
/// reads a clock.
pub trait StageClock {
    /// From here on this stage is at work.
    fn enter(&mut self, stage: Stage);
}

impl StageClock for () {
    #[inline(always)]
    fn enter(&mut self, _: Stage) {}
}
