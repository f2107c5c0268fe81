//! The n-gram baseline: the loss of counting on the same words, split and unit as a line model.

mod ngram;

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use continuo_model::lexicon::Grammar;
use ngram::{NGram, Smoothing};
use serde::Serialize;

use super::evaluation::LineLoss;
use super::songs::{Songs, UNIT};
use crate::kinds::Judgement;
use crate::preparation::Spelt;

/// One in this many training songs is set aside to choose the order and the smoothing.
const SET_ASIDE: usize = 10;

/// The loss of an n-gram.
#[derive(Clone, Debug, Serialize)]
struct Baseline {
    /// The loss.
    #[serde(flatten)]
    loss: LineLoss,
    /// Number of different words.
    vocabulary: usize,
    /// The order of the n-gram, chosen on the songs set aside.
    order: usize,
    /// The smoothing, chosen on the same songs.
    smoothing: String,
}

/// Trains an n-gram on the training songs and evaluates it on the songs of `split`.
///
/// # Errors
/// If there are no training songs, or the split is empty.
pub fn judgement(songs: &Songs, split: &str) -> Result<Judgement> {
    let baseline = of(songs, split)?;
    let Baseline { loss, vocabulary, order, smoothing } = &baseline;
    Ok(Judgement {
        loss: loss.micro,
        unit: UNIT,
        figures: BTreeMap::new(),
        json: serde_json::to_string(&baseline)?,
        words: format!("{}\n{loss}\nn-gram of up to {order} words of {vocabulary}, {smoothing}", songs.report),
    })
}

fn of(songs: &Songs, split: &str) -> Result<Baseline> {
    let train: Vec<Spelt> = songs.to_learn_in_every_key();
    let evaluated = songs.spelt(split)?;
    ensure!(
        !train.is_empty() && !evaluated.is_empty(),
        "--data: expected songs to train on and songs in `{split}`, got none"
    );
    // In a melody, a word is a 16th and a note takes two to four words.
    let longest = if songs.lexicon.grammar() == Grammar::Melody { 32 } else { 16 };
    let size = songs.lexicon.len();
    let delimiter = songs.lexicon.delimiter();
    let learn = |songs: &[&Spelt]| NGram::new(songs.iter().map(|song| &song.tokens[..]), delimiter, size, longest);
    let (aside, rest): (Vec<_>, Vec<_>) = train.iter().enumerate().partition(|(n, _)| n % SET_ASIDE == 0);
    let (aside, rest) = (only_songs(aside), only_songs(rest));
    let (smoothing, order) = choose(&learn(&rest), delimiter, &aside);
    let ngram = learn(&train.iter().collect::<Vec<_>>());
    let nats: Vec<f64> = evaluated.iter().map(|song| losses(&ngram, delimiter, song, smoothing)[order - 1]).collect();
    Ok(Baseline { loss: LineLoss::of(&nats, &evaluated), vocabulary: size, order, smoothing: format!("{smoothing:?}") })
}

fn only_songs(songs: Vec<(usize, &Spelt)>) -> Vec<&Spelt> {
    songs.into_iter().map(|(_, song)| song).collect()
}

/// The smoothing and the order with the lowest loss on `songs`.
fn choose(ngram: &NGram, delimiter: u16, songs: &[&Spelt]) -> (Smoothing, usize) {
    let mut all = Vec::new();
    for smoothing in [Smoothing::WittenBell, Smoothing::KneserNey] {
        let mut sums: Vec<f64> = Vec::new();
        for song in songs {
            let losses = losses(ngram, delimiter, song, smoothing);
            sums.resize(losses.len(), 0.0);
            sums.iter_mut().zip(losses).for_each(|(sum, loss)| *sum += loss);
        }
        all.extend((1..).zip(sums).map(|(order, sum)| (sum, smoothing, order)));
    }
    let (_, smoothing, order) = all.into_iter().min_by(|a, b| a.0.total_cmp(&b.0)).expect("an n-gram has orders");
    (smoothing, order)
}

/// The nats of a song for the n-grams of each order.
fn losses(ngram: &NGram, delimiter: u16, song: &Spelt, smoothing: Smoothing) -> Vec<f64> {
    let mut reader = ngram.reader(delimiter);
    let mut sums: Vec<f64> = Vec::new();
    for &word in &song.tokens {
        let probs = reader.probabilities(word, smoothing);
        sums.resize(probs.len(), 0.0);
        sums.iter_mut().zip(probs).for_each(|(sum, p)| *sum -= p.ln());
        reader.feed(word);
    }
    sums
}
