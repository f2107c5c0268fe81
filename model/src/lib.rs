//! Continuo's music and inference, which the plugin and the trainer share. The crate knows no plugin, thread or host,
//! and no training framework: the crate `continuo-network` holds the networks in training.
//!
//! The whole path from a weights file to notes: load a network, feed it a phrase, and let it decide a bar.
//!
//! ```
//! use continuo_model::decision::{Edge, Given};
//! use continuo_model::generate::{Step, StepSettings, network};
//! use continuo_model::sampling::Sampler;
//! use continuo_model::weights_file::Weights;
//!
//! let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../weights/folk.safetensors");
//! let weights = Weights::read(file.as_ref())?;
//! // All performances share the packed weights.
//! let network = network(&weights)?;
//! assert!(!network.capabilities().harmonises, "a melody model plays in turn with the player");
//! let mut performer = network.performer();
//!
//! let settings = StepSettings { sampler: Sampler::CAREFUL, rng_seed: 1, ..StepSettings::default() };
//! let step = |step_idx: i64, given: Given| {
//!     let step_in_beat = step_idx as usize % 4;
//!     // The first step after the player's phrase starts a note.
//!     Step { step_idx, step_in_beat, given, attack: step_idx == 16, settings }
//! };
//!
//! // The player's phrase, lane 0: eight eighths, each two steps long.
//! for (n, key) in (0..).zip([62, 64, 66, 67, 69, 67, 66, 64]) {
//!     let mut struck = Given::default();
//!     struck.strike(0, key, 100);
//!     performer.decide(&step(2 * n, struck));
//!     let mut held = Given::default();
//!     held.hold(0, key);
//!     performer.decide(&step(2 * n + 1, held));
//! }
//!
//! // The network's bar: sixteen steps in which it decides every lane.
//! let mut notes = Vec::new();
//! for step_idx in 16..32 {
//!     let decision = performer.decide(&step(step_idx, Given::NOTHING));
//!     for edge in decision.edges() {
//!         if let Edge::On { lane, key, tick, .. } = *edge {
//!             notes.push((step_idx, lane, key, tick));
//!         }
//!     }
//! }
//! assert_eq!(notes[0].0, 16, "the model enters on the bar");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

// `model/clippy.toml` lists what rounds differently on other machines.
#![cfg_attr(not(test), deny(clippy::disallowed_methods))]

pub mod config;
pub mod decision;
pub mod expression;
pub mod generate;
pub mod hash;
pub mod key;
pub mod lexicon;
mod line_memory;
pub mod math;
pub mod midi_file;
pub mod note_tokens;
#[allow(clippy::disallowed_methods, reason = "its samples decide no note")]
pub mod organ;
pub mod phrase;
pub mod phrasing;
pub mod random;
pub mod repetition;
pub mod rules;
pub mod sampling;
pub mod stream;
pub mod tokeniser;
pub mod vocabulary;
pub mod weights_file;
