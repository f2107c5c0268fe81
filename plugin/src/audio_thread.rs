//! Everything the host calls for each block of audio. Nothing here may allocate, free, lock, block or log. The one wait
//! is the bounded one in [`deadline`].

// Tests may allocate: they do not run in real time.
#![cfg_attr(not(test), deny(clippy::disallowed_methods, clippy::disallowed_types, clippy::disallowed_macros))]
#![allow(clippy::large_enum_variant, reason = "a large variant cannot be boxed: this thread may not allocate")]

mod deadline;
mod frozen;
mod glance;
mod hands;
mod input;
mod listener;
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
