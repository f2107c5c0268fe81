//! What a line model is trained on and judged by: songs in words.

use std::sync::Arc;

use anyhow::{Result, bail, ensure};
use continuo_model::lexicon::Lexicon;
use continuo_model::random::SplitMix64;

use crate::kinds::Music;
use crate::preparation::{self, ALL_KEYS, KeyPlan, Preparation, Report, Song, Spelt};

/// What a line model's figures are in: the nats of all words, over the notes, chords and rests that they spell. What
/// ends a piece costs nats and is no event.
pub const UNIT: &str = "nats per event";

/// Songs, and the words that they are spelt in.
pub struct Songs {
    options: Preparation,
    /// The words.
    pub lexicon: Arc<Lexicon>,
    train: Vec<Song>,
    valid: Vec<Song>,
    /// What became of the music.
    pub report: Report,
}

impl Songs {
    /// Prepares music; the words are those of the training songs.
    ///
    /// # Errors
    /// If the music cannot be read, or nothing is left to learn from or to be judged by.
    pub fn read(music: Music, options: &Preparation) -> Result<Self> {
        let prepared = preparation::read(music.paths, options, music.strict)?;
        for (what, songs) in [("learn from", &prepared.train), ("be judged by", &prepared.valid)] {
            ensure!(
                !songs.is_empty(),
                "--data: expected pieces to {what}, got none\n{}\nadd music, or loosen the recipe's [preparation]",
                prepared.report
            );
        }
        let lexicon = preparation::lexicon(&prepared.train, options).map_err(anyhow::Error::msg)?;
        Ok(Self::of(prepared, options, lexicon))
    }

    /// Prepares music in words that there are.
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
    /// If there is no such split, or nothing in it.
    pub fn of_split(&self, split: &str) -> Result<&[Song]> {
        let songs = match split {
            "train" => &self.train,
            "valid" => &self.valid,
            _ => bail!("--split: expected `train` or `valid`, got `{split}`"),
        };
        ensure!(!songs.is_empty(), "--data: expected songs in `{split}`, got none\n{}", self.report);
        Ok(songs)
    }

    /// The songs of a split in words.
    ///
    /// # Errors
    /// As [`Self::of_split`].
    pub fn spelt(&self, split: &str) -> Result<Vec<Spelt>> {
        Ok(self.of_split(split)?.iter().map(|song| self.spell(song)).collect())
    }

    /// The training songs for one epoch, in its keys.
    pub fn to_learn(&self, rng: &mut SplitMix64) -> Vec<Spelt> {
        let all_keys: Vec<i8> = ALL_KEYS.collect();
        let in_key = |song: &Song| match self.options.key {
            // A song that would leave MIDI's range stays where it is.
            KeyPlan::All => song.transposed(all_keys[rng.next_below(all_keys.len())]).unwrap_or_else(|| song.clone()),
            KeyPlan::Home | KeyPlan::None => song.clone(),
        };
        self.train.iter().map(in_key).map(|song| self.spell(&song)).collect()
    }

    /// The training songs in every key that is learnt.
    pub fn to_learn_in_every_key(&self) -> Vec<Spelt> {
        let shifts = if self.options.key == KeyPlan::All { ALL_KEYS } else { 0..=0 };
        let in_keys = |song| shifts.clone().filter_map(move |shift| Song::transposed(song, shift));
        self.train.iter().flat_map(in_keys).map(|song| self.spell(&song)).collect()
    }

    /// How many words an event of the training songs has.
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
