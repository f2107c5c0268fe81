//! The Takes tab: chooses a take, bars and voices, saves them as MIDI and freezes them. Runs on the host's window
//! thread.

use std::ops::Range;
use std::path::PathBuf;

use continuo_model::tokeniser::grid::VOICE_NAMES;
use egui::{Align2, CornerRadius, DragValue, FontId, RichText, Sense, Ui, vec2};
use nice_plug::prelude::*;

use super::clip::{self, Wanted};
use super::control_rects;
use super::freezing::{self, Frozen};
use super::theme::Theme;
use super::widgets::{button, set, toggle};
use crate::background::Background;
use crate::folders;
use crate::params::ContinuoParams;
use crate::takes::{Start, TakeView, Takes};

const ROW_HEIGHT: f32 = 26.0;
const BUTTON_WIDTH: f32 = 116.0;

/// The player's choice, and the result of the last saving.
pub struct TakeList {
    /// The number of the chosen take; `None` for the latest.
    number: Option<u32>,
    /// The chosen bars, by index; `None` for all.
    bars: Option<Range<i64>>,
    voices: [bool; 4],
    others: bool,
    file_each: bool,
    as_heard: bool,
    saving: Background<Saved>,
    saved: Option<Saved>,
}

/// The saved files, or an error for the player.
type Saved = Result<Vec<PathBuf>, String>;

impl TakeList {
    /// The whole latest take.
    pub fn new() -> Self {
        Self {
            number: None,
            bars: None,
            voices: [true; 4],
            others: true,
            file_each: false,
            as_heard: false,
            saving: Background::new("continuo clips"),
            saved: None,
        }
    }

