//! The rng seed: a number, a dice, and the way back to every seed there was. Runs on the host's window thread.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use continuo_model::random::SplitMix64;
use nice_plug::prelude::*;

use super::places;
use super::theme::Theme;
use super::widgets::{bar, button, button_response, set};

/// Seeds that are remembered.
const MAX_HISTORY: usize = 50;
/// Largest seed of the parameter.
const MAX_SEED: i32 = 9999;

/// How long a host may take to set the parameter.
const PATIENCE: Duration = Duration::from_secs(2);

/// The seeds that the editor has seen, the latest last; the project keeps them.
pub struct Seeds {
    history: Arc<Mutex<Vec<i32>>>,
    /// What has been asked for, until the host has set it: the parameter is behind till then.
    asked: Option<(i32, Instant)>,
    random: SplitMix64,
}

impl Seeds {
    /// With the project's history. The dice falls otherwise each time; only the number that it gives makes the music.
    pub fn new(history: Arc<Mutex<Vec<i32>>>) -> Self {
        let clock = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos() as u64);
        Self { history, asked: None, random: SplitMix64::new(clock) }
    }

    /// The seed that plays, or will once the host has set it.
    pub fn now(&mut self, param: &IntParam) -> i32 {
        let shown = param.unmodulated_plain_value();
        self.asked = self.asked.filter(|(seed, at)| *seed != shown && at.elapsed() < PATIENCE);
        self.asked.map_or(shown, |(seed, _)| seed)
    }

    /// Remembers what plays; called for every picture.
    pub fn follow(&mut self, ctx: &egui::Context, param: &IntParam) {
        let now = self.now(param);
        // What the hand drags through is not remembered.
        if !ctx.input(|input| input.pointer.any_down()) {
            self.see(now);
        }
    }

    /// Sets the parameter.
    pub fn ask(&mut self, setter: &ParamSetter, param: &IntParam, seed: i32) {
        self.asked = Some((seed, Instant::now()));
        set(setter, param, seed);
    }

    /// Another seed than the one that is.
    fn throw(&mut self, now: i32) -> i32 {
        loop {
            let seed = self.random.next_below(MAX_SEED as usize + 1) as i32;
            if seed != now {
                return seed;
            }
        }
    }

    /// Remembers a seed as the one that plays.
    fn see(&self, seed: i32) {
        let Ok(mut history) = self.history.lock() else { return };
        if history.last() != Some(&seed) {
            history.retain(|earlier| *earlier != seed);
            history.push(seed);
            let surplus = history.len().saturating_sub(MAX_HISTORY);
            history.drain(..surplus);
        }
    }

    /// Goes back to the one before the one that plays. The one that is left is kept, but behind: undoing again goes on back.
    fn undo(&self) -> Option<i32> {
        let mut history = self.history.lock().ok().filter(|history| history.len() > 1)?;
        history.rotate_right(1);
        history.last().copied()
    }

    /// The seed with its buttons.
    pub fn show(&mut self, ui: &mut egui::Ui, theme: &Theme, setter: &ParamSetter, param: &IntParam) {
        let now = self.now(param);
        bar(ui, theme, setter, param, "Another number, another performance; the same number, the same again.");
        ui.horizontal(|ui| {
            let width = (ui.available_width() - 2.0 * ui.spacing().item_spacing.x) / 3.0;
            if button(ui, theme, "Dice", width, "Another performance: a new rng seed by chance.") {
                let seed = self.throw(now);
                self.ask(setter, param, seed);
            }
            if button(ui, theme, "Undo seed", width, "Back to the rng seed before this one.")
                && let Some(before) = self.undo()
            {
                self.ask(setter, param, before);
            }
            if let Some(seed) = self.menu(ui, theme, now, width) {
                self.ask(setter, param, seed);
            }
        });
    }

    /// The seeds that there were; gives the one that is chosen.
    fn menu(&self, ui: &mut egui::Ui, theme: &Theme, now: i32, width: f32) -> Option<i32> {
        let text = "The rng seeds that there were, the latest first.";
        let response = button_response(ui, theme, "History", width, text);
        let mut chosen = None;
        egui::Popup::menu(&response).width(width.max(80.0)).show(|ui| {
            let history = self.history.lock().map(|history| history.clone()).unwrap_or_default();
            egui::ScrollArea::vertical().max_height(300.0).show(ui, |ui| {
                for seed in history.iter().rev() {
                    let response = ui.selectable_label(*seed == now, seed.to_string());
                    places::note(ui.ctx(), || format!("History/{seed}"), response.rect);
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
    fn every_earlier_seed_can_be_gone_back_to() {
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
    fn a_host_that_takes_its_time_changes_no_history() {
        let param = IntParam::new("Rng seed", 5, IntRange::Linear { min: 0, max: MAX_SEED });
        let mut seeds = Seeds::new(Arc::default());
        [1, 7, 5].into_iter().for_each(|seed| seeds.see(seed));
        // As `ask` does; the parameter still shows 5.
        let before = seeds.undo().unwrap();
        seeds.asked = Some((before, Instant::now()));
        for _ in 0..3 {
            seeds.follow(&egui::Context::default(), &param);
        }
        assert_eq!((seeds.now(&param), seeds.undo()), (7, Some(1)));
        // A host that has not set it after all is believed in the end.
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
