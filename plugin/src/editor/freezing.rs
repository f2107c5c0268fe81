//! Freezing: voices play a take again in place of new music. Runs on the host's window thread.

use std::ops::Range;

use continuo_model::tokeniser::grid::VOICE_NAMES;
use egui::{Align2, CornerRadius, FontId, Rect, Sense, Stroke, StrokeKind, Ui, pos2, vec2};
use nice_plug::prelude::*;

use super::control_rects;
use super::theme::Theme;
use super::widgets::{self, set};
use crate::frozen::FrozenTake;
use crate::params::ContinuoParams;
use crate::takes::{TICKS_PER_BEAT, TakeView, Takes};

const CELL_WIDTH: f32 = 30.0;

/// The frozen voices and their take.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Frozen {
    /// The voices that play the take.
    pub voices: [bool; 4],
    /// The number of the take; 0 if there is none.
    pub number: u32,
}

impl Frozen {
    /// The current state.
    pub fn now(params: &ContinuoParams) -> Self {
        let number = params.project.frozen.lock().map(|frozen| frozen.number).unwrap_or_default();
        Self { voices: std::array::from_fn(|voice| params.freeze[voice].on.value()), number }
    }

    /// Whether any voice is frozen.
    pub fn is_on(&self) -> bool {
        self.voices != [false; 4]
    }

    /// A sentence for the player; empty if no voice is frozen.
    pub fn words(&self) -> String {
        let names: Vec<&str> =
            VOICE_NAMES.into_iter().zip(self.voices).filter(|(_, on)| *on).map(|(name, _)| name).collect();
        match (names.as_slice(), self.number) {
            ([], _) => String::new(),
            (_, 0) => "Frozen, but there is no take yet: play one".into(),
            ([_, _, _, _], number) => format!("Frozen: take {number} plays again"),
            ([one], number) => format!("Frozen: {one} plays take {number} again"),
            (_, number) => format!("Frozen: {} play take {number} again", names.join(", ")),
        }
    }
}

/// Stores some bars of a take, or all, as the frozen take. `at_beats` is the current position, where sounding notes
/// end.
fn store(params: &ContinuoParams, takes: &Takes, number: u32, bars: Option<Range<i64>>, at_beats: f64) {
    let Some((start, notes)) = takes.ended_at(number, at_beats) else { return };
    let take = TakeView { start, notes: &notes };
    let at_ticks = (at_beats * TICKS_PER_BEAT).round() as i64;
    let frozen = FrozenTake::of(&take, bars.unwrap_or_else(|| take.bars()), at_ticks);
    if let Ok(mut stored) = params.project.frozen.lock() {
        *stored = frozen;
    }
}

/// Freezes some voices with bars of a take. Without voices, unfreezes all.
pub fn freeze_take(
    setter: &ParamSetter,
    params: &ContinuoParams,
    takes: &Takes,
    number: u32,
    bars: Range<i64>,
    at_beats: f64,
    voices: [bool; 4],
) {
    if voices != [false; 4] {
        store(params, takes, number, Some(bars), at_beats);
    }
    for (voice, on) in params.freeze.iter().zip(voices) {
        if voice.on.unmodulated_plain_value() != on {
            set(setter, &voice.on, on);
        }
    }
}

/// A row of four small switches, one for each voice. The first voice to be frozen freezes the current or latest take.
pub fn show(ui: &mut Ui, theme: &Theme, setter: &ParamSetter, params: &ContinuoParams, takes: &Takes, at_beats: f64) {
    let frozen = Frozen::now(params);
    let (rect, whole) = ui.allocate_exact_size(vec2(ui.available_width(), widgets::HEIGHT), Sense::hover());
    ui.painter().rect_filled(rect, CornerRadius::same(4), theme.control);
    ui.painter().rect_stroke(rect, CornerRadius::same(4), Stroke::new(1.0, theme.line), StrokeKind::Inside);
    let text =
        if frozen.is_on() && frozen.number > 0 { format!("Freeze take {}", frozen.number) } else { "Freeze".into() };
    let font = FontId::proportional(13.0);
    ui.painter().text(rect.left_center() + vec2(9.0, 0.0), Align2::LEFT_CENTER, text, font.clone(), theme.ink);
    for (voice, name) in VOICE_NAMES.into_iter().enumerate() {
        let letter = &name[..1];
        let left = rect.right() - CELL_WIDTH * (VOICE_NAMES.len() - voice) as f32;
        let cell = Rect::from_min_size(pos2(left, rect.top()), vec2(CELL_WIDTH, rect.height()));
        let response = ui.interact(cell, whole.id.with(voice), Sense::click());
        let param = &params.freeze[voice].on;
        control_rects::record(ui.ctx(), || param.name().into(), cell);
        let on = param.unmodulated_plain_value();
        let by_key = response.has_focus() && ui.input(|input| input.key_pressed(egui::Key::Enter));
        if response.clicked() || by_key {
            let latest = takes.list().next_back().map(|take| take.start.number);
            if let Some(number) = latest.filter(|_| !on && (!frozen.is_on() || frozen.number == 0)) {
                store(params, takes, number, None, at_beats);
            }
            set(setter, param, !on);
        }
        let inside = cell.shrink(2.0);
        if on {
            ui.painter().rect_filled(inside, CornerRadius::same(3), theme.accent);
        } else if response.hovered() {
            ui.painter().rect_filled(inside, CornerRadius::same(3), theme.control_hot);
        }
        if response.has_focus() {
            ui.painter().rect_stroke(cell, CornerRadius::same(4), Stroke::new(1.0, theme.accent), StrokeKind::Inside);
        }
        let ink = if on { theme.on_accent } else { theme.ink };
        ui.painter().text(cell.center(), Align2::CENTER_CENTER, letter, font.clone(), ink);
        let text = "The voice plays the frozen take again, at the same song positions. If no voice is frozen yet, the \
                    current or latest take becomes the frozen take.";
        widgets::tip(response, param.name(), text, "");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frozen_voices_and_take_are_named() {
        let words = |voices: [i32; 4], number| Frozen { voices: voices.map(|on| on == 1), number }.words();
        assert_eq!(words([0, 0, 0, 0], 3), "");
        assert_eq!(words([1, 1, 1, 1], 3), "Frozen: take 3 plays again");
        assert_eq!(words([0, 0, 0, 1], 3), "Frozen: Bass plays take 3 again");
        assert_eq!(words([1, 0, 1, 0], 12), "Frozen: Soprano, Tenor play take 12 again");
        assert_eq!(words([1, 0, 0, 0], 0), "Frozen, but there is no take yet: play one");
    }
}
