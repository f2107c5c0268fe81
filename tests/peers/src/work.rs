//! The work of a step: Continuo's own network, and the inputs with which a peer computes the same.

use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use continuo_model::config::{LineConfig, NetworkConfig, PerformanceConfig, SplitConfig, StackConfig};
use continuo_model::decision::Lanes;
use continuo_model::lexicon::Word;
use continuo_model::note_tokens::{Attribute, NUM_KEYS};
use continuo_model::random::SplitMix64;
use continuo_model::stream::{
    GridLayers, GridNetwork, GridState, LineNetwork, LineState, PerformanceNetwork, Scratch, SplitLayers, StackLayers,
    TrunkState,
};
use continuo_model::tokeniser::grid::{CellReader, NUM_VOICES};
use continuo_model::tokeniser::line_reader::LineReader;
use continuo_model::tokeniser::note_reader::{self, Draft, NoteEvent, NoteReader};
use continuo_model::tokeniser::step_reader::{self, Controls, NO_INDEX, StepReader};
use continuo_model::tokeniser::{GridReader, Reader};
use continuo_model::vocabulary::Vocabulary;
use continuo_model::weights_file::Weights;

use crate::peer::Peer;
use crate::plain::Plain;

/// Seeds the music that all play.
const RNG_SEED: u64 = 11;

/// A step as a peer computes it.
pub struct Step {
    /// The inputs of the trunk's runs.
    trunk: Vec<Vec<f32>>,
    /// The heads that run after it, each with its input.
    heads: Vec<(usize, Vec<f32>)>,
    /// For each output, which of its last columns is added to each of its first; empty if none is.
    columns: Vec<Vec<u32>>,
}

impl Step {
    /// Runs the step on a peer; returns the outputs of the heads or, without heads, of the trunk.
    pub fn run(&self, peer: &mut dyn Peer) -> Result<Vec<Vec<f32>>> {
        let mut outputs = Vec::with_capacity(self.trunk.len() + self.heads.len());
        for x in &self.trunk {
            peer.run_trunk(x)?;
            if self.heads.is_empty() {
                outputs.push(peer.trunk_out()?);
            }
        }
        for (head, e) in &self.heads {
            outputs.push(peer.run_head(*head, e)?);
        }
        Ok(outputs)
    }

    /// What the step reads: see [`Plain::reads`].
    pub fn reads(&self, plain: &Plain) -> Vec<(usize, usize)> {
        plain.reads(self.trunk.len(), &self.heads.iter().map(|(head, _)| *head).collect::<Vec<_>>())
    }

    /// The logits, from what a peer has put out.
    fn logits(&self, outputs: Vec<Vec<f32>>) -> Vec<Vec<f32>> {
        let combined = |(mut output, columns): (Vec<f32>, &Vec<u32>)| {
            let relative = output.split_off(if columns.is_empty() { output.len() } else { columns.len() });
            for (logit, column) in output.iter_mut().zip(columns) {
                *logit += relative.get(*column as usize).unwrap_or(&0.0);
            }
            output
        };
        outputs.into_iter().zip(&self.columns).map(combined).collect()
    }
}

/// Continuo's network, step by step.
pub trait Own {
    /// Computes the next step and goes on to the one after.
    fn step(&mut self);

    /// As [`Self::step`]; returns the step as peers compute it, and the logits.
    fn observed(&mut self, plain: &Plain) -> (Step, Vec<Vec<f32>>);
}

/// Continuo's network of a weights file.
pub fn own(weights: &Weights) -> Result<Box<dyn Own>> {
    let rng = SplitMix64::new(RNG_SEED);
    Ok(match &weights.description.config {
        NetworkConfig::Stack(config) => {
            let network = config.pack(weights).map_err(anyhow::Error::msg)?;
            let tables =
                std::iter::once("embedding.weight").chain(config.features.iter().map(|f| f.kind.tensor_name()));
            let tables = tables.map(|name| weights.tensor(name).to_vec()).collect();
            Box::new(OwnStack {
                config: config.clone(),
                tables,
                grid: OwnGrid::new(network, rng),
                reader: CellReader::new(),
            })
        }
        NetworkConfig::Split(config) => {
            let network = config.pack(weights).map_err(anyhow::Error::msg)?;
            Box::new(OwnSplit { config: config.clone(), grid: OwnGrid::new(network, rng), reader: StepReader::new() })
        }
        NetworkConfig::Line(config) => {
            let network = config.pack(weights).map_err(anyhow::Error::msg)?;
            let reader = LineReader::new(Arc::new(network.lexicon().clone()));
            let (state, scratch) = (network.state(), network.scratch());
            Box::new(OwnLine { config: config.clone(), network, state, scratch, reader, rng })
        }
        NetworkConfig::Performance(config) => {
            let network = config.pack(weights);
            let (state, scratch, mut reader) = (network.trunk_state(), network.scratch(), NoteReader::default());
            reader.set_own(Lanes::first(config.lanes));
            Box::new(OwnPerformance { config: config.clone(), network, state, scratch, reader, rng })
        }
        NetworkConfig::Ensemble(_) => bail!("expected one network, got an ensemble of several"),
    })
}

