//! Performance models: performed notes with onset, lane, key, length and velocity.

mod notes;
mod own_past;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail, ensure};
use candle_core::{Device, Tensor};
use continuo_model::config::{NetworkConfig, PerformanceConfig};
use continuo_model::decision::Lanes;
use continuo_model::generate::Network;
use continuo_model::note_tokens::{Attribute, NUM_ATTRIBUTES, NUM_KEYS, vocabulary_hash};
use continuo_model::random::SplitMix64;
use continuo_model::tokeniser::note_reader::{HEAD_SLOTS, INTERVALS, TRUNK_SLOTS, relative_columns};
use continuo_model::tokeniser::step_reader::NO_INDEX;
use continuo_model::weights_file::{Description, Weights};
use continuo_network::{Inputs, PerformanceInputs};
use serde::Serialize;

use super::{Judgement, Judging, Material, Music, TrainerSide, lstm_layers};
use crate::batches::{Batch, Epoch, Sequences, Window};
use crate::corpus::folder;
use crate::losses::surprise;
use crate::preparation::four_voices::FourVoices;
use crate::preparation::performed::{LanePlan, Performed, PerformedNote, PerformedPiece};
use crate::preparation::{Families, groups_if_any, held_out, known_groups};
use crate::recipe::{self, Recipe, Training};
use crate::seeds::Seed;
use notes::{Passage, walk};

/// The unit of losses.
const UNIT: &str = "nats per note";
/// While it trains, a network is validated on so many notes of each piece.
const VALID_NOTES: usize = 400;
/// The most that velocities are shifted in training.
const LOUDER: usize = 24;
/// How many held-out pieces are listed by name.
const NAMED: usize = 50;
/// The keys of a piano: no piece is transposed beyond.
const PIANO: (i16, i16) = (21, 108);

impl TrainerSide for PerformanceConfig {
    fn layers(&self) -> Vec<String> {
        let mut layers = vec![format!("rows of {}", self.embedding)];
        layers.extend(lstm_layers(&self.lstm));
        layers.push(format!("head {} x {}", self.head, 1 + self.head_layers));
        layers
    }

    fn check(&self, recipe: &Recipe) -> Result<()> {
        let options = Performed::of(recipe)?;
        ensure!(
            self.lanes == options.lanes.count(),
            "network.lanes: expected {} with preparation.lanes = {:?}, got {}",
            options.lanes.count(),
            options.lanes,
            self.lanes
        );
        ensure!(
            self.drums == (options.lanes == LanePlan::Drums),
            "network.drums: expected true with preparation.lanes = \"drums\", and only then"
        );
        ensure!(
            recipe.split == recipe::default_split(),
            "split: expected none for a performance model, whose pieces are split by [preparation], got {:?}",
            recipe.split
        );
        ensure!(
            recipe.training.any_order == 0.0 && !(self.drums && recipe.training.transpose),
            "training: expected no any_order for a performance model, and no transpose for drums"
        );
        ensure!(
            recipe.training.own_past.as_ref().is_none_or(|own_past| own_past.given.is_empty()),
            "training.own_past.given: expected none for a performance model, whose lanes preparation.given_lanes gives"
        );
        Ok(())
    }

    fn material(&self, recipe: &Recipe, music: Music, start: Option<&Weights>) -> Result<Box<dyn Material>> {
        let options = Performed::of(recipe)?;
        let pieces = Pieces::read(music, &options)?.with_velocities(self.velocities);
        println!("{}", pieces.report);
        ensure!(!pieces.train.is_empty(), "--data: expected pieces to train on, got none");
        ensure!(!pieces.valid.is_empty(), "--data: expected pieces to validate on, got one piece or none; add more");
        let config = match start.map(|weights| &weights.description.config) {
            // Fine-tuning keeps the range of the starting weights.
            Some(NetworkConfig::Performance(config)) => config.clone(),
            _ => PerformanceConfig { ranges: ranges(&pieces.train, self.lanes), ..self.clone() },
        };
        Ok(Box::new(Learning { config, options, pieces }))
    }

