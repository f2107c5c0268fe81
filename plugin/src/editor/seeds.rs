//! The rng seed: a number, a dice, and the way back to every seed there was. Runs on the host's window thread.

use std::time::{SystemTime, UNIX_EPOCH};

use continuo_model::random::SplitMix64;
use nice_plug::prelude::*;

use super::places;
use super::theme::Theme;
use super::widgets::{bar, button, set};

/// Seeds that are remembered.
const MAX_HISTORY: usize = 50;
/// Largest seed of the parameter.
const MAX_SEED: i32 = 9999;

/// The seeds that the editor has seen, the latest last.
pub struct Seeds {
    history: Vec<i32>,
    random: SplitMix64,
}

impl Seeds {
    /// Nothing seen yet. The dice falls otherwise each time; only the number that it gives makes the music.
    pub fn new() -> Self {
        let clock = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos() as u64);
        Self { history: Vec::new(), random: SplitMix64::new(clock) }
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
    fn see(&mut self, seed: i32) {
        if self.history.last() != Some(&seed) {
            self.history.retain(|earlier| *earlier != seed);
            self.history.push(seed);
            let surplus = self.history.len().saturating_sub(MAX_HISTORY);
            self.history.drain(..surplus);
        }
    }

    /// The one before the one that plays.
    fn before(&self) -> Option<i32> {
        self.history.iter().rev().nth(1).copied()
    }

    /// The seed with its buttons.
    pub fn show(&mut self, ui: &mut egui::Ui, theme: &Theme, setter: &ParamSetter, param: &IntParam) {
        let now = param.unmodulated_plain_value();
        // What the hand drags through is not remembered.
        if !ui.input(|input| input.pointer.any_down()) {
            self.see(now);
        }
        bar(ui, theme, setter, param, "Another number, another performance; the same number, the same again.");
        ui.horizontal(|ui| {
            let width = (ui.available_width() - 2.0 * ui.spacing().item_spacing.x) / 3.0;
            if button(ui, theme, "Dice", width, "Another performance: a new rng seed by chance.") {
                let seed = self.throw(now);
                set(setter, param, seed);
            }
            if button(ui, theme, "Undo seed", width, "Back to the rng seed before this one.")
                && let Some(before) = self.before()
            {
                // The one that is left is kept, but behind: undoing again goes on back.
                self.history.rotate_right(1);
                set(setter, param, before);
            }
            self.menu(ui, setter, param, now, width);
        });
    }

    fn menu(&self, ui: &mut egui::Ui, setter: &ParamSetter, param: &IntParam, now: i32, width: f32) {
        let shown =
            egui::ComboBox::from_id_salt("seed history").width(width).selected_text("History").show_ui(ui, |ui| {
                for seed in self.history.iter().rev() {
                    let response = ui.selectable_label(*seed == now, seed.to_string());
                    places::note(ui.ctx(), || format!("History/{seed}"), response.rect);
                    if response.clicked() {
                        set(setter, param, *seed);
                    }
                }
            });
        places::note(ui.ctx(), || "History".into(), shown.response.rect);
        shown.response.on_hover_text("Every rng seed since the editor was first opened, the latest first.");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_earlier_seed_can_be_gone_back_to() {
        let mut seeds = Seeds::new();
        [1, 1, 7, 3].into_iter().for_each(|seed| seeds.see(seed));
        assert_eq!((seeds.history.clone(), seeds.before()), (vec![1, 7, 3], Some(7)));
        seeds.history.rotate_right(1);
        seeds.see(7);
        assert_eq!((seeds.history.clone(), seeds.before()), (vec![3, 1, 7], Some(1)));
        (100..200).for_each(|seed| seeds.see(seed));
        assert_eq!((seeds.history.len(), seeds.before()), (MAX_HISTORY, Some(198)));
    }

    #[test]
    fn the_dice_gives_another_seed_in_range() {
        let mut seeds = Seeds::new();
        let thrown: Vec<i32> = (0..100_000).map(|_| seeds.throw(5)).collect();
        assert!(thrown.iter().all(|seed| (0..=MAX_SEED).contains(seed) && *seed != 5));
        assert!(thrown.iter().any(|seed| *seed > 9000) && thrown.iter().any(|seed| *seed < 1000));
    }
}
