//! From music to tokens and back.

pub mod echo;
pub mod grid;
pub mod line_echo;
pub mod line_reader;
pub mod step_reader;

/// Reads music as a network's tokens, and knows what the network is shown before the next one. Training and playing
/// read through the same reader, so they cannot differ.
pub trait Reader: Clone + std::fmt::Debug + Send {
    /// Back to the start of a piece. Does not allocate.
    fn reset(&mut self);

    /// Makes this the same as `other`, a reader of the same network. Does not allocate.
    fn copy_from(&mut self, other: &Self);

    /// Sets which 16th of the beat (0 to 3) the coming step is: at a step's start only. A host may jump, and then the
    /// count must follow it.
    fn set_step_in_beat(&mut self, step_in_beat: usize);

    /// Takes the next token; on the grid, `voice`'s.
    fn feed(&mut self, voice: usize, token: u16);
}

/// Reads four voices on the grid. `Default` is the start of a piece, on a beat.
pub trait GridReader: Reader + Default {
    /// What `voice` (0 = soprano) sounds after the last token fed for it.
    fn sounding(&self, voice: usize) -> Option<u8>;

    /// Shows the network no echo for this many steps, if it hears echoes at all.
    fn hide_echo(&mut self, _steps: usize) {}
}
