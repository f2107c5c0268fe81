//! The takes: which one, which bars and voices of it, and out into a MIDI file. Runs on the host's window thread.

use std::ops::Range;
use std::path::PathBuf;

use egui::{Align2, CornerRadius, DragValue, FontId, RichText, Sense, Ui, vec2};
use nice_plug::prelude::*;

use super::background::Background;
use super::clip::{self, VOICES, Wanted};
use super::freezing::{self, Frozen};
use super::places;
use super::theme::Theme;
use super::widgets::{button, set, toggle};
use crate::folders;
use crate::params::ContinuoParams;
use crate::takes::{Start, TakeView, Takes};

const ROW_HEIGHT: f32 = 26.0;
const BUTTON_WIDTH: f32 = 116.0;

/// What is chosen, and what came of the last saving.
pub struct TakeList {
    /// A take's number; the latest if it is none.
    number: Option<u32>,
    /// Bars of it; all of them if it is none.
    bars: Option<Range<i64>>,
    voices: [bool; 4],
    others: bool,
    file_each: bool,
    as_heard: bool,
    saving: Background<Saved>,
    saved: Option<Saved>,
}

/// The files that were written, or why they were not.
type Saved = Result<Vec<PathBuf>, String>;

impl TakeList {
    /// The latest take, all of it.
    pub fn new() -> Self {
        Self {
            number: None,
            bars: None,
            voices: [true; 4],
            others: true,
            file_each: false,
            as_heard: false,
            saving: Background::default(),
            saved: None,
        }
    }

    /// The chosen take and its chosen bars.
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

    /// Chooses bars, from 0.
    pub fn choose_bars(&mut self, bars: Range<i64>) {
        (self.bars, self.saved) = (Some(bars), None);
    }

    /// The list at the left, what to do with a take at the right.
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
            self.saved = Some(done);
        }
        let Some((take, bars)) = self.chosen(takes) else {
            ui.centered_and_justified(|ui| {
                ui.label(
                    RichText::new("Whatever you play is kept here: each start of the transport is a take.").weak(),
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
        places::note(ui.ctx(), || format!("Take {}", start.number), rect);
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
        for (place, text, ink) in cells {
            let at = rect.left_center() + vec2(rect.width() * place, 0.0);
            ui.painter().text(at, Align2::LEFT_CENTER, text, FontId::proportional(13.0), ink);
        }
        let response = if start.incomplete {
            response.on_hover_text("A render went on without the network: notes are missing.")
        } else {
            response
        };
        if response.clicked() {
            (self.number, self.bars, self.saved) = (Some(start.number), None, None);
        }
    }

    /// The bars, as the host numbers them.
    fn range(&mut self, ui: &mut Ui, theme: &Theme, take: &TakeView, bars: Range<i64>) {
        let offset = take.start.first_bar();
        let all = take.bars();
        let (first_bar, last_bar) = (offset + all.start, offset + all.end - 1);
        let (mut first, mut last) = (bars.start + offset, bars.end - 1 + offset);
        ui.horizontal(|ui| {
            ui.label(RichText::new("Bars").color(theme.faint_ink));
            let from = ui.add(DragValue::new(&mut first).range(first_bar..=last).speed(0.1));
            places::note(ui.ctx(), || "First bar".into(), from.rect);
            ui.label(RichText::new("to").color(theme.faint_ink));
            let to = ui.add(DragValue::new(&mut last).range(first..=last_bar).speed(0.1));
            places::note(ui.ctx(), || "Last bar".into(), to.rect);
            if from.changed() || to.changed() {
                self.choose_bars(first - offset..last + 1 - offset);
            }
            if button(ui, theme, "All bars", 72.0, "The whole take.") {
                (self.bars, self.saved) = (None, None);
            }
            ui.label(RichText::new("or drag along the ruler").color(theme.faint_ink));
        });
    }

    fn voice_buttons(&mut self, ui: &mut Ui, theme: &Theme) {
        ui.horizontal(|ui| {
            for (name, on) in VOICES.into_iter().zip(&mut self.voices) {
                toggle(ui, theme, name, 70.0, on, "Goes into the file.");
            }
            toggle(ui, theme, "Others", 70.0, &mut self.others, "What is on other channels goes into the file.");
        });
    }

    fn actions(&mut self, ui: &mut Ui, theme: &Theme, params: &ContinuoParams, take: &TakeView, bars: Range<i64>) {
        ui.horizontal(|ui| {
            let text = "Writes the bars and voices to a MIDI file, with tempo, time signature, the key that you have set or that \
                        is heard clearly, and a named track for each voice.";
            if button(ui, theme, "Save MIDI", BUTTON_WIDTH, text) {
                let Self { voices, others, file_each, as_heard, .. } = *self;
                let key = params.key.unmodulated_plain_value();
                let wanted = Wanted { bars, voices, others, file_each, as_heard, key };
                let folder = folders::clips().ok_or_else(|| "expected a music or home folder, got none".to_string());
                let begun = folder.and_then(|folder| {
                    let files = clip::files(take, &wanted)?;
                    self.saving.begin(move || clip::save(&files, &folder))
                });
                self.saved = begun.err().map(Err);
            }
            toggle(ui, theme, "A file a voice", BUTTON_WIDTH, &mut self.file_each, "One file for each voice instead of one for all.");
            let text = "Its notes lie where you heard them, the reply delay behind your own. Otherwise they lie on the grid.";
            toggle(ui, theme, "As heard", BUTTON_WIDTH, &mut self.as_heard, text);
        });
    }

    /// What plays the take once more: itself, note by note, or its rng seed.
    fn again(&self, ui: &mut Ui, theme: &Theme, setter: &ParamSetter, params: &ContinuoParams, again: &Again) {
        let Again { takes, start, ref bars, at_beats } = *again;
        ui.horizontal(|ui| {
            let frozen = Frozen::now(params);
            let was_on = frozen.is_on() && frozen.number == start.number && frozen.voices == self.voices;
            let mut on = was_on;
            let text = "The plugin plays these bars and voices in place of what it would: the same notes at the same places of the song, \
                        wherever the transport goes; of a loop that came round, the last round. Press again to let go.";
            toggle(ui, theme, "Freeze take", BUTTON_WIDTH, &mut on, text);
            if on != was_on && self.voices != [false; 4] {
                let voices = if on { self.voices } else { [false; 4] };
                freezing::freeze_take(setter, params, takes, start.number, bars.clone(), at_beats, voices);
            }
            let text = "Sets the rng seed to the one that played here.";
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
                    if button(ui, theme, "Copy path", BUTTON_WIDTH, "Puts the file's path on the clipboard.") {
                        let all: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
                        ui.ctx().copy_text(all.join("\n"));
                    }
                    if button(
                        ui,
                        theme,
                        "Open folder",
                        BUTTON_WIDTH,
                        "Shows the folder, to drag the file into your DAW.",
                    ) {
                        open_folder(ui, first);
                    }
                });
            }
        }
    }
}

/// What of a take is to play once more.
struct Again<'a> {
    takes: &'a Takes,
    start: &'a Start,
    bars: Range<i64>,
    /// Where in its take the music is.
    at_beats: f64,
}

fn open_folder(ui: &Ui, file: &std::path::Path) {
    if let Some(folder) = file.parent() {
        // The system opens it in a program of its own; nothing here waits for that.
        ui.ctx().open_url(egui::OpenUrl::new_tab(folder.display().to_string()));
    }
}
