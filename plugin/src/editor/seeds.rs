//! The rng seed: its value, a dice, undo and history. Runs on the host's window thread.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use continuo_model::random::SplitMix64;
use nice_plug::prelude::*;

use super::control_rects;
use super::theme::Theme;
use super::widgets::{bar, button, button_response, set};

/// How many seeds the history holds.
const MAX_HISTORY: usize = 50;
/// The largest value of the parameter.
const MAX_SEED: i32 = 9999;

/// How long the host may take to set the parameter.
const PATIENCE: Duration = Duration::from_secs(2);

/// The history of seeds, the latest last. The project saves it.
pub struct Seeds {
    history: Arc<Mutex<Vec<i32>>>,
    /// The seed that the editor has requested, and when, until the host sets the parameter.
    asked: Option<(i32, Instant)>,
    random: SplitMix64,
}

impl Seeds {
    /// The project's history. The clock seeds the dice, so each instance throws other numbers.
    pub fn new(history: Arc<Mutex<Vec<i32>>>) -> Self {
        let clock = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos() as u64);
        Self { history, asked: None, random: SplitMix64::new(clock) }
    }

    /// The requested seed, until the host sets the parameter; then the parameter's value.
    pub fn now(&mut self, param: &IntParam) -> i32 {
        let shown = param.unmodulated_plain_value();
        self.asked = self.asked.filter(|(seed, at)| *seed != shown && at.elapsed() < PATIENCE);
        self.asked.map_or(shown, |(seed, _)| seed)
    }

    /// Adds the current seed to the history. Called for every frame.
    pub fn follow(&mut self, ctx: &egui::Context, param: &IntParam) {
        let now = self.now(param);
        // Values during a drag do not count.
        if !ctx.input(|input| input.pointer.any_down()) {
            self.see(now);
        }
    }

    /// Requests the host to set the parameter.
    pub fn ask(&mut self, setter: &ParamSetter, param: &IntParam, seed: i32) {
        self.asked = Some((seed, Instant::now()));
        set(setter, param, seed);
    }

    /// A random seed other than `now`.
    fn throw(&mut self, now: i32) -> i32 {
        loop {
            let seed = self.random.next_below(MAX_SEED as usize + 1) as i32;
            if seed != now {
                return seed;
            }
        }
    }

    /// Makes a seed the latest of the history.
    fn see(&self, seed: i32) {
        let Ok(mut history) = self.history.lock() else { return };
        if history.last() != Some(&seed) {
            history.retain(|earlier| *earlier != seed);
            history.push(seed);
            let surplus = history.len().saturating_sub(MAX_HISTORY);
            history.drain(..surplus);
        }
    }

    /// Returns to the previous seed. The current one becomes the oldest, so that a further undo goes further back.
    fn undo(&self) -> Option<i32> {
        let mut history = self.history.lock().ok().filter(|history| history.len() > 1)?;
        history.rotate_right(1);
        history.last().copied()
    }

    /// The seed with its buttons.
    pub fn show(&mut self, ui: &mut egui::Ui, theme: &Theme, setter: &ParamSetter, param: &IntParam) {
        let now = self.now(param);
        bar(ui, theme, setter, param, "Each seed gives another performance, and always the same one.");
        ui.horizontal(|ui| {
            let width = (ui.available_width() - 2.0 * ui.spacing().item_spacing.x) / 3.0;
            if button(ui, theme, "Dice", width, "A random seed, for another performance.") {
                let seed = self.throw(now);
                self.ask(setter, param, seed);
            }
            if button(ui, theme, "Undo seed", width, "Returns to the previous seed.")
                && let Some(before) = self.undo()
            {
                self.ask(setter, param, before);
            }
            if let Some(seed) = self.menu(ui, theme, now, width) {
                self.ask(setter, param, seed);
            }
        });
    }

    /// The history as a menu. Returns the seed that the player chooses.
    fn menu(&self, ui: &mut egui::Ui, theme: &Theme, now: i32, width: f32) -> Option<i32> {
        let text = "Earlier seeds, the latest first.";
        let response = button_response(ui, theme, "History", width, text);
        let mut chosen = None;
        egui::Popup::menu(&response).width(width.max(80.0)).show(|ui| {
            let history = self.history.lock().map(|history| history.clone()).unwrap_or_default();
            egui::ScrollArea::vertical().max_height(300.0).show(ui, |ui| {
                for seed in history.iter().rev() {
                    let response = ui.selectable_label(*seed == now, seed.to_string());
                    control_rects::record(ui.ctx(), || format!("History/{seed}"), response.rect);
                    if response.clicked() {
                        chosen = Some(*seed);
                        ui.close();
                    }
                }
            });
        });
        chosen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn undo_reaches_every_earlier_seed() {
        let seeds = Seeds::new(Arc::default());
        let history = || seeds.history.lock().unwrap().clone();
        assert_eq!(seeds.undo(), None);
        [1, 1, 7, 3].into_iter().for_each(|seed| seeds.see(seed));
        assert_eq!(history(), [1, 7, 3]);
        assert_eq!((seeds.undo(), history()), (Some(7), vec![3, 1, 7]));
        seeds.see(7);
        assert_eq!((seeds.undo(), history()), (Some(1), vec![7, 3, 1]));
        (100..200).for_each(|seed| seeds.see(seed));
        assert_eq!((history().len(), seeds.undo()), (MAX_HISTORY, Some(198)));
    }

    #[test]
    fn a_slow_host_does_not_change_the_history() {
        let param = IntParam::new("Rng seed", 5, IntRange::Linear { min: 0, max: MAX_SEED });
        let mut seeds = Seeds::new(Arc::default());
        [1, 7, 5].into_iter().for_each(|seed| seeds.see(seed));
        // As in `ask`. The parameter still shows 5.
        let before = seeds.undo().unwrap();
        seeds.asked = Some((before, Instant::now()));
        for _ in 0..3 {
            seeds.follow(&egui::Context::default(), &param);
        }
        assert_eq!((seeds.now(&param), seeds.undo()), (7, Some(1)));
        // If the host does not set the parameter in time, the parameter's value counts.
        seeds.asked = Instant::now().checked_sub(2 * PATIENCE).map(|at| (7, at));
        assert_eq!(seeds.now(&param), 5);
    }

    #[test]
    fn the_dice_gives_another_seed_in_range() {
        let mut seeds = Seeds::new(Arc::default());
        let thrown: Vec<i32> = (0..100_000).map(|_| seeds.throw(5)).collect();
        assert!(thrown.iter().all(|seed| (0..=MAX_SEED).contains(seed) && *seed != 5));
        assert!(thrown.iter().any(|seed| *seed > 9000) && thrown.iter().any(|seed| *seed < 1000));
    }
}
