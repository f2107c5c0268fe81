//! What counting alone achieves: an n-gram over the same words, split and unit as the networks.

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

/// One in so many of the training songs is set aside to choose the n-gram by.
const SET_ASIDE: usize = 10;

/// An n-gram's loss.
#[derive(Clone, Debug, Serialize)]
struct Baseline {
    /// What it loses.
    #[serde(flatten)]
    loss: LineLoss,
    /// How many different words there are.
    vocabulary: usize,
    /// Words in the longest run, chosen on a tenth of the training songs.
    order: usize,
    /// How runs are weighed, chosen there too.
    smoothing: String,
}

/// Learns from the training songs, judges by the songs of `split`.
///
/// # Errors
/// If there is nothing to learn from, or nothing in the split.
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
    let judged = songs.spelt(split)?;
    ensure!(!train.is_empty() && !judged.is_empty(), "--data: expected songs to learn from and in `{split}`, got none");
    // A melody's words are 16ths, two to four of them a note.
    let longest = if songs.lexicon.grammar() == Grammar::Melody { 32 } else { 16 };
    let size = songs.lexicon.len();
    let delimiter = songs.lexicon.delimiter();
    let learn = |songs: &[&Spelt]| NGram::new(songs.iter().map(|song| &song.tokens[..]), delimiter, size, longest);
    let (aside, rest): (Vec<_>, Vec<_>) = train.iter().enumerate().partition(|(n, _)| n % SET_ASIDE == 0);
    let (aside, rest) = (only_songs(aside), only_songs(rest));
    let (smoothing, order) = choose(&learn(&rest), delimiter, &aside);
    let ngram = learn(&train.iter().collect::<Vec<_>>());
    let nats: Vec<f64> = judged.iter().map(|song| losses(&ngram, delimiter, song, smoothing)[order - 1]).collect();
    Ok(Baseline { loss: LineLoss::of(&nats, &judged), vocabulary: size, order, smoothing: format!("{smoothing:?}") })
}

fn only_songs(songs: Vec<(usize, &Spelt)>) -> Vec<&Spelt> {
    songs.into_iter().map(|(_, song)| song).collect()
}

/// The smoothing and the order that foresee songs best.
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

/// The nats of a song by the n-grams of each order.
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
