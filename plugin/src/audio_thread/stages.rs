//! The names of a block's stages, and a clock to measure them. Audio thread.

/// A stage of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Finds the block's position.
    Time,
    /// Follows starts, stops and jumps.
    Discontinuities,
    /// Follows the player's hands.
    Hands,
    /// Decides whose turn it is.
    Turns,
    /// Requests steps from the worker.
    Plan,
    /// Waits for due decisions.
    Deadline,
    /// Plays generated notes.
    Voices,
    /// Plays frozen notes.
    Frozen,
    /// Sends the events to the host.
    Output,
    /// Sends the worker the notes for the take.
    Take,
    /// Sends the editor a snapshot.
    Glance,
}

#[cfg(any(test, feature = "bench"))]
impl Stage {
    /// All stages, in order.
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

    /// The name for display.
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

/// Notes which stage runs. The plugin uses `()`, which compiles to nothing; the bench uses a clock.
pub trait StageClock {
    /// Called when `stage` begins.
    fn enter(&mut self, stage: Stage);
}

impl StageClock for () {
    #[inline(always)]
    fn enter(&mut self, _: Stage) {}
}
