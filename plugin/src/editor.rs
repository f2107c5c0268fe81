//! The editor: a window with the piano roll, the controls and the status line. Runs on the host's window thread.

mod accidentals;
mod card;
mod clip;
mod control_rects;
mod controls;
mod folder;
mod freezing;
mod piano_roll;
mod seeds;
mod status;
mod styles;
mod take_list;
mod theme;
mod weights_list;
mod widgets;
mod window;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use continuo_model::sampling::Sampler;
use egui::{Align2, FontId, RichText, Sense, Ui, pos2, vec2};
use nice_plug::context::gui::GuiContext;
use nice_plug::prelude::*;
use nice_plug_egui::baseview::HandlerError;
use nice_plug_egui::{Frame, KeyCapture, NiceEguiApp};

use crate::bridge::EditorEnd;
use crate::params::ContinuoParams;
use crate::takes::TakeNote;
use crate::worker::Status;
use control_rects::ControlRects;
use freezing::Frozen;
use piano_roll::{PianoRoll, Shown};
use seeds::Seeds;
use status::StatusLine;
use styles::Styles;
use take_list::TakeList;
use theme::Theme;
use weights_list::WeightsList;
pub use window::EditorWindow;

/// Time between frames while the music moves: 60 per second.
const FRAME: Duration = Duration::from_micros(16_667);
/// Time between frames while nothing moves.
const IDLE: Duration = Duration::from_millis(200);
/// Height of the panel under the roll, points.
const TAB_HEIGHT: f32 = 356.0;
/// The largest share of the window's height for that panel. In a low window it scrolls.
const TAB_SHARE: f32 = 0.47;
const LEGEND_HEIGHT: f32 = 26.0;
/// The margin left and right of everything but the roll, points.
const MARGIN: f32 = 14.0;
const SIZES_PERCENT: [u16; 5] = [100, 125, 150, 175, 200];

/// Everything that the editor has access to.
pub struct Data {
    params: Arc<ContinuoParams>,
    status: Arc<Mutex<Status>>,
    end: EditorEnd,
}

/// The contents of the panel under the roll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tab {
    Play,
    Takes,
    Weights,
}

/// The window's contents.
pub struct ContinuoEditor {
    data: Data,
    host: Option<GuiContext>,
    tab: Tab,
    roll: PianoRoll,
    seeds: Seeds,
    styles: Styles,
    take_list: TakeList,
    weights_list: WeightsList,
    status_line: StatusLine,
    control_rects: ControlRects,
    /// Whether egui has the dark theme; `None` until it has one.
    applied: Option<bool>,
}

/// Creates the editor.
pub fn create(params: Arc<ContinuoParams>, status: Arc<Mutex<Status>>, end: EditorEnd) -> Option<EditorWindow> {
    let app = ContinuoEditor {
        data: Data { params: params.clone(), status, end },
        host: None,
        tab: Tab::Play,
        roll: PianoRoll::new(),
        seeds: Seeds::new(params.project.seeds.clone()),
        styles: Styles::new(),
        take_list: TakeList::new(),
        weights_list: WeightsList::new(),
        status_line: StatusLine::default(),
        control_rects: ControlRects::from_environment(),
        applied: None,
    };
    Some(EditorWindow::new(params, app))
}

impl NiceEguiApp for ContinuoEditor {
    fn build(&mut self, ctx: egui::Context, host: GuiContext, _: &mut Frame) -> Result<(), HandlerError> {
        self.host = Some(host);
        self.applied = None;
        let look = self.data.params.project.look.lock().map(|look| *look).unwrap_or_default();
        ctx.set_fonts(accidentals::fonts());
        ctx.set_zoom_factor(window::zoom(&look));
        ctx.options_mut(|options| options.zoom_with_keyboard = false);
        Ok(())
    }

    fn ui(&mut self, ui: &mut Ui, frame: &mut Frame) {
        let Some(host) = self.host.clone() else { return };
        // Keys such as the space bar go to the host, unless the player types a text or has moved to a control with the
        // tab key.
        frame.set_key_capture(if keeps_keys(ui.ctx()) { KeyCapture::CaptureAll } else { KeyCapture::IgnoreAll });
        let runs = self.data.end.snapshot().runs;
        ui.ctx().request_repaint_after(if runs { FRAME } else { IDLE });
        let theme = self.themed(ui.ctx());
        self.control_rects.begin(ui.ctx());
        window::keep_size(ui.ctx(), &self.data.params);
        self.seeds.follow(ui.ctx(), &self.data.params.rng_seed);
        self.contents(ui, theme, &host.param_setter());
        // The worker records takes, and sends on what the player has frozen in this frame.
        self.data.end.wake_worker();
        self.control_rects.end(ui.ctx());
    }