/// Fails unless a peer computes the same logits, up to rounding.
pub fn check(own: &mut dyn Own, plain: &Plain, peer: &mut dyn Peer, steps: usize) -> Result<Vec<Step>> {
    let mut taken = Vec::new();
    for n in 0..steps {
        let (step, expected) = own.observed(plain);
        let got = step.logits(step.run(peer)?);
        ensure!(got.len() == expected.len(), "{}: {} outputs, expected {}", peer.name(), got.len(), expected.len());
        for (got, expected) in got.iter().zip(&expected) {
            let far = got.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            let is_same = got.len() == expected.len() && far < 2e-3;
            ensure!(is_same, "{}, step {n}: logits differ by {far}", peer.name());
        }
        taken.push(step);
    }
    Ok(taken)
}

/// The sum of table rows, as the peers get it.
fn sum((table, width): &(Vec<f32>, usize), rows: &[u32]) -> Vec<f32> {
    let mut sum = vec![0.0; *width];
    for &row in rows.iter().filter(|row| **row != NO_INDEX) {
        sum.iter_mut().zip(&table[row as usize * width..]).for_each(|(sum, x)| *sum += x);
    }
    sum
}

/// A grid network and the music that it hears.
struct OwnGrid<L: GridLayers> {
    network: GridNetwork<L>,
    state: GridState<L::Reader>,
    scratch: Scratch,
    rng: SplitMix64,
}

impl<L: GridLayers> OwnGrid<L> {
    fn new(network: GridNetwork<L>, rng: SplitMix64) -> Self {
        Self { state: network.state(), scratch: network.scratch(), network, rng }
    }

    fn step(&mut self, mut see: impl FnMut(usize, &[f32], u16)) {
        self.network.begin_step(&mut self.state, Controls::default(), &mut self.scratch);
        for voice in 0..NUM_VOICES {
            let logits = self.network.logits(&mut self.state, voice, &mut self.scratch);
            let token = self.rng.next_below(Vocabulary::GRID.size()) as u16;
            see(voice, logits, token);
            self.state.feed(voice, token);
        }
    }
}

struct OwnStack {
    config: StackConfig,
    /// Of the previous token, then of the features.
    tables: Vec<Vec<f32>>,
    grid: OwnGrid<StackLayers>,
    reader: CellReader,
}

impl Own for OwnStack {
    fn step(&mut self) {
        self.grid.step(|_, _, _| ());
    }

    fn observed(&mut self, _: &Plain) -> (Step, Vec<Vec<f32>>) {
        let Self { config, tables, grid, reader } = self;
        let (mut trunk, mut expected) = (Vec::new(), Vec::new());
        grid.step(|voice, logits, token| {
            let mut indices = [0; 64];
            reader.feature_indices(&config.features, &mut indices);
            let row = |table: &[f32], n: usize, width: usize| table[n * width..(n + 1) * width].to_vec();
            let mut x = match reader.previous() {
                None => vec![0.0; config.embedding],
                Some(token) => row(&tables[0], token.into(), config.embedding),
            };
            let mut indices = indices.iter();
            for (feature, table) in config.features.iter().zip(&tables[1..]) {
                for n in indices.by_ref().take(feature.kind.slots()) {
                    x.extend(row(table, *n as usize, feature.width));
                }
            }
            trunk.push(x);
            expected.push(logits.to_vec());
            reader.feed(voice, token);
        });
        let columns = vec![Vec::new(); trunk.len()];
        (Step { trunk, heads: Vec::new(), columns }, expected)
    }
}

struct OwnSplit {
    config: SplitConfig,
    grid: OwnGrid<SplitLayers>,
    reader: StepReader,
}

impl Own for OwnSplit {
    fn step(&mut self) {
        self.grid.step(|_, _, _| ());
    }

