//! Readers of music files: one for each format; each returns pieces.

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

/// All formats. If a file matches several, the first one counts. Add new formats here.
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
