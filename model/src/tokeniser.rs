//! From music to tokens and back.

pub mod echo;
pub mod grid;
pub mod line_reader;
pub mod score;
pub mod step_reader;
