//! Networks, tokens, sampling and weights files: what the plugin and the trainer share. Knows no plugin,
//! thread or host.

pub mod math;
pub mod network;
pub mod random;
pub mod stream;
pub mod tokeniser;
pub mod vocabulary;
pub mod weights_file;