    fn judge(&self, weights: &Weights, judging: Judging) -> Result<Judgement> {
        ensure!(judging.given.is_empty(), "--given: expected none for a performance model, which has no voices");
        let pieces = Pieces::read(judging.music, &options_of(&weights.description)?)?.with_velocities(self.velocities);
        let pieces = if judging.split == "train" { pieces.train } else { pieces.valid };
        ensure!(!pieces.is_empty(), "--data: expected pieces in the split `{}`, got none", judging.split);
        judgement(self, weights, &pieces, usize::MAX)
    }

    fn pieces(&self, _weights: &Weights, _music: Music, _split: &str) -> Result<Vec<FourVoices>> {
        bail!("--play and --free: expected a network of four voices, got a performance model")
    }

    fn seed(&self, weights: &Weights, path: &Path) -> Result<Seed> {
        let options = Performed { fewest_notes: 1, groups: None, ..options_of(&weights.description)? };
        let paths = [path.to_path_buf()];
        let corpus = read(Music { paths: &paths, strict: true }, &options)?;
        let piece = corpus.pieces.first().with_context(|| format!("{}: expected music, got none", path.display()))?;
        let piece = PerformedPiece::of(piece, &options);
        Ok(Seed::of_performed(&piece.map_err(|reason| anyhow!("{}: {reason}", path.display()))?))
    }

    fn seeds(&self, weights: &Weights, paths: &[PathBuf]) -> Result<Vec<Seed>> {
        let options = options_of(&weights.description)?;
        let options = Performed { groups: groups_if_any(paths, options.groups.clone()), ..options };
        let pieces = Pieces::read(Music { paths, strict: false }, &options)?;
        Ok(pieces.train.iter().map(Seed::of_performed).collect())
    }
}

/// The preparation with which weights were trained.
fn options_of(description: &Description) -> Result<Performed> {
    Performed::of(&Recipe::parse(&description.recipe).context("the recipe inside of the weights")?)
}

fn read(music: Music, options: &Performed) -> Result<folder::Corpus> {
    let drums = options.lanes == LanePlan::Drums;
    folder::read(music.paths, folder::Options { as_written: options.as_written, strict: music.strict, drums })
}

/// The lowest and the highest key of each lane.
fn ranges(pieces: &[PerformedPiece], lanes: usize) -> Vec<(u8, u8)> {
    let of_lane = |lane: u8| {
        let keys =
            || pieces.iter().flat_map(|piece| &piece.notes).filter(|note| note.lane == lane).map(|note| note.key);
        (keys().min().unwrap_or(0), keys().max().unwrap_or(127))
    };
    (0..lanes as u8).map(of_lane).collect()
}

/// Pieces, split by work.
struct Pieces {
    train: Vec<PerformedPiece>,
    valid: Vec<PerformedPiece>,
    report: String,
}

