//! Networks, tokens, sampling and weights files: what the plugin and the trainer share. Knows no plugin,
//! thread or host.

pub mod decision;
pub mod generate;
pub mod key;
pub mod kind;
pub mod lexicon;
pub mod line_memory;
pub mod math;
pub mod midi_file;
pub mod network;
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
