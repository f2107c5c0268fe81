//! From music to tokens and back.

pub mod grid;
pub mod score;