impl Pieces {
    fn read(music: Music, options: &Performed) -> Result<Self> {
        let corpus = read(music, options)?;
        let mut left_out: BTreeMap<String, usize> = BTreeMap::new();
        let mut pieces = Vec::new();
        for piece in &corpus.pieces {
            match PerformedPiece::of(piece, options) {
                Ok(piece) => pieces.push(piece),
                Err(reason) => *left_out.entry(reason).or_default() += 1,
            }
        }
        let identities: Vec<_> = pieces.iter().map(PerformedPiece::identity).collect();
        let mut families = Families::of(&identities, options.shared_runs);
        families.join_named(&identities, &known_groups(music.paths, options.groups.as_deref())?);
        let family_of = families.numbers();
        let held_out = held_out(&identities, &family_of, options.hold_out());
        let (valid, train): (Vec<_>, Vec<_>) =
            pieces.into_iter().zip(&family_of).partition(|(_, family)| held_out[**family]);
        let [train, valid] = [train, valid].map(|side| side.into_iter().map(|(piece, _)| piece).collect::<Vec<_>>());
        let notes = |pieces: &[PerformedPiece]| pieces.iter().map(|piece| piece.notes.len()).sum::<usize>();
        let mut report = format!("{} pieces read, {}", corpus.pieces.len(), folder::skipped_in_words(&corpus.skipped));
        for (reason, count) in &left_out {
            report += &format!("\n  left out: {count} ({reason})");
        }
        report += &format!(
            "\n{} works\n{} pieces with {} notes to train on, {} with {} held out",
            family_of.iter().max().map_or(0, |last| last + 1),
            train.len(),
            notes(&train),
            valid.len(),
            notes(&valid)
        );
        for piece in valid.iter().take(NAMED) {
            report += &format!("\n  held out: {}", piece.name);
        }
        if valid.len() > NAMED {
            report += &format!("\n  and {} more", valid.len() - NAMED);
        }
        Ok(Self { train, valid, report })
    }

    /// The pieces as they are, or without velocities: for networks that do not hear any.
    fn with_velocities(mut self, velocities: bool) -> Self {
        if !velocities {
            let pieces = self.train.iter_mut().chain(&mut self.valid);
            pieces.flat_map(|piece| &mut piece.notes).for_each(|note| note.velocity = None);
        }
        self
    }
}

/// Pieces to train and validate on.
struct Learning {
    config: PerformanceConfig,
    options: Performed,
    pieces: Pieces,
}

impl Material for Learning {
    fn config(&self) -> NetworkConfig {
        NetworkConfig::Performance(self.config.clone())
    }

    fn num_pieces(&self) -> (usize, usize) {
        (self.pieces.train.len(), self.pieces.valid.len())
    }

    fn epoch(&self, training: &Training, player: Option<&Arc<dyn Network>>, rng: &mut SplitMix64) -> Epoch {
        let player = training.own_past.as_ref().zip(player);
        let pieces = self.pieces.train.iter().map(|piece| {
            let piece = if training.transpose { transposed(piece, rng) } else { piece.clone() };
            match player {
                Some((options, network)) if rng.next_f32() < options.share => {
                    let own = own_lanes(self.config.lanes, self.options.given_lanes, rng);
                    let past = own_past::play(network, &piece, own, rng);
                    Heard { past, own: Some(own), piece }
                }
                _ => Heard { past: piece.notes.clone(), own: None, piece },
            }
        });
        let pieces: Vec<_> = pieces.collect();
        let mut windows = Vec::new();
        for (idx, piece) in pieces.iter().enumerate() {
            let phase = rng.next_below(training.window_hop_steps);
            let last = piece.past.len().saturating_sub(training.window_steps / 2);
            windows.push((idx, 0));
            windows.extend((phase..last).step_by(training.window_hop_steps).filter(|at| *at > 0).map(|at| (idx, at)));
        }
        rng.shuffle(&mut windows);
        let sequences = Notes {
            config: self.config.clone(),
            given_lanes: self.options.given_lanes,
            window: training.window_steps,
            rng_seed: rng.next_u64(),
            pieces,
        };
        Epoch { sequences: Box::new(sequences), windows, batch: training.batch }
    }

    fn judge(&self, weights: &Weights) -> Result<Judgement> {
        judgement(&self.config, weights, &self.pieces.valid, VALID_NOTES)
    }

    fn unit(&self) -> &'static str {
        UNIT
    }

    /// Attributes in a note.
    fn targets_per_unit(&self) -> f64 {
        let used = |attribute: &&Attribute| match attribute {
            Attribute::Lane => self.config.lanes > 1,
            Attribute::Velocity => self.config.velocities,
            _ => true,
        };
        Attribute::ALL.iter().filter(used).count() as f64
    }

    fn vocabulary(&self) -> (String, Option<String>) {
        (vocabulary_hash(), None)
    }
}

