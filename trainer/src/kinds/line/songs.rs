//! The songs that a line model is trained and evaluated on, and their words.

use std::sync::Arc;

use anyhow::{Result, bail, ensure};
use continuo_model::lexicon::Lexicon;
use continuo_model::random::SplitMix64;

use crate::kinds::Music;
use crate::preparation::{self, ALL_KEYS, KeyPlan, Preparation, Report, Song, Spelt};

/// The unit of losses: the nats of all words, divided by the number of notes, chords and rests that they spell. The end
/// of a piece costs nats but is not an event.
pub const UNIT: &str = "nats per event";

/// Songs, and the words that they are spelt in.
pub struct Songs {
    options: Preparation,
    /// The words.
    pub lexicon: Arc<Lexicon>,
    train: Vec<Song>,
    valid: Vec<Song>,
    /// What happened to the music.
    pub report: Report,
}

impl Songs {
    /// Prepares music; the training songs determine the words.
    ///
    /// # Errors
    /// If the music cannot be read, or a split is empty.
    pub fn read(music: Music, options: &Preparation) -> Result<Self> {
        let prepared = preparation::read(music.paths, options, music.strict)?;
        for (what, songs) in [("train on", &prepared.train), ("validate on", &prepared.valid)] {
            ensure!(
                !songs.is_empty(),
                "--data: expected pieces to {what}, got none\n{}\nadd music, or change the recipe's [preparation]",
                prepared.report
            );
        }
        let lexicon = preparation::lexicon(&prepared.train, options).map_err(anyhow::Error::msg)?;
        Ok(Self::of(prepared, options, lexicon))
    }

    /// Prepares music with a given lexicon.
    ///
    /// # Errors
    /// If the music cannot be read.
    pub fn read_in_words(music: Music, options: &Preparation, lexicon: Lexicon) -> Result<Self> {
        Ok(Self::of(preparation::read(music.paths, options, music.strict)?, options, lexicon))
    }

    fn of(prepared: preparation::Prepared, options: &Preparation, lexicon: Lexicon) -> Self {
        let preparation::Prepared { train, valid, report } = prepared;
        Self { options: options.clone(), lexicon: Arc::new(lexicon), train, valid, report }
    }

    /// The songs of a split.
    ///
    /// # Errors
    /// If the split does not exist or is empty.
    pub fn of_split(&self, split: &str) -> Result<&[Song]> {
        let songs = match split {
            "train" => &self.train,
            "valid" => &self.valid,
            _ => bail!("--split: expected `train` or `valid`, got `{split}`"),
        };
        ensure!(!songs.is_empty(), "--data: expected songs in `{split}`, got none\n{}", self.report);
        Ok(songs)
    }

    /// The songs of a split, spelt in words.
    ///
    /// # Errors
    /// As [`Self::of_split`].
    pub fn spelt(&self, split: &str) -> Result<Vec<Spelt>> {
        Ok(self.of_split(split)?.iter().map(|song| self.spell(song)).collect())
    }

    /// The training songs for an epoch, transposed as the options say.
    pub fn to_learn(&self, rng: &mut SplitMix64) -> Vec<Spelt> {
        let all_keys: Vec<i8> = ALL_KEYS.collect();
        let in_key = |song: &Song| match self.options.key {
            // A song that would leave the range of MIDI is not transposed.
            KeyPlan::All => song.transposed(all_keys[rng.next_below(all_keys.len())]).unwrap_or_else(|| song.clone()),
            KeyPlan::Home | KeyPlan::None => song.clone(),
        };
        self.train.iter().map(in_key).map(|song| self.spell(&song)).collect()
    }

    /// The training songs in every key that is trained.
    pub fn to_learn_in_every_key(&self) -> Vec<Spelt> {
        let shifts = if self.options.key == KeyPlan::All { ALL_KEYS } else { 0..=0 };
        let in_keys = |song| shifts.clone().filter_map(move |shift| Song::transposed(song, shift));
        self.train.iter().flat_map(in_keys).map(|song| self.spell(&song)).collect()
    }

    /// The mean number of words per event in the training songs.
    pub fn words_per_event(&self) -> f64 {
        let spelt: Vec<Spelt> = self.train.iter().map(|song| self.spell(song)).collect();
        let (words, events) =
            spelt.iter().fold((0, 0), |(words, events), song| (words + song.tokens.len(), events + song.num_events));
        words as f64 / events.max(1) as f64
    }

    fn spell(&self, song: &Song) -> Spelt {
        preparation::spell(song, &self.lexicon, self.options.grammar)
    }
}
