//! Music to learn from, whatever the file: a reader a format, each of which gives pieces.

mod abc;
mod beats;
mod csv;
mod dcml_tsv;
mod decoding;
pub mod folder;
mod grid_json;
mod kern;
pub mod key;
mod leadsheets;
mod midi;
mod musicxml;
pub mod piece;
mod pitch_table;
mod repeats;
mod written;

#[cfg(test)]
pub mod bad_input;
#[cfg(test)]
pub use musicxml::read as read_musicxml;
