//! The built bundle, in both formats, played as hands and hosts play.

#![forbid(unsafe_code)]

mod chords;
mod controllers;
mod filter;
mod lost;
mod names;
mod playing;
mod releases;
mod sharing;
mod starts;
mod tunes;
mod turns;
mod two_hands;
