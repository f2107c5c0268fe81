//! Measures how well a network follows its controls: compares music generated with and without each control.

use anyhow::{Context, Result, ensure};
use continuo_model::generate::{self, Performer, Step, StepSettings};
use continuo_model::key;
use continuo_model::rules::Row;
use continuo_model::sampling::Sampler;
use continuo_model::tokeniser::grid::{NUM_VOICES, STEPS_PER_BEAT};
use continuo_model::tokeniser::step_reader::{CONTROL_CLASSES, Controls};
use continuo_model::weights_file::Weights;
use serde::Serialize;

use crate::ObeyArgs;
use crate::critique::chords::ChordClass;

/// Steps between requested cadences: two bars.
const PHRASE_STEPS: usize = 32;
/// How many steps before a cadence the control announces it.
const WARNING_STEPS: usize = 12;
/// Length of the chord that ends a phrase.
const FERMATA_STEPS: usize = 4;
/// In minor the raised sixth counts as outside the key, although the melodic scale contains it.
const RAISED_SIXTH: i32 = 9;

/// How well a network follows its controls.
#[derive(Debug, Serialize)]
pub struct Obedience {
    /// Pieces for each setting of the controls.
    pub pieces: usize,
    /// Steps in a piece.
    pub steps: usize,
    /// Share of notes in the scale of a key: with the key control set, and without (the mean over the same keys).
    pub notes_in_key: (f64, f64),
    /// Share of phrases that close, that is, hold a consonant triad in all voices for a beat at the cadence: with a
    /// requested cadence, and without at the same steps.
    pub phrases_that_close: (f64, f64),
    /// Of the phrases that close at a requested cadence, the share whose triad lies in the requested key.
    pub closes_in_key: f64,
    /// Attacks per quarter note and voice for each density, from sparse to busy.
    pub attacks_per_quarter: [f64; CONTROL_CLASSES],
    /// Mean pitch for each register, from lowest to highest.
    pub mean_pitch: [f64; CONTROL_CLASSES],
}

/// Measures as the command line describes and prints the result.
pub fn run(args: &ObeyArgs) -> Result<()> {
    ensure!(args.bars >= 4, "--bars: expected at least 4, got {}", args.bars);
    args.sampling.check()?;
    let weights = Weights::read(&args.weights)?;
    let sampler = args.sampling.sampler(&weights.description);
    let network =
        generate::network(&weights).map_err(anyhow::Error::msg).with_context(|| args.weights.display().to_string())?;
    let controls = network.capabilities().controls;
    for (name, follows) in [
        ("key", controls.key),
        ("fermata", controls.fermata),
        ("density", controls.density),
        ("register", controls.register),
    ] {
        let path = args.weights.display();
        ensure!(follows, "{path}: expected a network that follows the control `{name}`, got one that does not");
    }
    let mut trial = Trial {
        performer: network.performer(),
        sampler,
        pieces: args.pieces as usize,
        steps: usize::from(args.bars) * 4 * STEPS_PER_BEAT,
    };
    let obedience = trial.run();
    if args.json {
        println!("{}", serde_json::to_string(&obedience)?);
        return Ok(());
    }
    let o = &obedience;
    println!("{} pieces of {} steps for each setting", o.pieces, o.steps);
    println!(
        "notes in the key: {:.1} % with the key control, {:.1} % without",
        100.0 * o.notes_in_key.0,
        100.0 * o.notes_in_key.1
    );
    let (with, without) = o.phrases_that_close;
    println!("phrases that close: {:.1} % with a requested cadence, {:.1} % without", 100.0 * with, 100.0 * without);
    println!("phrases with a requested cadence that close in the key: {:.1} %", 100.0 * o.closes_in_key);
    println!("attacks per quarter note and voice by density: {}", list(&o.attacks_per_quarter));
    println!("mean pitch by register: {}", list(&o.mean_pitch));
    Ok(())
}

fn list(figures: &[f64]) -> String {
    figures.iter().map(|figure| format!("{figure:.2}")).collect::<Vec<_>>().join("  ")
}

struct Trial {
    performer: Box<dyn Performer>,
    sampler: Sampler,
    pieces: usize,
    steps: usize,
}

/// A generated piece: the sounding pitches and the attacks of each step.
struct Music {
    rows: Vec<Row>,
    attacks: Vec<Row>,
}

impl Trial {
    fn run(&mut self) -> Obedience {
        let keys: Vec<u8> = (0..self.pieces).map(|n| (n * 7 % 24) as u8).collect();
        let plain: Vec<Music> = (0..self.pieces).map(|n| self.play(n, |_| Controls::default())).collect();
        let keyed: Vec<Music> = keys
            .iter()
            .enumerate()
            .map(|(n, &key)| self.play(n, |_| Controls { key: Some(key), ..Default::default() }))
            .collect();
        let closing: Vec<Music> = keys
            .iter()
            .enumerate()
            .map(|(n, &key)| {
                self.play(n, |step| Controls {
                    key: Some(key),
                    fermata_in: steps_to_cadence(step),
                    ..Default::default()
                })
            })
            .collect();
        let closes = |music: &[Music]| {
            mean(music.iter().flat_map(|m| phrase_ends(m).map(|end| f64::from(u8::from(end.is_some())))))
        };
        let in_key = mean(
            closing
                .iter()
                .zip(&keys)
                .flat_map(|(m, &key)| phrase_ends(m).flatten().map(move |row| share_in_key(&[row], key).floor())),
        );
        let mut by_class = |set: fn(&mut Controls, u8), figure: fn(&Music) -> f64| -> [f64; CONTROL_CLASSES] {
            std::array::from_fn(|class| {
                let mut controls = Controls::default();
                set(&mut controls, class as u8);
                mean((0..self.pieces).map(|n| figure(&self.play(n, |_| controls))))
            })
        };
        let attacks_per_quarter = by_class(|c, class| c.density = Some(class), Music::attacks_per_quarter);
        let mean_pitch = by_class(|c, class| c.register = Some(class), Music::mean_pitch);
        let of_key = |music: &[Music]| mean(music.iter().zip(&keys).map(|(m, &key)| share_in_key(&m.attacks, key)));
        Obedience {
            pieces: self.pieces,
            steps: self.steps,
            notes_in_key: (of_key(&keyed), of_key(&plain)),
            phrases_that_close: (closes(&closing), closes(&keyed)),
            closes_in_key: in_key,
            attacks_per_quarter,
            mean_pitch,
        }
    }

