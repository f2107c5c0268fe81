//! You may not allocate, free, lock, block or log here. What the host calls for every block of audio; its one wait is the
//! deadline in [`sequencer`], which is bounded.

// Tests may allocate; they play to nobody.
#![cfg_attr(not(test), deny(clippy::disallowed_methods, clippy::disallowed_types, clippy::disallowed_macros))]

mod budget;
mod cadence;
mod controllers;
mod dealing;
mod due;
pub mod events;
mod failure;
mod frozen;
mod glance;
mod hands;
mod held_notes;
pub mod modes;
mod motion;
pub mod pace;
mod player;
pub mod preview;
pub mod process;
mod rows;
pub mod sequencer;
pub mod settings;
mod timeline;
pub mod transport;
mod voices;

#[cfg(test)]
mod tests;
