//! Pieces in four voices on the grid of 16ths, for four-voice models and for `critique`.

use anyhow::{Result, anyhow, ensure};
use continuo_model::rules::{self, Row};
use continuo_model::tokeniser::grid::{Grid, NUM_VOICES, STEPS_PER_BEAT, VOICE_NAMES};
use continuo_model::tokeniser::step_reader::BarPosition;
use continuo_model::vocabulary::{HIGHEST_PITCH, LOWEST_PITCH};

use super::dealing::{self, Voice};
use super::quantise::{self, TICKS_PER_STEP};
use super::song;
use crate::corpus::piece::Piece;

/// A piece on the grid. Step 0 is on a beat.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FourVoices {
    /// The file, and the position in it if it contains several pieces.
    pub name: String,
    /// The split that its file assigns it to.
    pub split: Option<String>,
    /// The sounding pitches of each step.
    pub rows: Vec<Row>,
    /// For each step, which voices start a note: bit 0 (soprano) to 3 (bass). `None` if the file contains no attacks.
    pub attacks: Option<Vec<u8>>,
    /// For each step, whether it lies under a fermata; empty if unknown.
    pub fermatas: Vec<bool>,
    /// The position of each step in its bar; empty if bars are unknown.
    pub bars: Vec<Option<BarPosition>>,
    /// The key in the file, 0 to 11 major from C up, 12 to 23 minor.
    pub key: Option<u8>,
    /// The first metre, count and unit; 4/4 if the piece has none.
    pub metre: (u8, u8),
    /// The first tempo in the file, quarter notes per minute.
    pub tempo_bpm: Option<f64>,
    /// How many notes were left out because several start within one 16th.
    pub left_out: usize,
}

impl FourVoices {
    /// Converts a piece. Notes go to the nearest 16th; with `drop_unquantised`, onsets and durations must be whole
    /// 16ths.
    ///
    /// # Errors
    /// If the piece is not in four voices (see [`dealing::four_voices`]) or does not fit the grid.
    pub fn of(piece: &Piece, drop_unquantised: bool) -> Result<Self> {
        let mut left_out = 0;
        let mut parts = Vec::with_capacity(piece.parts.len());
        for part in &piece.parts {
            let on_grid =
                quantise::part_on_grid(&part.notes, drop_unquantised).map_err(|reason| anyhow!("{reason}"))?;
            left_out += on_grid.left_out;
            parts.push((part.name.as_str(), on_grid.notes));
        }
        let voices = dealing::four_voices(&parts)?;
        let lead = lead(piece);
        let ends = voices.iter().flatten().map(|note| note.end).chain([quantise::nearest_step(piece.length)]);
        let num_steps = lead + ends.max().unwrap_or(0) as usize;
        let (rows, attacks) = rows(&voices, lead, num_steps);
        let under = |step: usize, stretches: &[(u64, u64)]| {
            let tick = (step.saturating_sub(lead) as u64) * TICKS_PER_STEP;
            step >= lead && stretches.iter().any(|(from, to)| (*from..*to).contains(&tick))
        };
        let fermatas = piece
            .fermatas
            .as_ref()
            .map_or_else(Vec::new, |stretches| (0..num_steps).map(|step| under(step, stretches)).collect());
        Ok(Self {
            name: piece.source.clone(),
            split: piece.split.clone(),
            rows,
            attacks: (!piece.attacks_unknown).then_some(attacks),
            fermatas,
            bars: bars(piece, lead, num_steps),
            key: piece.written_key.filter(|key| key.mode.is_some()).and(piece.key()).map(|key| key.number()),
            metre: song::metre(piece),
            tempo_bpm: piece.tempo_bpm,
            left_out,
        })
    }

    /// The tokens of the piece.
    ///
    /// # Errors
    /// If a pitch is outside the vocabulary, with its position.
    pub fn grid(&self) -> Result<Grid> {
        for (step, row) in self.rows.iter().enumerate() {
            for (name, pitch) in VOICE_NAMES.iter().zip(row) {
                let known = pitch.is_none_or(|pitch| (LOWEST_PITCH..=HIGHEST_PITCH).contains(&pitch));
                ensure!(
                    known,
                    "step {step} (beat {}), {}: expected a pitch from {LOWEST_PITCH} to {HIGHEST_PITCH}, got {}; \
                     transpose the piece",
                    step as f64 / STEPS_PER_BEAT as f64,
                    name.to_lowercase(),
                    pitch.unwrap_or_default()
                );
            }
        }
        Ok(Grid::from_pitches(&self.rows, self.attacks.as_deref()))
    }