    fn play(&mut self, rng_seed: usize, controls: impl Fn(usize) -> Controls) -> Music {
        let mut music = Music { rows: Vec::new(), attacks: Vec::new() };
        self.performer.reset();
        for step in 0..self.steps {
            let decision = self.performer.decide(&Step {
                step_idx: step as i64,
                step_in_beat: step % STEPS_PER_BEAT,
                attack: step == 0,
                settings: StepSettings {
                    sampler: self.sampler,
                    rng_seed: rng_seed as u64,
                    strict: true,
                    controls: controls(step),
                    ..StepSettings::default()
                },
                ..Step::default()
            });
            music.rows.push(std::array::from_fn(|voice| decision.sounding.keys(voice as u8).next()));
            music.attacks.push(std::array::from_fn(|voice| decision.starts(voice as u8).next()));
        }
        music
    }
}

impl Music {
    fn attacks_per_quarter(&self) -> f64 {
        let attacks = self.attacks.iter().flatten().flatten().count();
        (attacks * STEPS_PER_BEAT) as f64 / (NUM_VOICES * self.rows.len()) as f64
    }

    fn mean_pitch(&self) -> f64 {
        mean(self.attacks.iter().flatten().flatten().map(|&pitch| pitch.into()))
    }
}

/// The steps at which phrases should end: the first beat of every other bar.
fn cadences(steps: usize) -> impl Iterator<Item = usize> {
    (PHRASE_STEPS..=steps.saturating_sub(2 * FERMATA_STEPS)).step_by(PHRASE_STEPS)
}

fn steps_to_cadence(step: usize) -> Option<u8> {
    let next = (step + WARNING_STEPS) / PHRASE_STEPS * PHRASE_STEPS;
    (next > 0 && step < next + FERMATA_STEPS).then(|| next.saturating_sub(step) as u8)
}

/// For each requested cadence, the chord on which the phrase closes, if it does.
fn phrase_ends(music: &Music) -> impl Iterator<Item = Option<Row>> + '_ {
    cadences(music.rows.len()).map(|at| {
        let chord = music.rows[at];
        let stays = music.rows[at..at + FERMATA_STEPS].iter().all(|row| *row == chord);
        Some(chord).filter(|chord| stays && ChordClass::of(chord).is_consonant())
    })
}

/// The share of the pitches in `rows` that lie in the scale of a key, 0 to 11 major from C up, 12 to 23 minor.
fn share_in_key(rows: &[Row], key: u8) -> f64 {
    let borrowed = if key < 12 { 0 } else { key::transposed(1, i32::from(key % 12) + RAISED_SIXTH) };
    let scale = key::scale(key) & !borrowed;
    let in_scale = |pitch: &u8| scale >> (pitch % 12) & 1 == 1;
    mean(rows.iter().flatten().flatten().map(|pitch| f64::from(u8::from(in_scale(pitch)))))
}

/// The mean; 0 if there are no figures.
fn mean(figures: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = figures.fold((0.0, 0.0), |(sum, count), figure| (sum + figure, count + 1.0));
    if count > 0.0 { sum / count } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cadences_are_counted_down_to() {
        let steps: Vec<_> = (18..38).map(steps_to_cadence).collect();
        let expect =
            [&[None; 2][..], &(0..=12).rev().map(Some).collect::<Vec<_>>(), &[Some(0); 3], &[None; 2]].concat();
        assert_eq!(steps, expect);
        assert!((0..20).all(|step| steps_to_cadence(step).is_none()));
    }

    #[test]
    fn a_phrase_closes_on_a_triad_that_stays() {
        let triad = [72, 64, 55, 48].map(Some);
        let seventh = [70, 64, 55, 48].map(Some);
        let music = |rows: &[(Row, usize)]| Music {
            rows: rows.iter().flat_map(|(row, n)| vec![*row; *n]).collect(),
            attacks: Vec::new(),
        };
        let ends = |rows: &[(Row, usize)]| phrase_ends(&music(rows)).collect::<Vec<_>>();
        assert_eq!(ends(&[(seventh, 32), (triad, 8)]), [Some(triad)]);
        assert_eq!(ends(&[(triad, 34), (seventh, 6)]), [None]);
        assert_eq!(ends(&[(triad, 32), (seventh, 8)]), [None]);
        assert_eq!(share_in_key(&[triad, seventh], 0), 7.0 / 8.0);
        assert_eq!(share_in_key(&[triad], 12 + 9), 1.0);
        // C minor, one pitch class at a time.
        let has = |class: u8| share_in_key(&[[Some(60 + class), None, None, None]], 12) == 1.0;
        assert_eq!((0..12).filter(|&class| has(class)).collect::<Vec<_>>(), [0, 2, 3, 5, 7, 8, 10, 11]);
        let has = |class: u8| share_in_key(&[[Some(60 + class), None, None, None]], 0) == 1.0;
        assert_eq!((0..12).filter(|&class| has(class)).collect::<Vec<_>>(), [0, 2, 4, 5, 7, 9, 11]);
    }
}