    fn observed(&mut self, plain: &Plain) -> (Step, Vec<Vec<f32>>) {
        let Self { config, grid, reader } = self;
        let mut indices = [NO_INDEX; 64];
        let count = reader.trunk_indices(&config.features, Controls::default(), &mut indices);
        let trunk = vec![sum(&plain.trunk_table, &indices[..count])];
        let (mut heads, mut columns, mut expected) = (Vec::new(), Vec::new(), Vec::new());
        grid.step(|voice, logits, token| {
            let mut indices = [0; step_reader::HEAD_SLOTS];
            reader.head_indices(voice, config.sees_echo(), &mut indices);
            heads.push((0, sum(&plain.head_table, &indices)));
            let mut relative = vec![0; config.vocab_size];
            step_reader::relative_columns(reader.sounding(voice), &mut relative);
            columns.push(relative);
            expected.push(logits.to_vec());
            reader.feed(voice, token);
        });
        (Step { trunk, heads, columns }, expected)
    }
}

struct OwnLine {
    config: LineConfig,
    network: LineNetwork,
    state: LineState,
    scratch: Scratch,
    reader: LineReader,
    rng: SplitMix64,
}

impl OwnLine {
    /// A word that may come next.
    fn word(&mut self) -> u16 {
        let awaits_steps = self.reader.awaits_steps();
        loop {
            let word = self.rng.next_below(self.network.lexicon().len()) as u16;
            if matches!(self.network.lexicon().word(word), Word::Steps(_)) == awaits_steps {
                return word;
            }
        }
    }
}

impl Own for OwnLine {
    fn step(&mut self) {
        self.network.logits(&mut self.state, &mut self.scratch);
        let word = self.word();
        self.state.feed(word);
        self.reader.feed(0, word);
    }

    fn observed(&mut self, plain: &Plain) -> (Step, Vec<Vec<f32>>) {
        let mut indices = [NO_INDEX; 64];
        let count = self.reader.indices(&self.config.features, &mut indices);
        let trunk = vec![sum(&plain.trunk_table, &indices[..count])];
        let expected = self.network.logits(&mut self.state, &mut self.scratch).to_vec();
        let word = self.word();
        self.state.feed(word);
        self.reader.feed(0, word);
        (Step { trunk, heads: Vec::new(), columns: vec![Vec::new()] }, vec![expected])
    }
}

struct OwnPerformance {
    config: PerformanceConfig,
    network: PerformanceNetwork,
    state: TrunkState,
    scratch: Scratch,
    reader: NoteReader,
    rng: SplitMix64,
}

impl OwnPerformance {
    fn note(&mut self, mut see: impl FnMut(&NoteReader, &Draft, Attribute, &[f32])) {
        self.network.advance(&mut self.state, &self.reader, &mut self.scratch);
        let lane = self.rng.next_below(self.config.lanes) as u8;
        let tokens = [
            1 + self.rng.next_below(3) as u8,
            self.rng.next_below(24) as u8,
            lane,
            40 + self.rng.next_below(40) as u8,
            self.rng.next_below(48) as u8,
            20,
        ];
        let mut draft = Draft::default();
        Attribute::ALL.iter().zip(tokens).for_each(|(attribute, token)| draft.set(*attribute, token));
        for attribute in Attribute::ALL {
            let logits = self.network.logits(&mut self.state, &self.reader, attribute, &draft, &mut self.scratch);
            see(&self.reader, &draft, attribute, logits);
        }
        let tick = self.reader.tick_of(&draft);
        let note = NoteEvent { tick, lane, key: tokens[3], duration: Some(30), velocity: Some(80) };
        self.reader.feed(note, Some(tick + 30));
    }
}

impl Own for OwnPerformance {
    fn step(&mut self) {
        self.note(|_, _, _, _| ());
    }

    fn observed(&mut self, plain: &Plain) -> (Step, Vec<Vec<f32>>) {
        let mut rows = [0; note_reader::TRUNK_SLOTS];
        self.reader.trunk_indices(&mut rows);
        let trunk = vec![sum(&plain.trunk_table, &rows)];
        let (mut heads, mut columns, mut expected) = (Vec::new(), Vec::new(), Vec::new());
        self.note(|reader, draft, attribute, logits| {
            let mut rows = [0; note_reader::HEAD_SLOTS];
            reader.head_indices(attribute, draft, &mut rows);
            heads.push((attribute as usize, sum(&plain.head_table, &rows)));
            let relative: [u32; NUM_KEYS] =
                note_reader::relative_columns(reader.reference(draft.token(Attribute::Lane)));
            columns.push(if attribute == Attribute::Key { relative.to_vec() } else { Vec::new() });
            expected.push(logits.to_vec());
        });
        (Step { trunk, heads, columns }, expected)
    }
}

/// The name of a weights file without its folder and extension.
pub fn name(path: &std::path::Path) -> Result<String> {
    Ok(path.file_stem().context("a weights file has a name")?.to_string_lossy().into_owned())
}
