//! You may not allocate, free, lock, block or log here. What the host calls for every block of audio; its one wait is
//! the deadline in [`deadline`], which is bounded.

// Tests may allocate; they play to nobody.
#![cfg_attr(not(test), deny(clippy::disallowed_methods, clippy::disallowed_types, clippy::disallowed_macros))]

mod deadline;
mod frozen;
mod glance;
mod hands;
mod input;
pub mod output;
mod plan;
mod positions;
pub mod preview;
pub mod process;
pub mod settings;
pub mod stages;
mod take_clock;
pub mod transport;
mod turns;
mod voices;

#[cfg(test)]
mod tests;