/// The lanes that the network plays: all of them, or with a probability of `given` any but all.
fn own_lanes(lanes: usize, given: f32, rng: &mut SplitMix64) -> Lanes {
    if lanes == 1 || rng.next_f32() >= given {
        return Lanes::first(lanes);
    }
    let given = 1 + rng.next_below((1 << lanes) - 2);
    Lanes::from_fn(|lane| usize::from(lane) < lanes && given >> lane & 1 == 0)
}

/// The piece in a random key, up to six semitones away.
fn transposed(piece: &PerformedPiece, rng: &mut SplitMix64) -> PerformedPiece {
    let keys = || piece.notes.iter().map(|note| i16::from(note.key));
    let (low, high) = (keys().min().unwrap_or(60), keys().max().unwrap_or(60));
    let shift = (rng.next_below(12) as i16 - 6).clamp((PIANO.0 - low).min(0), (PIANO.1 - high).max(0));
    let mut piece = piece.clone();
    piece.notes.iter_mut().for_each(|note| note.key = (i16::from(note.key) + shift) as u8);
    piece
}

/// A piece as the network hears it.
struct Heard {
    piece: PerformedPiece,
    /// The notes that it hears: the piece's, or partly its own.
    past: Vec<PerformedNote>,
    /// The lanes that it plays, if they were chosen with the past.
    own: Option<Lanes>,
}

/// Notes as batches.
struct Notes {
    config: PerformanceConfig,
    given_lanes: f32,
    window: usize,
    rng_seed: u64,
    pieces: Vec<Heard>,
}

impl Notes {
    /// How the network hears a window. It depends on the window alone, so that a resumed epoch goes on alike.
    fn passage(&self, (idx, first): Window) -> Passage {
        let Heard { past, own, .. } = &self.pieces[idx];
        let mut rng = SplitMix64::new(self.rng_seed ^ ((idx as u64) << 32) ^ first as u64);
        let own = own.unwrap_or_else(|| own_lanes(self.config.lanes, self.given_lanes, &mut rng));
        let len = self.window.min(past.len() - first);
        let mut passage = Passage { first, len, own, unknown_lengths: 0, louder: 0 };
        if rng.next_f32() < 0.5 {
            passage.unknown_lengths = rng.next_below(passage.len);
        }
        passage.louder = rng.next_below(2 * LOUDER + 1) as i16 - LOUDER as i16;
        passage
    }
}

impl Sequences for Notes {
    fn batch(&self, windows: &[Window], device: &Device) -> Result<Batch> {
        let passages: Vec<Passage> = windows.iter().map(|window| self.passage(*window)).collect();
        let steps = passages.iter().map(|passage| passage.len).max().unwrap_or(0);
        let batch = windows.len();
        let notes = steps * batch;
        let mut trunk = vec![NO_INDEX; notes * TRUNK_SLOTS];
        let mut head = vec![NO_INDEX; notes * NUM_ATTRIBUTES * HEAD_SLOTS];
        let mut relative = vec![INTERVALS as u32; notes * NUM_KEYS];
        let mut targets = vec![0_u32; NUM_ATTRIBUTES * notes];
        let mut weights = vec![0_f32; NUM_ATTRIBUTES * notes];
        for (column, ((piece, _), passage)) in windows.iter().zip(&passages).enumerate() {
            let Heard { piece, past, .. } = &self.pieces[*piece];
            walk(piece, past, passage, |idx, reader, target| {
                let at = idx * batch + column;
                let rows = &mut trunk[at * TRUNK_SLOTS..(at + 1) * TRUNK_SLOTS];
                reader.trunk_indices(rows.try_into().expect("a slice of that length"));
                for attribute in Attribute::ALL {
                    let cell = at * NUM_ATTRIBUTES + attribute as usize;
                    let rows = &mut head[cell * HEAD_SLOTS..(cell + 1) * HEAD_SLOTS];
                    let rows = rows.try_into().expect("a slice of that length");
                    reader.head_indices(attribute, &target.draft, rows);
                    targets[attribute as usize * notes + at] = target.draft.token(attribute).into();
                    let counts = target.counts[attribute as usize];
                    weights[attribute as usize * notes + at] = f32::from(u8::from(counts));
                }
                let reference = reader.reference(target.draft.token(Attribute::Lane));
                relative[at * NUM_KEYS..(at + 1) * NUM_KEYS].copy_from_slice(&relative_columns(reference));
            });
        }
        let inputs = PerformanceInputs {
            steps,
            batch,
            trunk: trunk.into(),
            head: head.into(),
            relative: Tensor::from_vec(relative, (notes, NUM_KEYS), device)?,
        };
        Ok(Batch {
            inputs: Inputs::Performance(inputs),
            targets: Tensor::from_vec(targets, NUM_ATTRIBUTES * notes, device)?,
            weights: Tensor::from_vec(weights, NUM_ATTRIBUTES * notes, device)?,
        })
    }
}