    /// Each step from the second one on, paired with the step before it.
    pub fn moves(&self) -> impl Iterator<Item = (&Row, &Row)> {
        self.rows.iter().zip(self.rows.iter().skip(1))
    }

    /// For each step, which voices start a note, as bits: the attacks, or if they are unknown, the changes of pitch.
    pub fn starts(&self) -> Vec<u8> {
        if let Some(attacks) = &self.attacks {
            return attacks.clone();
        }
        let silence = [None; NUM_VOICES];
        let before = std::iter::once(&silence).chain(&self.rows);
        let bits = |(before, row): (&Row, &Row)| {
            (0..NUM_VOICES).map(|v| u8::from(rules::changes_pitch(before, row, v)) << v).sum()
        };
        before.zip(&self.rows).map(bits).collect()
    }

    /// The pitches of the notes that the soprano starts.
    pub fn top_line(&self) -> Vec<u8> {
        self.starts().iter().zip(&self.rows).filter(|(bits, _)| **bits & 1 == 1).filter_map(|(_, row)| row[0]).collect()
    }

    /// Keeps only the first `steps` steps.
    pub fn truncate(&mut self, steps: usize) {
        self.rows.truncate(steps);
        self.fermatas.truncate(steps);
        self.bars.truncate(steps);
        if let Some(attacks) = &mut self.attacks {
            attacks.truncate(steps);
        }
    }
}

/// How many 16ths of silence to insert so that the first step is on a beat. A pickup of an eighth, for example, starts
/// between two.
pub fn lead(piece: &Piece) -> usize {
    // MIDI files write a pickup as a bar with a metre of its own.
    if let ([short, full, ..], [_, second, ..]) = (piece.metres.as_slice(), piece.bars.as_slice()) {
        let (short, bar) = (short.metre.bar_ticks(), full.metre.bar_ticks());
        if full.at == *second && short == *second && short < bar {
            return ((bar - short) / TICKS_PER_STEP) as usize % STEPS_PER_BEAT;
        }
    }
    usize::from(song::step_in_beat(piece, 0))
}

/// The position of each step in its bar; empty if the piece has no bars, `None` before its first bar line.
fn bars(piece: &Piece, lead: usize, num_steps: usize) -> Vec<Option<BarPosition>> {
    let metre_at = |tick: u64| piece.metres.iter().rev().find(|metre| metre.at <= tick).map(|at| at.metre.bar_ticks());
    let position = |step: usize| {
        let tick = step.checked_sub(lead)? as u64 * TICKS_PER_STEP;
        let bar = piece.bars.iter().rposition(|&bar| bar <= tick)?;
        let written = metre_at(tick);
        let lasts = piece.bars.get(bar + 1).map(|next| next - piece.bars[bar]);
        // The first bar may be a pickup and the last one be cut short: there the metre tells the length.
        let whole = if bar == 0 || lasts.is_none() { written.max(lasts)? } else { lasts? };
        let missing = if bar == 0 { whole - lasts.unwrap_or(whole) } else { 0 };
        let step_in_bar = (tick - piece.bars[bar] + missing) / TICKS_PER_STEP;
        let bar_steps = u8::try_from(whole / TICKS_PER_STEP).ok()?;
        Some(BarPosition { step_in_bar: u8::try_from(step_in_bar).ok()?, bar_steps })
    };
    if piece.bars.is_empty() { Vec::new() } else { (0..num_steps).map(position).collect() }
}

/// The sounding pitches of each step and the attacks as bits, after `lead` steps of silence.
fn rows(voices: &[Voice; NUM_VOICES], lead: usize, num_steps: usize) -> (Vec<Row>, Vec<u8>) {
    let mut rows = vec![[None; NUM_VOICES]; num_steps];
    let mut attacks = vec![0; num_steps];
    for (voice, notes) in voices.iter().enumerate() {
        for note in notes {
            let (start, end) = (lead + note.start as usize, lead + note.end as usize);
            rows[start..end].iter_mut().for_each(|row| row[voice] = Some(note.pitch));
            attacks[start] |= 1 << voice;
        }
    }
    (rows, attacks)
}

#[cfg(test)]
pub mod tests;