    fn editor_closed(&mut self) {
        self.host = None;
    }
}

/// Whether keys go to the window. A click with the mouse gives the keyboard to text fields only, not to other controls.
fn keeps_keys(ctx: &egui::Context) -> bool {
    let pressed = ctx.input(|input| input.pointer.any_pressed());
    if pressed
        && !ctx.text_edit_focused()
        && let Some(focused) = ctx.memory(|memory| memory.focused())
    {
        ctx.memory_mut(|memory| memory.surrender_focus(focused));
    }
    ctx.egui_wants_keyboard_input()
}

impl ContinuoEditor {
    fn themed(&mut self, ctx: &egui::Context) -> &'static Theme {
        let dark = self.data.params.project.look.lock().is_ok_and(|look| look.dark);
        let theme = Theme::of(dark);
        if self.applied != Some(dark) {
            theme.apply(ctx);
            self.applied = Some(dark);
        }
        theme
    }

    fn contents(&mut self, ui: &mut Ui, theme: &Theme, setter: &ParamSetter) {
        let frame = egui::Frame::new().fill(theme.panel).inner_margin(egui::Margin::symmetric(MARGIN as i8, 8));
        egui::Panel::top("head").frame(frame).show(ui, |ui| self.head(ui, theme, setter));
        egui::Panel::bottom("status").frame(frame).show(ui, |ui| {
            let status = self.data.status.lock().map(|status| status.clone()).unwrap_or_default();
            self.status_line.show(ui, theme, &status, &self.data.params, &self.data.end.shared);
        });
        let tab = egui::Panel::bottom("tab").frame(frame.inner_margin(egui::Margin::symmetric(MARGIN as i8, 10)));
        let height = TAB_HEIGHT.min(ui.ctx().content_rect().height() * TAB_SHARE);
        tab.exact_size(height).resizable(false).show(ui, |ui| self.tab(ui, theme, setter));
        let legend = egui::Panel::bottom("legend").frame(egui::Frame::new().fill(theme.panel));
        legend.exact_size(LEGEND_HEIGHT).resizable(false).show(ui, |ui| self.legend(ui, theme));
        let roll = egui::CentralPanel::default().frame(egui::Frame::new().fill(theme.ground));
        roll.show(ui, |ui| self.music(ui, theme));
    }

    /// The legend of the roll, and which take is frozen.
    fn legend(&self, ui: &mut Ui, theme: &Theme) {
        let frozen = Frozen::now(&self.data.params);
        let rect = ui.max_rect();
        let y = rect.center().y;
        piano_roll::legend(ui.painter(), theme, rect.left() + MARGIN, y, frozen.voices);
        let (right, font) = (pos2(rect.right() - MARGIN, y), FontId::proportional(12.0));
        ui.painter().text(right, Align2::RIGHT_CENTER, frozen.words(), font, theme.accent);
    }

    /// The default sampling of weights, if a list has their card.
    fn sampler_of(&self, path: &Path) -> Option<Sampler> {
        self.styles.card_of(path).or_else(|| self.weights_list.card_of(path)).map(|card| card.sampler)
    }

    /// The default sampling of the chosen weights.
    fn chosen_sampler(&self) -> Sampler {
        let chosen = self.data.params.project.weights.lock().map(|weights| weights_list::canonical(&weights.path));
        chosen.ok().and_then(|path| self.sampler_of(&path)).unwrap_or(Sampler::CAREFUL)
    }

    /// Sets Temperature and Top-p to the defaults of newly chosen weights, where the player has not moved them: where
    /// they are at the defaults of the weights before.
    fn sampling_follows(&self, setter: &ParamSetter, before: Sampler, taken: Option<&Path>) {
        let Some(after) = taken.and_then(|path| self.sampler_of(path)) else { return };
        let params = &self.data.params;
        for (param, before, after) in
            [(&params.temperature, before.temperature, after.temperature), (&params.top_p, before.top_p, after.top_p)]
        {
            if styles::follows(param.unmodulated_plain_value(), before, after) {
                widgets::set(setter, param, after);
            }
        }
    }

    fn head(&mut self, ui: &mut Ui, theme: &Theme, setter: &ParamSetter) {
        ui.horizontal(|ui| {
            ui.label(RichText::new("Continuo").size(20.0).strong().color(theme.ink));
            ui.add_space(12.0);
            let plays = self.data.status.lock().map(|status| status.style.clone()).unwrap_or_default();
            let before = self.chosen_sampler();
            let taken = self.styles.show(ui, theme, &self.data.params.project.weights, &plays);
            self.sampling_follows(setter, before, taken.as_deref());
            ui.add_space(12.0);
            for (tab, name) in [(Tab::Play, "Play"), (Tab::Takes, "Takes"), (Tab::Weights, "Weights")] {
                if self.tab_button(ui, theme, tab, name) && self.tab != tab {
                    self.tab = tab;
                    self.roll.follow();
                }
            }
            ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                let panic = "Ends every note at once.";
                widgets::momentary(ui, theme, setter, &self.data.params.panic, 64.0, panic);
                self.look(ui, theme);
            });
        });
    }

    fn tab_button(&self, ui: &mut Ui, theme: &Theme, tab: Tab, name: &str) -> bool {
        let (rect, response) = ui.allocate_exact_size(vec2(74.0, widgets::HEIGHT), Sense::click());
        control_rects::record(ui.ctx(), || name.into(), rect);
        let chosen = self.tab == tab;
        let ink = if chosen { theme.ink } else { theme.faint_ink };
        ui.painter().text(rect.center(), Align2::CENTER_CENTER, name, FontId::proportional(14.0), ink);
        if chosen || response.hovered() {
            let colour = if chosen { theme.accent } else { theme.bar_line };
            ui.painter().hline(rect.shrink(8.0).x_range(), rect.bottom(), egui::Stroke::new(2.0, colour));
        }
        response.clicked()
    }

    /// The buttons for theme and size, which the project saves.
    fn look(&self, ui: &mut Ui, theme: &Theme) {
        let Ok(mut look) = self.data.params.project.look.lock() else { return };
        if widgets::button(ui, theme, if theme.dark { "Light" } else { "Dark" }, 52.0, "Switches the theme.") {
            look.dark = !look.dark;
        }
        let before = look.size_percent;
        let shown =
            egui::ComboBox::from_id_salt("size").width(66.0).selected_text(format!("{before} %")).show_ui(ui, |ui| {
                for percent in SIZES_PERCENT {
                    let response = ui.selectable_value(&mut look.size_percent, percent, format!("{percent} %"));
                    control_rects::record(ui.ctx(), || format!("Size/{percent} %"), response.rect);
                }
            });
        control_rects::record(ui.ctx(), || "Size".into(), shown.response.rect);
        shown.response.on_hover_text("The size of the whole window.");
        if look.size_percent != before {
            ui.ctx().set_zoom_factor(f32::from(look.size_percent) / 100.0);
        }
    }

    fn tab(&mut self, ui: &mut Ui, theme: &Theme, setter: &ParamSetter) {
        let (at_beats, heard_key) = {
            let snapshot = self.data.end.snapshot();
            (snapshot.playhead_beats(Instant::now()), snapshot.heard_key)
        };
        let params = &self.data.params;
        if self.tab == Tab::Weights {
            let status = self.data.status.lock().map(|status| status.clone()).unwrap_or_default();
            let before = self.chosen_sampler();
            let taken = self.weights_list.show(ui, theme, setter, params, &status);
            return self.sampling_follows(setter, before, taken.as_deref());
        }
        let Ok(takes) = params.project.takes.lock() else { return };
        if self.tab == Tab::Takes {
            return self.take_list.show(ui, theme, setter, params, &takes, at_beats);
        }
        let scroll = egui::ScrollArea::vertical().auto_shrink(false);
        scroll.show(ui, |ui| {
            controls::show(ui, theme, setter, params, &mut self.seeds, &takes, at_beats, heard_key);
        });
    }

    fn music(&mut self, ui: &mut Ui, theme: &Theme) {
        let snapshot = *self.data.end.snapshot();
        let params = &self.data.params;
        // Locked while drawing. The worker tries again later.
        let (Ok(takes), Ok(frozen)) = (params.project.takes.lock(), params.project.frozen.lock()) else { return };
        let voices: [bool; 4] = std::array::from_fn(|voice| params.freeze[voice].on.value());
        let plays = |note: &&TakeNote| voices.get(usize::from(note.lane)) == Some(&true);
        let again: Vec<TakeNote> = frozen.notes().iter().filter(plays).copied().collect();
        let shown = match self.take_list.chosen(&takes).filter(|_| self.tab == Tab::Takes) {
            Some((take, bars)) => Shown::Take(take, bars),
            None => Shown::Now(&takes, &snapshot, &again),
        };
        if let Some(bars) = self.roll.show(ui, theme, &shown) {
            self.take_list.choose_bars(bars);
        }
    }
}
