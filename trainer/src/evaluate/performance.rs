//! Lets a network play: harmonise given voices one step after another, as the plugin does, or play freely.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use clap::ValueEnum;
use continuo_model::decision::{Decision, Given};
use continuo_model::generate::{Network, Performer, Step, StepSettings, given_of};
use continuo_model::key::KeyEstimator;
use continuo_model::rules::Row;
use continuo_model::tokeniser::grid::{NUM_VOICES, STEPS_PER_BEAT};
use indicatif::ProgressBar;

use crate::preparation::four_voices::FourVoices;
use crate::seeds::Seed;

/// Where the key control comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum KeySource {
    /// As in the plugin: estimated from the notes that the given voices have played so far; with --free, drawn for each
    /// piece.
    Auto,
    /// Not set: the network decides.
    None,
}

/// Performs each item on all cores, each with a performer of its own, and returns the results in order.
pub fn perform_all<T: Sync, R: Send>(
    network: &Arc<dyn Network>,
    items: &[T],
    perform: impl Fn(&mut dyn Performer, usize, &T) -> R + Sync,
) -> Vec<R> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(items.len());
    let (next, progress) = (AtomicUsize::new(0), ProgressBar::new(items.len() as u64));
    let work = || {
        let mut performer = Arc::clone(network).performer();
        let mut results = Vec::new();
        loop {
            let idx = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(idx) else { return results };
            results.push((idx, perform(&mut *performer, idx, item)));
            progress.inc(1);
        }
    };
    let mut results: Vec<(usize, R)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("a performance does not panic")).collect()
    });
    progress.finish_and_clear();
    results.sort_by_key(|(idx, _)| *idx);
    results.into_iter().map(|(_, result)| result).collect()
}

/// Harmonises the `given` voices of a piece. At each step the performer knows what they have played up to this step,
/// and nothing of what follows. As in the plugin's Harmonise, all voices start after a silence of the given ones, and
/// all rest while these do. With no given voice, the network plays freely.
pub fn harmonise(
    performer: &mut dyn Performer,
    piece: &FourVoices,
    given: [bool; NUM_VOICES],
    settings: StepSettings,
    key: KeySource,
) -> FourVoices {
    let mut estimator = KeyEstimator::default();
    let mut was_silent = true;
    let score = Seed::of_voices(piece);
    play(performer, piece.rows.len(), |step| {
        let played: Row = std::array::from_fn(|voice| piece.rows[step][voice].filter(|_| given[voice]));
        let is_silent = played == [None; NUM_VOICES];
        estimator.push(played);
        let mut settings = settings;
        settings.controls.bar = piece.bars.get(step).copied().flatten();
        if key == KeySource::Auto {
            settings.controls.key = estimator.key();
        }
        let symbols = std::array::from_fn(|voice| score.rows[step][voice].filter(|_| given[voice]));
        let plays_freely = given == [false; NUM_VOICES];
        let given = if is_silent && !plays_freely { Given::all(Decision::SILENCE) } else { given_of(&symbols) };
        let attack = if plays_freely { step == 0 } else { was_silent && !is_silent };
        was_silent = is_silent;
        Step { given, attack, settings, ..at(step) }
    })
    .like(piece)
}

/// Plays freely for `steps` steps. `settings_of` gives the settings of each step.
pub fn play_freely(
    performer: &mut dyn Performer,
    steps: usize,
    settings_of: impl Fn(usize) -> StepSettings,
) -> FourVoices {
    let played = play(performer, steps, |step| Step { attack: step == 0, settings: settings_of(step), ..at(step) });
    played.like(&FourVoices { metre: (4, 4), ..FourVoices::default() })
}

/// A step of a piece whose first step is on a beat.
fn at(step: usize) -> Step {
    Step { step_idx: step as i64, step_in_beat: step % STEPS_PER_BEAT, ..Step::default() }
}

/// What a performer played.
struct Played {
    rows: Vec<Row>,
    attacks: Vec<u8>,
}

impl Played {
    /// As a piece with the name and metre of another.
    fn like(self, piece: &FourVoices) -> FourVoices {
        FourVoices { rows: self.rows, attacks: Some(self.attacks), fermatas: Vec::new(), split: None, ..piece.clone() }
    }
}

