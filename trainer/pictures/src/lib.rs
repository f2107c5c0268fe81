//! Pictures of music, for the jam and the trainer. A crate of its own, as the plugin draws in its window and needs
//! none.

#![forbid(unsafe_code)]

pub mod piano_roll;