/// The loss on pieces, computed with the same code that plays.
#[derive(Clone, Debug, Serialize)]
struct NoteLoss {
    unit: &'static str,
    /// The nats of all attributes divided by the number of notes.
    micro: f64,
    /// Mean of the pieces' means.
    #[serde(rename = "macro")]
    macro_: f64,
    /// The nats of each attribute, divided by the number of notes.
    per_attribute: BTreeMap<&'static str, f64>,
    pieces: usize,
    notes: usize,
    sees: Vec<String>,
}

fn judgement(
    config: &PerformanceConfig,
    weights: &Weights,
    pieces: &[PerformedPiece],
    most_notes: usize,
) -> Result<Judgement> {
    let network = config.pack(weights);
    let mut scratch = network.scratch();
    let mut per_attribute = [0.0; NUM_ATTRIBUTES];
    let (mut notes, mut means) = (0, 0.0);
    for piece in pieces {
        let passage = Passage::whole(piece, most_notes, config.lanes);
        let mut state = network.trunk_state();
        let before: f64 = per_attribute.iter().sum();
        walk(piece, &piece.notes, &passage, |_, reader, target| {
            network.advance(&mut state, reader, &mut scratch);
            for attribute in Attribute::ALL.into_iter().filter(|attribute| target.counts[*attribute as usize]) {
                let logits = network.logits(&mut state, reader, attribute, &target.draft, &mut scratch);
                per_attribute[attribute as usize] += surprise(logits, target.draft.token(attribute).into());
            }
        });
        notes += passage.len;
        means += (per_attribute.iter().sum::<f64>() - before) / passage.len.max(1) as f64;
    }
    let per_note = |nats: f64| nats / notes.max(1) as f64;
    let named = Attribute::ALL.iter().zip(per_attribute);
    let loss = NoteLoss {
        unit: UNIT,
        micro: per_note(per_attribute.iter().sum()),
        macro_: means / pieces.len().max(1) as f64,
        per_attribute: named.map(|(attribute, nats)| (attribute.name(), per_note(nats))).collect(),
        pieces: pieces.len(),
        notes,
        sees: continuo_model::config::Kind::sees(config),
    };
    let mut words =
        format!("{:.4} {UNIT} over {notes} notes ({:.4} mean of {} pieces)", loss.micro, loss.macro_, loss.pieces);
    for (attribute, nats) in
        Attribute::ALL.iter().map(|attribute| (attribute.name(), loss.per_attribute[attribute.name()]))
    {
        words += &format!("\n  {attribute:<10} {nats:.4}");
    }
    Ok(Judgement {
        loss: loss.micro,
        unit: UNIT,
        figures: BTreeMap::from([("nats_per_note", loss.micro), ("nats_per_note_macro", loss.macro_)]),
        json: serde_json::to_string(&loss).expect("an evaluation is plain data"),
        words,
    })
}
