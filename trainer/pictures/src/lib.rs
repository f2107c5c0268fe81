//! Pictures of music, for the jam and the trainer. A separate crate, because the plugin draws in its own window and
//! does not need it.

#![forbid(unsafe_code)]

pub mod piano_roll;
