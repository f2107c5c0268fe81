//! Music to learn from, whatever the file: a reader a format, each of which gives pieces.

mod abc;
mod beats;
mod csv;
mod dcml_tsv;
mod decoding;
pub mod folder;
mod format;
mod grid_json;
mod json;
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

/// All formats; of two that a file may be, the first counts. A new one has its line here.
const FORMATS: [&format::Format; 8] = [
    &midi::FORMAT,
    &musicxml::FORMAT,
    &musicxml::COMPRESSED,
    &dcml_tsv::FORMAT,
    &csv::FORMAT,
    &kern::FORMAT,
    &abc::FORMAT,
    &json::FORMAT,
];
