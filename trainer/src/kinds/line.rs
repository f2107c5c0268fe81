//! Line models: songs spelt in words, which are derived from the music and saved with the weights.

mod baseline;
mod evaluation;
mod songs;
mod windows;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail, ensure};
use candle_core::Device;
use continuo_model::config::{HomeKey, LineConfig, NetworkConfig};
use continuo_model::generate::Network;
use continuo_model::lexicon::Lexicon;
use continuo_model::random::SplitMix64;
use continuo_model::weights_file::{Description, Weights};

use super::{Judgement, Judging, Material, Music, TrainerSide, WordsOf, dense_layers, lstm_layers};
use crate::batches::{Batch, Epoch, Sequences, Window};
use crate::corpus::folder;
use crate::own_past;
use crate::preparation::four_voices::FourVoices;
use crate::preparation::{self, KeyPlan, Preparation, Spelt, groups_if_any};
use crate::recipe::{self, Recipe, Training};
use crate::seeds::Seed;
use songs::{Songs, UNIT};

impl TrainerSide for LineConfig {
    fn layers(&self) -> Vec<String> {
        let mut layers = vec![format!("rows of {}", self.embedding)];
        layers.extend(lstm_layers(&self.lstm));
        layers.extend(dense_layers(&self.dense));
        layers
    }

    fn check(&self, recipe: &Recipe) -> Result<()> {
        let preparation = Preparation::of(recipe)?;
        ensure!(
            self.vocab_size == 0,
            "network.vocab_size: expected none, because the music determines it, got {}",
            self.vocab_size
        );
        let home_key = if preparation.key == KeyPlan::Home { HomeKey::CMajorAMinor } else { HomeKey::None };
        ensure!(
            self.home_key == home_key,
            "network.home_key: expected {home_key:?} with preparation.key = {:?}, got {:?}",
            preparation.key,
            self.home_key
        );
        ensure!(
            recipe.split == recipe::default_split(),
            "split: expected none for a line model, whose songs are split by [preparation], got {:?}",
            recipe.split
        );
        ensure!(
            !recipe.training.transpose && recipe.training.any_order == 0.0,
            "training.transpose and any_order: expected neither for a line model; preparation.key = \"all\" trains in \
             every key"
        );
        own_past::check_unused(recipe)
    }

    fn material(&self, recipe: &Recipe, music: Music, start: Option<&Weights>) -> Result<Box<dyn Material>> {
        let options = Preparation::of(recipe)?;
        let songs = match start {
            // Fine-tuning keeps the words of the initial weights.
            Some(weights) => {
                let songs = Songs::read_in_words(music, &options, lexicon_to_start_from(&weights.description)?)?;
                songs.of_split("train")?;
                songs
            }
            None => Songs::read(music, &options)?,
        };
        println!("{}\n{} words", songs.report, songs.lexicon.len());
        let config = LineConfig { vocab_size: songs.lexicon.len(), ..self.clone() };
        Ok(Box::new(Learning { config, valid: songs.spelt("valid")?, songs }))
    }

    /// Prepares the music as the weights' recipe describes and splits it as in training.
    fn judge(&self, weights: &Weights, judging: Judging) -> Result<Judgement> {
        ensure!(judging.given.is_empty(), "--given: expected none for a line model, which has no voices");
        let songs = songs_of(&weights.description, judging.music)?;
        evaluation::judgement(self.pack(weights), &songs.spelt(judging.split)?)
    }

    fn pieces(&self, _weights: &Weights, _music: Music, _split: &str) -> Result<Vec<FourVoices>> {
        bail!("--play and --free: expected a network of four voices, got a line model, which plays one part alone")
    }

    fn baseline(&self, words: WordsOf, judging: Judging) -> Result<Judgement> {
        let songs = match words {
            WordsOf::Recipe(recipe) => Songs::read(judging.music, &Preparation::of(recipe)?)?,
            WordsOf::Weights(description) => songs_of(description, judging.music)?,
        };
        baseline::judgement(&songs, judging.split)
    }

    fn seed(&self, weights: &Weights, path: &Path) -> Result<Seed> {
        let options = options_of(&weights.description)?.for_a_seed();
        let paths = [path.to_path_buf()];
        let corpus = folder::read(
            &paths,
            folder::Options { as_written: options.as_written, strict: true, ..folder::Options::default() },
        )?;
        let piece = corpus.pieces.first().with_context(|| format!("{}: expected music, got none", path.display()))?;
        let song = preparation::song_of(piece, &options);
        Ok(Seed::of_song(&song.map_err(|reason| anyhow!("{}: {reason}", path.display()))?.0))
    }

    fn seeds(&self, weights: &Weights, paths: &[PathBuf]) -> Result<Vec<Seed>> {
        let options = options_of(&weights.description)?;
        let groups = groups_if_any(paths, options.groups.clone());
        let options = Preparation { key: KeyPlan::None, groups, ..options };
        let prepared = preparation::read(paths, &options, false)?;
        Ok(prepared.train.iter().map(Seed::of_song).collect())
    }
}

/// The preparation with which a line model was trained.
fn options_of(description: &Description) -> Result<Preparation> {
    Preparation::of(&Recipe::parse(&description.recipe).context("the recipe inside of the weights")?)
}

/// The songs to evaluate a line model on.
fn songs_of(description: &Description, music: Music) -> Result<Songs> {
    let lexicon = description.words().map_err(anyhow::Error::msg)?;
    Songs::read_in_words(music, &options_of(description)?, lexicon)
}

fn lexicon_to_start_from(description: &Description) -> Result<Lexicon> {
    let words = description.lexicon.as_ref();
    let words = words.context("--from: expected a line model, as the recipe's is, got one of four voices")?;
    Lexicon::parse(words).map_err(anyhow::Error::msg).context("--from")
}

/// Songs to train and validate on.
struct Learning {
    config: LineConfig,
    songs: Songs,
    valid: Vec<Spelt>,
}

impl Material for Learning {
    fn config(&self) -> NetworkConfig {
        NetworkConfig::Line(self.config.clone())
    }

    fn num_pieces(&self) -> (usize, usize) {
        (self.songs.report.train.0, self.valid.len())
    }

    fn epoch(&self, training: &Training, _player: Option<&Arc<dyn Network>>, rng: &mut SplitMix64) -> Epoch {
        let songs = self.songs.to_learn(rng);
        let windows = windows::windows(&songs, training, rng);
        let (config, lexicon) = (self.config.clone(), self.songs.lexicon.clone());
        let sequences = LineSequences { config, lexicon, songs, window_words: training.window_steps };
        Epoch { sequences: Box::new(sequences), windows, batch: training.batch }
    }

    fn judge(&self, weights: &Weights) -> Result<Judgement> {
        evaluation::judgement(self.config.pack(weights), &self.valid)
    }

    fn unit(&self) -> &'static str {
        UNIT
    }

    /// An event consists of several words.
    fn targets_per_unit(&self) -> f64 {
        self.songs.words_per_event()
    }

    fn vocabulary(&self) -> (String, Option<String>) {
        let lexicon = &self.songs.lexicon;
        (lexicon.hash().to_string(), Some(lexicon.spelling()))
    }
}

/// Songs as words.
struct LineSequences {
    config: LineConfig,
    lexicon: Arc<Lexicon>,
    songs: Vec<Spelt>,
    window_words: usize,
}

impl Sequences for LineSequences {
    fn batch(&self, windows: &[Window], device: &Device) -> Result<Batch> {
        windows::batch(&self.config, &self.lexicon, &self.songs, windows, self.window_words, device)
    }
}
