//! The command line's sampling options.

use anyhow::{Result, ensure};
use continuo_model::sampling::Sampler;
use continuo_model::weights_file::Description;

/// How the commands that play a network sample its notes.
#[derive(clap::Args)]
pub struct SamplerArgs {
    /// How adventurous the choice of notes is: 0 always takes the likeliest, 1 keeps the network's own probabilities.
    /// By default as the weights file states, else 0.6.
    #[arg(long)]
    temperature: Option<f32>,
    /// Sample only from the likeliest notes whose probabilities add up to this share. By default as the weights file
    /// states, else 0.95.
    #[arg(long)]
    top_p: Option<f32>,
    /// How much to lower the temperature when many notes are likely and to raise it when one is nearly certain, 0 to 1.
    #[arg(long, default_value_t = Sampler::CAREFUL.entropy)]
    entropy: f32,
    /// Factor on the probability of a rest, 0 to 2.
    #[arg(long, default_value_t = Sampler::CAREFUL.rest_weight)]
    rests: f32,
    /// Factor on the probability that a note is held, 0 to 2.
    #[arg(long, default_value_t = Sampler::CAREFUL.hold_weight)]
    holds: f32,
}

impl SamplerArgs {
    /// Checks the options. Commands call it before they read any file.
    ///
    /// # Errors
    /// If a value is out of range.
    pub fn check(&self) -> Result<()> {
        let &Self { temperature, top_p, entropy, rests, holds } = self;
        if let Some(temperature) = temperature {
            ensure!((0.0..=5.0).contains(&temperature), "--temperature: expected 0 to 5, got {temperature}");
        }
        if let Some(top_p) = top_p {
            ensure!(top_p > 0.0 && top_p <= 1.0, "--top-p: expected above 0 up to 1, got {top_p}");
        }
        ensure!((0.0..=1.0).contains(&entropy), "--entropy: expected 0 to 1, got {entropy}");
        for (name, weight) in [("--rests", rests), ("--holds", holds)] {
            ensure!((0.0..=2.0).contains(&weight), "{name}: expected 0 to 2, got {weight}");
        }
        Ok(())
    }

    /// The sampler that the options describe; what they leave out is the weights' own default.
    pub fn sampler(&self, description: &Description) -> Sampler {
        let own = description.sampler();
        Sampler {
            temperature: self.temperature.unwrap_or(own.temperature),
            top_p: self.top_p.unwrap_or(own.top_p),
            entropy: self.entropy,
            rest_weight: self.rests,
            hold_weight: self.holds,
        }
    }
}