fn play(performer: &mut dyn Performer, steps: usize, mut step_at: impl FnMut(usize) -> Step) -> Played {
    performer.reset();
    let mut played = Played { rows: Vec::with_capacity(steps), attacks: Vec::with_capacity(steps) };
    for step in 0..steps {
        let decision = performer.decide(&step_at(step));
        let starts = |voice: usize| decision.starts(voice as u8).next().is_some();
        played.rows.push(std::array::from_fn(|voice| decision.sounding.keys(voice as u8).next()));
        played.attacks.push((0..NUM_VOICES).map(|voice| u8::from(starts(voice)) << voice).sum());
    }
    played
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preparation::four_voices::tests::piece;
    use continuo_model::generate::{Checkpoint, symbols_of};
    use continuo_model::stream::cuda::Accelerator;
    use continuo_model::vocabulary::Symbol;

    /// Plays what is given, and records the steps.
    #[derive(Default)]
    struct Recorder(Vec<Step>);

    impl Performer for Recorder {
        fn network(&self) -> &dyn Network {
            unreachable!("a recorder has no network")
        }

        fn reset(&mut self) {
            self.0.clear();
        }

        fn decide(&mut self, step: &Step) -> Decision {
            self.0.push(*step);
            step.given.notes
        }

        fn replay(&mut self, _: &mut dyn Iterator<Item = (Step, Decision)>) {
            unreachable!("nothing is replayed")
        }

        fn accelerator(&mut self) -> &mut Accelerator {
            unreachable!("a recorder runs nowhere")
        }

        fn checkpoint(&self) -> Checkpoint {
            Checkpoint::new(())
        }

        fn save(&self, _: &mut Checkpoint) {}

        fn restore(&mut self, _: &Checkpoint) {}
    }

    /// Expects a word for each step: what is given to each voice (`?`: nothing), and `!` if all must start.
    fn check(music: &str, given: &str, expect: &[&str]) {
        let mut recorder = Recorder::default();
        let given = crate::kinds::given_voices(given).unwrap();
        harmonise(&mut recorder, &piece(music), given, StepSettings::default(), KeySource::Auto);
        let symbol = |symbol: Option<Symbol>| match symbol {
            None => "?".into(),
            Some(Symbol::Rest) => "r".into(),
            Some(Symbol::Hold) => "_".into(),
            Some(Symbol::Pitch(pitch)) => pitch.to_string(),
        };
        let word = |step: &Step| symbols_of(&step.given).map(symbol).join(" ") + if step.attack { " !" } else { "" };
        assert_eq!(recorder.0.iter().map(word).collect::<Vec<_>>(), expect, "{music}");
    }

    #[test]
    fn given_voices_are_struck_held_and_silent_as_written() {
        let music = "72* 64* 55* 48* | 72 65* 57* 50* | 72* 65 57 50 | . 64* 55* 48* | 71* 62* 55 43*";
        check(music, "S", &["72 ? ? ? !", "_ ? ? ?", "72 ? ? ?", "r r r r", "71 ? ? ? !"]);
        check(music, "SB", &["72 ? ? 48 !", "_ ? ? 50", "72 ? ? _", "r ? ? 48", "71 ? ? 43"]);
        check(music, "", &["? ? ? ? !", "? ? ? ?", "? ? ? ?", "? ? ? ?", "? ? ? ?"]);
    }

    #[test]
    fn the_key_is_that_of_the_notes_played_so_far() {
        let scale = [72, 74, 76, 77, 79, 77, 76, 74, 71, 72, 72, 72].map(|pitch| format!("{pitch}* 66* 54* 49*"));
        let piece = piece(&scale.join("|"));
        let keys = |source| {
            let mut recorder = Recorder::default();
            harmonise(&mut recorder, &piece, [true, false, false, false], StepSettings::default(), source);
            recorder.0.iter().map(|step| step.settings.controls.key).collect::<Vec<_>>()
        };
        let auto = keys(KeySource::Auto);
        assert_eq!((auto[0], auto[11]), (None, Some(0)), "{auto:?}");
        assert!(keys(KeySource::None).iter().all(Option::is_none));
    }

    #[test]
    fn what_was_played_becomes_a_piece_like_the_other() {
        let music = piece("72* 64* 55* 48* | 72 65* 57* 50* | . 65 57 50");
        let played = harmonise(
            &mut Recorder::default(),
            &music,
            [true, false, false, true],
            StepSettings::default(),
            KeySource::None,
        );
        // A recorder leaves the other voices silent. It starts notes, and holds none of a key that it does not know.
        assert_eq!((played.rows[0], played.name.as_str()), ([Some(72), None, None, Some(48)], "piece"));
        assert_eq!(played.attacks, Some(vec![0b1001, 0b1000, 0]));
    }
}
