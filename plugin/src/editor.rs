//! The editor: controls and a status line. Runs on the host's window thread.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use egui::{Color32, RichText};
use nice_plug::context::gui::GuiContext;
use nice_plug::editor::dpi::LogicalSize;
use nice_plug::prelude::*;
use nice_plug_egui::baseview::HandlerError;
use nice_plug_egui::widgets::ParamSlider;
use nice_plug_egui::{
    EguiEditor, EguiEditorState, EguiNiceSettings, Frame, NiceEguiApp, RepaintNotifier, create_egui_editor,
};

use crate::bridge::Shared;
use crate::params::ContinuoParams;
use crate::worker::Status;

const SIZE: LogicalSize<f32> = LogicalSize { width: 460.0, height: 640.0 };
/// How often the status line is looked at while nothing else happens.
const STATUS_INTERVAL: Duration = Duration::from_millis(200);

/// All that the editor may see.
pub struct Data {
    params: Arc<ContinuoParams>,
    status: Arc<Mutex<Status>>,
    shared: Arc<Shared>,
}

/// The window's contents.
pub struct ContinuoEditor {
    data: Data,
    host: Option<GuiContext>,
}

/// The editor, as the host asks for it.
pub fn create(
    params: Arc<ContinuoParams>,
    status: Arc<Mutex<Status>>,
    shared: Arc<Shared>,
) -> Option<EguiEditor<ContinuoEditor>> {
    let app = ContinuoEditor { data: Data { params, status, shared }, host: None };
    let settings = EguiNiceSettings::new().with_tile("Continuo");
    create_egui_editor(EguiEditorState::from_size(SIZE, 1.0), RepaintNotifier::new(), settings, app)
}

impl NiceEguiApp for ContinuoEditor {
    fn build(&mut self, _: egui::Context, host: GuiContext, _: &mut Frame) -> Result<(), HandlerError> {
        self.host = Some(host);
        Ok(())
    }

    fn ui(&mut self, ui: &mut egui::Ui, _: &mut Frame) {
        ui.ctx().request_repaint_after(STATUS_INTERVAL);
        let Some(host) = &self.host else { return };
        let setter = host.param_setter();
        egui::Panel::bottom("status").show(ui, |ui| self.data.status_line(ui));
        egui::CentralPanel::default().show(ui, |ui| {
            ui.heading("Continuo");
            ui.add_space(6.0);
            egui::Grid::new("parameters").num_columns(2).spacing([16.0, 8.0]).show(ui, |ui| {
                self.data.controls(ui, &setter);
            });
        });
    }

    fn editor_closed(&mut self) {
        self.host = None;
    }
}

impl Data {
    fn controls(&self, ui: &mut egui::Ui, setter: &ParamSetter) {
        let p = &self.params;
        choice(ui, setter, &p.mode);
        choice(ui, setter, &p.your_voice);
        slider(ui, setter, &p.respond_bars);
        choice(ui, setter, &p.input);
        choice(ui, setter, &p.looping);
        choice(ui, setter, &p.emit);
        slider(ui, setter, &p.temperature);
        slider(ui, setter, &p.top_p);
        long_choice(ui, setter, &p.key);
        slider(ui, setter, &p.cadence);
        choice(ui, setter, &p.density);
        choice(ui, setter, &p.register);
        slider(ui, setter, &p.strict);
        slider(ui, setter, &p.lookahead_steps);
        slider(ui, setter, &p.reply_delay_ms);
        slider(ui, setter, &p.rng_seed);
        slider(ui, setter, &p.preview);
        slider(ui, setter, &p.panic);
    }

    fn status_line(&self, ui: &mut egui::Ui) {
        let status = self.status.lock().map(|status| status.clone()).unwrap_or_default();
        let get = |figure: &atomic_float::AtomicF32| figure.load(Ordering::Relaxed);
        let misses = self.shared.misses.load(Ordering::Relaxed);
        let style = match (status.style.as_str(), status.problem.is_empty()) {
            ("", true) => "not active yet",
            ("", false) => "no weights: notes are passed through",
            (style, _) => style,
        };
        ui.add_space(4.0);
        ui.label(format!(
            "{style} · CPU · step {:.0} µs · reply {:.0} µs · {misses} missed",
            get(&self.shared.step_p50_us),
            get(&self.shared.reply_p99_us),
        ));
        let refused = self.shared.refused.load(Ordering::Relaxed);
        let problems = [
            (!status.problem.is_empty()).then_some(status.problem),
            (refused > 0).then(|| format!("host: expected room for all events, got {refused} turned away")),
            self.shared.host_without_time.load(Ordering::Relaxed).then(|| {
                "host: expected a tempo of 1 to 999 bpm and a position that moves, got none; time starts with your notes"
                    .into()
            }),
        ];
        for problem in problems.into_iter().flatten() {
            ui.label(RichText::new(problem).color(Color32::from_rgb(0xE6, 0x9F, 0x00)));
        }
        ui.add_space(4.0);
    }
}

fn slider(ui: &mut egui::Ui, setter: &ParamSetter, param: &impl Param) {
    ui.label(param.name());
    ui.add(ParamSlider::for_param(param, setter).with_width(180.0));
    ui.end_row();
}

fn choice<T: Enum + PartialEq + Copy + 'static>(ui: &mut egui::Ui, setter: &ParamSetter, param: &EnumParam<T>) {
    ui.label(param.name());
    ui.horizontal(|ui| values(ui, setter, param));
    ui.end_row();
}

/// A choice of so many values that they unfold on demand.
fn long_choice<T: Enum + PartialEq + Copy + 'static>(ui: &mut egui::Ui, setter: &ParamSetter, param: &EnumParam<T>) {
    ui.label(param.name());
    egui::ComboBox::from_id_salt(param.name())
        .selected_text(T::variants()[param.value().to_index()])
        .show_ui(ui, |ui| values(ui, setter, param));
    ui.end_row();
}

fn values<T: Enum + PartialEq + Copy + 'static>(ui: &mut egui::Ui, setter: &ParamSetter, param: &EnumParam<T>) {
    for (index, name) in T::variants().iter().enumerate() {
        let value = T::from_index(index);
        if ui.selectable_label(param.value() == value, *name).clicked() && param.value() != value {
            setter.begin_set_parameter(param);
            setter.set_parameter(param, value);
            setter.end_set_parameter(param);
        }
    }
}