    /// The chosen take and bars.
    pub fn chosen<'a>(&self, takes: &'a Takes) -> Option<(TakeView<'a>, Range<i64>)> {
        let named = self.number.and_then(|number| takes.list().find(|take| take.start.number == number));
        let take = named.or_else(|| takes.list().next_back())?;
        let all = take.bars();
        let within = |bars: Range<i64>| {
            let start = bars.start.clamp(all.start, all.end - 1);
            start..bars.end.clamp(start + 1, all.end)
        };
        let bars = self.bars.clone().map(within);
        Some((take, bars.unwrap_or(all)))
    }

    /// Chooses bars, by index.
    pub fn choose_bars(&mut self, bars: Range<i64>) {
        (self.bars, self.saved) = (Some(bars), None);
    }

    /// Shows the list on the left, and the buttons for the chosen take on the right.
    pub fn show(
        &mut self,
        ui: &mut Ui,
        theme: &Theme,
        setter: &ParamSetter,
        params: &ContinuoParams,
        takes: &Takes,
        at_beats: f64,
    ) {
        if let Some(done) = self.saving.done() {
            self.saved = Some(done.flatten());
        }
        let Some((take, bars)) = self.chosen(takes) else {
            ui.centered_and_justified(|ui| {
                ui.label(
                    RichText::new("Everything that you play is kept here. Each start of the transport begins a take.")
                        .weak(),
                );
            });
            return;
        };
        let list_width = (ui.available_width() * 0.5).min(560.0);
        ui.horizontal_top(|ui| {
            ui.vertical(|ui| {
                ui.set_width(list_width);
                let scroll = egui::ScrollArea::vertical().auto_shrink(false);
                scroll.show(ui, |ui| {
                    ui.spacing_mut().item_spacing.y = 2.0;
                    for listed in takes.list().rev() {
                        self.row(ui, theme, &listed, listed.start.number == take.start.number);
                    }
                });
            });
            ui.add_space(18.0);
            ui.vertical(|ui| {
                self.range(ui, theme, &take, bars.clone());
                self.voice_buttons(ui, theme);
                self.actions(ui, theme, params, &take, bars.clone());
                self.again(ui, theme, setter, params, &Again { takes, start: take.start, bars, at_beats });
                self.outcome(ui, theme);
            });
        });
    }

    fn row(&mut self, ui: &mut Ui, theme: &Theme, take: &TakeView, chosen: bool) {
        let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width() - 8.0, ROW_HEIGHT), Sense::click());
        let start = take.start;
        control_rects::record(ui.ctx(), || format!("Take {}", start.number), rect);
        let (ground, ink, faint) = match (chosen, response.hovered()) {
            (true, _) => (theme.accent, theme.on_accent, theme.on_accent),
            (_, true) => (theme.control_hot, theme.ink, theme.faint_ink),
            _ => (theme.control, theme.ink, theme.faint_ink),
        };
        ui.painter().rect_filled(rect, CornerRadius::same(4), ground);
        let bars = take.bars();
        let (first, last) = (start.first_bar() + bars.start, start.first_bar() + bars.end - 1);
        let bars = if first == last { format!("bar {first}") } else { format!("bars {first}–{last}") };
        let notes = if take.notes.len() == 1 { "1 note".into() } else { format!("{} notes", take.notes.len()) };
        let cells = [
            (0.02, format!("Take {}", start.number), ink),
            (0.19, bars, faint),
            (0.40, format!("{:.0} bpm", start.tempo_bpm), faint),
            (0.56, format!("{}/{}", start.time_signature.0, start.time_signature.1), faint),
            (0.66, format!("seed {}", start.rng_seed), faint),
            if start.incomplete {
                (0.84, "incomplete".into(), if chosen { theme.on_accent } else { theme.warning })
            } else {
                (0.84, notes, faint)
            },
        ];
        for (share, text, ink) in cells {
            let at = rect.left_center() + vec2(rect.width() * share, 0.0);
            ui.painter().text(at, Align2::LEFT_CENTER, text, FontId::proportional(13.0), ink);
        }
        let response = if start.incomplete {
            response.on_hover_text("Notes are missing: a render went on before the network had decided.")
        } else {
            response
        };
        if response.clicked() {
            (self.number, self.bars, self.saved) = (Some(start.number), None, None);
        }
    }

    /// The fields for the first and the last bar, as the host numbers them.
    fn range(&mut self, ui: &mut Ui, theme: &Theme, take: &TakeView, bars: Range<i64>) {
        let offset = take.start.first_bar();
        let all = take.bars();
        let (first_bar, last_bar) = (offset + all.start, offset + all.end - 1);
        let (mut first, mut last) = (bars.start + offset, bars.end - 1 + offset);
        ui.horizontal(|ui| {
            ui.label(RichText::new("Bars").color(theme.faint_ink));
            let from = ui.add(DragValue::new(&mut first).range(first_bar..=last).speed(0.1));
            control_rects::record(ui.ctx(), || "First bar".into(), from.rect);
            ui.label(RichText::new("to").color(theme.faint_ink));
            let to = ui.add(DragValue::new(&mut last).range(first..=last_bar).speed(0.1));
            control_rects::record(ui.ctx(), || "Last bar".into(), to.rect);
            if from.changed() || to.changed() {
                self.choose_bars(first - offset..last + 1 - offset);
            }
            if button(ui, theme, "All bars", 72.0, "Chooses the whole take.") {
                (self.bars, self.saved) = (None, None);
            }
            ui.label(RichText::new("or drag along the ruler").color(theme.faint_ink));
        });
    }

    fn voice_buttons(&mut self, ui: &mut Ui, theme: &Theme) {
        ui.horizontal(|ui| {
            for (name, on) in VOICE_NAMES.into_iter().zip(&mut self.voices) {
                toggle(ui, theme, name, 70.0, on, "Saves or freezes this voice.");
            }
            toggle(ui, theme, "Others", 70.0, &mut self.others, "Saves the notes on all other channels.");
        });
    }

    fn actions(&mut self, ui: &mut Ui, theme: &Theme, params: &ContinuoParams, take: &TakeView, bars: Range<i64>) {
        ui.horizontal(|ui| {
            let text = "Saves the bars and voices as a MIDI file: a named track for each voice, tempo, time \
                        signature, and the key that you have set or that the notes make clear.";
            if button(ui, theme, "Save MIDI", BUTTON_WIDTH, text) {
                let Self { voices, others, file_each, as_heard, .. } = *self;
                let key = params.key.unmodulated_plain_value();
                let wanted = Wanted { bars, voices, others, file_each, as_heard, key };
                self.saved = self.begin_saving(take, &wanted).err().map(Err);
            }
            let text = "Saves a file for each voice instead of one for all.";
            toggle(ui, theme, "File per voice", BUTTON_WIDTH, &mut self.file_each, text);
            let text = "Saves Continuo's notes when they sounded, later than yours by the reply delay. Otherwise they \
                        are on the grid.";
            toggle(ui, theme, "As heard", BUTTON_WIDTH, &mut self.as_heard, text);
        });
    }

    fn begin_saving(&mut self, take: &TakeView, wanted: &Wanted) -> Result<(), String> {
        if self.saving.is_busy() {
            return Err("Still saving the last files. Try again in a moment.".into());
        }
        let folder = folders::clips().ok_or(folders::MISSING)?;
        let files = clip::files(take, wanted)?;
        self.saving.begin(move || clip::save(&files, &folder))
    }

    /// The buttons that play the take again: its notes, or its rng seed.
    fn again(&self, ui: &mut Ui, theme: &Theme, setter: &ParamSetter, params: &ContinuoParams, again: &Again) {
        let Again { takes, start, ref bars, at_beats } = *again;
        ui.horizontal(|ui| {
            let frozen = Frozen::now(params);
            let was_on = frozen.is_on() && frozen.number == start.number && frozen.voices == self.voices;
            let mut on = was_on;
            let text = "Plays these bars and voices again in place of new music: the same notes at the same song \
                        positions. Of a loop, the last pass counts. Press again to unfreeze.";
            toggle(ui, theme, "Freeze take", BUTTON_WIDTH, &mut on, text);
            if on != was_on && self.voices != [false; 4] {
                let voices = if on { self.voices } else { [false; 4] };
                freezing::freeze_take(setter, params, takes, start.number, bars.clone(), at_beats, voices);
            }
            let text = "Sets the rng seed to that of this take.";
            if button(ui, theme, "Use its seed", BUTTON_WIDTH, text) {
                set(setter, &params.rng_seed, start.rng_seed as i32);
            }
        });
    }

    fn outcome(&self, ui: &mut Ui, theme: &Theme) {
        match &self.saved {
            None => {}
            Some(Err(problem)) => {
                ui.label(RichText::new(problem).color(theme.warning));
            }
            Some(Ok(paths)) => {
                let Some(first) = paths.first() else { return };
                let more = if paths.len() > 1 { format!(" and {} more", paths.len() - 1) } else { String::new() };
                ui.label(RichText::new(format!("Saved {}{more}", first.display())).color(theme.ink));
                ui.horizontal(|ui| {
                    if button(ui, theme, "Copy path", BUTTON_WIDTH, "Copies the paths of the files to the clipboard.") {
                        let all: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
                        ui.ctx().copy_text(all.join("\n"));
                    }
                    if button(
                        ui,
                        theme,
                        "Open folder",
                        BUTTON_WIDTH,
                        "Opens the folder, so that you can drag the files into your DAW.",
                    ) {
                        open_folder(ui, first);
                    }
                });
            }
        }
    }
}

/// The take and the bars to play again.
struct Again<'a> {
    takes: &'a Takes,
    start: &'a Start,
    bars: Range<i64>,
    /// The current position in the current take.
    at_beats: f64,
}

fn open_folder(ui: &Ui, file: &std::path::Path) {
    if let Some(folder) = file.parent() {
        // The system opens it in another program. Nothing here waits for that.
        ui.ctx().open_url(egui::OpenUrl::new_tab(folder.display().to_string()));
    }
}
