//! Batches for line models: windows of words.

use std::sync::Arc;

use anyhow::Result;
use candle_core::{Device, Tensor};
use continuo_model::config::LineConfig;
use continuo_model::lexicon::Lexicon;
use continuo_model::random::SplitMix64;
use continuo_model::tokeniser::Reader;
use continuo_model::tokeniser::line_reader::LineReader;
use continuo_model::tokeniser::step_reader::NO_INDEX;
use continuo_network::{Inputs, LineInputs};

use crate::batches::Batch;
use crate::preparation::Spelt;
use crate::recipe::Training;

/// Words at the start of a window within a song that only prepare the state and are not trained on: they do not follow
/// a delimiter in the song.
const WORDS_TO_SETTLE: usize = 8;

/// The starts of windows, (song, word): the start of each song, and for songs longer than a window also starts of
/// events within it, with another offset in each epoch.
pub fn windows(songs: &[Spelt], training: &Training, rng: &mut SplitMix64) -> Vec<(usize, usize)> {
    let mut windows = Vec::new();
    for (idx, song) in songs.iter().enumerate() {
        let phase = rng.next_below(training.window_hop_steps);
        let len = song.tokens.len();
        windows.push((idx, 0));
        if len <= training.window_steps {
            continue;
        }
        let event_from = |word: usize| (word..len).find(|&word| song.steps_in_beat[word].is_some());
        let last_start = len - training.window_steps;
        let mut starts: Vec<usize> = (phase..last_start)
            .step_by(training.window_hop_steps)
            .chain([last_start])
            .filter_map(event_from)
            .filter(|&word| word > 0)
            .collect();
        starts.dedup();
        windows.extend(starts.into_iter().map(|word| (idx, word)));
    }
    rng.shuffle(&mut windows);
    windows
}

/// A batch of windows of at most `words` words each; shorter if all windows are.
pub fn batch(
    config: &LineConfig,
    lexicon: &Arc<Lexicon>,
    songs: &[Spelt],
    windows: &[(usize, usize)],
    words: usize,
    device: &Device,
) -> Result<Batch> {
    let len = |&(song, start): &(usize, usize)| (songs[song].tokens.len() - start).min(words);
    let (slots, batch) = (config.slots(), windows.len());
    let words = windows.iter().map(len).max().unwrap_or(0);
    let mut indices = vec![NO_INDEX; words * batch * slots];
    let mut targets = vec![0_u32; words * batch];
    let mut weights = vec![0_f32; words * batch];
    let mut reader = LineReader::new(lexicon.clone());
    for (column, window) in windows.iter().enumerate() {
        let (song, start) = (&songs[window.0], window.1);
        // Starts after a delimiter, as a performance does, wherever the window is in the song.
        reader.reset();
        for word in 0..len(window) {
            let (to, from) = (word * batch + column, start + word);
            if let Some(step_in_beat) = song.steps_in_beat[from] {
                reader.set_step_in_beat(step_in_beat.into());
            }
            reader.indices(&config.features, &mut indices[to * slots..(to + 1) * slots]);
            targets[to] = song.tokens[from].into();
            weights[to] = if start > 0 && word < WORDS_TO_SETTLE { 0.0 } else { 1.0 };
            reader.feed(0, song.tokens[from]);
        }
    }
    Ok(Batch {
        inputs: Inputs::Line(LineInputs { steps: words, batch, indices: indices.into() }),
        targets: Tensor::from_vec(targets, words * batch, device)?,
        weights: Tensor::from_vec(weights, words * batch, device)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A song of words; events begin at `beginnings`.
    fn song(tokens: &[u16], beginnings: &[usize]) -> Spelt {
        let steps_in_beat = (0..tokens.len()).map(|n| beginnings.contains(&n).then_some(n as u8 % 4)).collect();
        Spelt { tokens: tokens.to_vec(), steps_in_beat, num_events: beginnings.len() }
    }

    fn training(window: usize, hop: usize) -> Training {
        toml::from_str(&format!(
            "optimiser = \"adam\"\nlearning_rate = 1.0\nbatch = 2\nwindow_steps = {window}\nwindow_hop_steps = {hop}\n\
             clip_norm = 1.0\nepochs = 1\npatience = 1"
        ))
        .unwrap()
    }

    #[test]
    fn windows_begin_with_songs_and_events() {
        // The pitch 60 held for four 16ths, five times: an event begins at every fourth word.
        let long: Vec<u16> = (0..20).map(|n| if n % 4 == 0 { 3 } else { 2 }).chain([0]).collect();
        let songs = [song(&long, &[0, 4, 8, 12, 16]), song(&[3, 2, 0], &[0])];
        for seed in 0..20 {
            let mut windows = windows(&songs, &training(10, 5), &mut SplitMix64::new(seed));
            windows.sort_unstable();
            assert_eq!((windows[0], *windows.last().unwrap()), ((0, 0), (1, 0)));
            assert!(windows.contains(&(0, 12)), "the end is in one: {windows:?}");
            assert!(windows.iter().all(|(_, word)| word % 4 == 0), "{windows:?}");
        }
    }

    #[test]
    fn a_window_is_read_as_a_performance_begins() {
        let lexicon = Arc::new(Lexicon::parse("/ r _ 60 61 62").unwrap());
        let config: LineConfig = serde_json::from_str(
            r#"{"vocab_size": 6, "embedding": 4, "features": ["beat"], "lstm": [4], "context_events": 8}"#,
        )
        .unwrap();
        let tokens: Vec<u16> = (0..12).map(|n| 3 + n % 3).chain([0]).collect();
        let songs = [song(&tokens, &(0..12).collect::<Vec<_>>())];
        let batch = batch(&config, &lexicon, &songs, &[(0, 0), (0, 2)], 100, &Device::Cpu).unwrap();
        let Inputs::Line(inputs) = batch.inputs else { panic!("a line") };
        assert_eq!((inputs.steps, inputs.batch), (13, 2));
        assert_eq!(batch.targets.to_vec1::<u32>().unwrap()[..4], [3, 5, 4, 3]);
        // The previous word, and the row of the beat, which comes after the rows of the six words.
        let rows = |word: usize, column: usize| &inputs.indices[(word * 2 + column) * 2..][..2];
        assert_eq!([rows(0, 0), rows(1, 0), rows(0, 1), rows(1, 1)], [[0, 6], [3, 7], [0, 8], [5, 9]]);
        assert_eq!(rows(12, 1), [NO_INDEX; 2]);
        let weights = batch.weights.to_vec1::<f32>().unwrap();
        let column = |n: usize| weights.iter().skip(n).step_by(2).sum::<f32>();
        assert_eq!((column(0), column(1)), (13.0, 3.0));
    }
}
