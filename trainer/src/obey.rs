//! Whether a network does what it is asked: its music with each wish, counted beside its music without.

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

/// Steps from one cadence that is asked for to the next: two bars.
const PHRASE_STEPS: usize = 32;
/// How long before it a cadence is asked for.
const WARNING_STEPS: usize = 12;
/// How long the last chord of a phrase lasts.
const FERMATA_STEPS: usize = 4;
/// In minor the raised sixth counts as borrowed, though the melodic scale has it.
const RAISED_SIXTH: i32 = 9;

/// A network's obedience.
#[derive(Debug, Serialize)]
pub struct Obedience {
    /// Pieces of each kind, and steps in each.
    pub pieces: usize,
    /// Steps in a piece.
    pub steps: usize,
    /// Share of notes in the scale of a key: told that key, and with nothing told (the same keys' mean).
    pub notes_in_key: (f64, f64),
    /// Share of phrases that close (all voices stay for a beat on a consonant triad, within four beats of the wish):
    /// asked to, and at the same places not asked.
    pub phrases_that_close: (f64, f64),
    /// Of the phrases that close when asked and told a key, the share whose triad lies in it.
    pub closes_in_key: f64,
    /// Attacks a quarter and voice for each density, sparse to busy.
    pub attacks_per_quarter: [f64; CONTROL_CLASSES],
    /// Mean pitch for each register, lowest to highest.
    pub mean_pitch: [f64; CONTROL_CLASSES],
}

/// Prints what the command line asks for.
pub fn run(args: &ObeyArgs) -> Result<()> {
    ensure!(args.bars >= 4, "--bars: expected at least 4, got {}", args.bars);
    let sampler = args.sampling.sampler()?;
    let weights = Weights::read(&args.weights)?;
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
    println!("{} pieces of {} steps for each wish", o.pieces, o.steps);
    println!("notes in the key: {:.1} % told it, {:.1} % not", 100.0 * o.notes_in_key.0, 100.0 * o.notes_in_key.1);
    let (asked, not) = o.phrases_that_close;
    println!("phrases that close: {:.1} % asked to, {:.1} % not", 100.0 * asked, 100.0 * not);
    println!("of those asked to, closed in the key: {:.1} %", 100.0 * o.closes_in_key);
    println!("attacks a quarter and voice by density: {}", list(&o.attacks_per_quarter));
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

/// A piece that was played: what sounded, and how many notes began.
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
        let mut by_class = |wish: fn(&mut Controls, u8), figure: fn(&Music) -> f64| -> [f64; CONTROL_CLASSES] {
            std::array::from_fn(|class| {
                let mut controls = Controls::default();
                wish(&mut controls, class as u8);
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

/// The places where phrases are asked to end: the first beat of every other bar.
fn cadences(steps: usize) -> impl Iterator<Item = usize> {
    (PHRASE_STEPS..=steps.saturating_sub(2 * FERMATA_STEPS)).step_by(PHRASE_STEPS)
}

fn steps_to_cadence(step: usize) -> Option<u8> {
    let next = (step + WARNING_STEPS) / PHRASE_STEPS * PHRASE_STEPS;
    (next > 0 && step < next + FERMATA_STEPS).then(|| next.saturating_sub(step) as u8)
}

/// For each place the chord on which the phrase has closed there, if it has.
fn phrase_ends(music: &Music) -> impl Iterator<Item = Option<Row>> + '_ {
    cadences(music.rows.len()).map(|at| {
        let chord = music.rows[at];
        let stays = music.rows[at..at + FERMATA_STEPS].iter().all(|row| *row == chord);
        Some(chord).filter(|chord| stays && ChordClass::of(chord).is_consonant())
    })
}

/// The share of what sounds in `rows` that lies in the scale of a key, 0 to 11 major from C up, 12 to 23 minor.
fn share_in_key(rows: &[Row], key: u8) -> f64 {
    let borrowed = if key < 12 { 0 } else { key::transposed(1, i32::from(key % 12) + RAISED_SIXTH) };
    let scale = key::scale(key) & !borrowed;
    let in_scale = |pitch: &u8| scale >> (pitch % 12) & 1 == 1;
    mean(rows.iter().flatten().flatten().map(|pitch| f64::from(u8::from(in_scale(pitch)))))
}

/// The mean, 0 of nothing.
fn mean(figures: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = figures.fold((0.0, 0.0), |(sum, count), figure| (sum + figure, count + 1.0));
    if count > 0.0 { sum / count } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cadences_are_counted_down_to() {
        let told: Vec<_> = (18..38).map(steps_to_cadence).collect();
        let expect =
            [&[None; 2][..], &(0..=12).rev().map(Some).collect::<Vec<_>>(), &[Some(0); 3], &[None; 2]].concat();
        assert_eq!(told, expect);
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
        // C minor, of which each pitch class is asked for alone.
        let has = |class: u8| share_in_key(&[[Some(60 + class), None, None, None]], 12) == 1.0;
        assert_eq!((0..12).filter(|&class| has(class)).collect::<Vec<_>>(), [0, 2, 3, 5, 7, 8, 10, 11]);
        let has = |class: u8| share_in_key(&[[Some(60 + class), None, None, None]], 0) == 1.0;
        assert_eq!((0..12).filter(|&class| has(class)).collect::<Vec<_>>(), [0, 2, 4, 5, 7, 9, 11]);
    }
}
