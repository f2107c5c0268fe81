//! The music and the playing: tokens, streaming networks, sampling, weights files. Knows no plugin, thread or host, and no framework
//! that trains: the trainer's networks are in the crate `continuo-network`.

pub mod config;
pub mod decision;
pub mod generate;
pub mod key;
pub mod lexicon;
pub mod line_memory;
pub mod math;
pub mod midi_file;
pub mod organ;
pub mod phrase;
pub mod random;
pub mod repetition;
pub mod rules;
pub mod sampling;
pub mod stream;
pub mod tokeniser;
pub mod vocabulary;
pub mod weights_file;
