//! Widgets for parameters: value bars, rows of choices, menus, switches and buttons. Runs on the host's window thread.

use std::sync::Arc;

use egui::{
    Align2, Color32, CornerRadius, EventFilter, FontId, Key, Rect, Response, Sense, Stroke, StrokeKind, Ui, vec2,
};
use nice_plug::prelude::*;

use super::accidentals::signed;
use super::control_rects;
use super::theme::Theme;

/// Height of a control, points.
pub const HEIGHT: f32 = 26.0;
const ROUND: CornerRadius = CornerRadius::same(4);
/// The factor on a drag with Shift held.
const FINE: f32 = 0.1;
const TEXT: FontId = FontId::proportional(13.0);
const SMALL: FontId = FontId::proportional(12.0);

/// Sets a parameter in one gesture, which the host records as automation.
pub fn set<P: Param>(setter: &ParamSetter, param: &P, value: P::Plain) {
    setter.begin_set_parameter(param);
    setter.set_parameter(param, value);
    setter.end_set_parameter(param);
}

/// Adds a tooltip: the name, a text, and how to use the control.
pub fn tip(response: Response, name: &str, text: &str, how: &str) -> Response {
    response.on_hover_ui(|ui| {
        ui.set_max_width(300.0);
        ui.strong(name);
        ui.label(text);
        if !how.is_empty() {
            ui.weak(how);
        }
    })
}

/// A value bar. Drag it, with Shift for fine steps; double-click for the default; right-click or Enter to type; arrows
/// for a step.
pub fn bar<P: Param>(ui: &mut Ui, theme: &Theme, setter: &ParamSetter, param: &P, text: &str) {
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), HEIGHT), Sense::click_and_drag());
    control_rects::record(ui.ctx(), || param.name().into(), rect);
    let id = response.id;
    if let Some(typed) = ui.data(|data| data.get_temp::<String>(id)) {
        type_value(ui, rect, id, setter, param, typed);
        return;
    }
    drag(ui, rect, &response, setter, param);
    if response.double_clicked() {
        set(setter, param, param.default_plain_value());
    }
    let (enter, step) = keys(ui, &response);
    if step != 0 {
        let now = param.unmodulated_normalized_value();
        let next =
            if step > 0 { param.next_normalized_step(now, false) } else { param.previous_normalized_step(now, false) };
        set(setter, param, param.preview_plain(next));
    }
    if response.secondary_clicked() || enter {
        ui.data_mut(|data| {
            data.insert_temp(id, param.normalized_value_to_string(param.unmodulated_normalized_value(), false))
        });
    }
    paint_bar(ui, theme, rect, &response, param);
    tip(
        response,
        param.name(),
        text,
        "Drag, with Shift for fine steps. Double-click: default. Right-click or Enter: type a value.",
    );
}

fn drag<P: Param>(ui: &Ui, rect: Rect, response: &Response, setter: &ParamSetter, param: &P) {
    // The value without the rounding of a stepped parameter.
    let held = response.id.with("held");
    if response.drag_started() {
        setter.begin_set_parameter(param);
        ui.data_mut(|data| data.insert_temp(held, param.unmodulated_normalized_value()));
    }
    if response.dragged() {
        let pace = if ui.input(|input| input.modifiers.shift) { FINE } else { 1.0 };
        let before: f32 = ui.data(|data| data.get_temp(held)).unwrap_or_else(|| param.unmodulated_normalized_value());
        let value = (before + response.drag_delta().x / rect.width() * pace).clamp(0.0, 1.0);
        ui.data_mut(|data| data.insert_temp(held, value));
        let plain = param.preview_plain(value);
        if plain != param.unmodulated_plain_value() {
            setter.set_parameter(param, plain);
        }
    }
    if response.drag_stopped() {
        setter.end_set_parameter(param);
    }
}

/// Whether Enter was pressed on the control, and the direction of an arrow key.
fn keys(ui: &Ui, response: &Response) -> (bool, i32) {
    if !response.has_focus() {
        return (false, 0);
    }
    let arrows = EventFilter { horizontal_arrows: true, vertical_arrows: true, ..EventFilter::default() };
    ui.memory_mut(|memory| memory.set_focus_lock_filter(response.id, arrows));
    ui.input(|input| {
        let pressed = |key| i32::from(input.key_pressed(key));
        let up = pressed(Key::ArrowRight) + pressed(Key::ArrowUp);
        (input.key_pressed(Key::Enter), up - pressed(Key::ArrowLeft) - pressed(Key::ArrowDown))
    })
}

fn type_value<P: Param>(ui: &mut Ui, rect: Rect, id: egui::Id, setter: &ParamSetter, param: &P, mut typed: String) {
    let field = id.with("field");
    let is_new = ui.data(|data| data.get_temp::<bool>(field).is_none());
    let edit = egui::TextEdit::singleline(&mut typed).id(field).font(TEXT).margin(vec2(8.0, 4.0));
    let response = ui.put(rect, edit);
    control_rects::record(ui.ctx(), || "Value field".into(), rect);
    if is_new {
        ui.data_mut(|data| data.insert_temp(field, true));
        response.request_focus();
        // Select the whole text, so that typing replaces it.
        let mut state = egui::TextEdit::load_state(ui.ctx(), field).unwrap_or_default();
        let all =
            egui::text::CCursorRange::two(egui::text::CCursor::new(0), egui::text::CCursor::new(typed.chars().count()));
        state.cursor.set_char_range(Some(all));
        state.store(ui.ctx(), field);
    }
    if !response.lost_focus() {
        ui.data_mut(|data| data.insert_temp(id, typed));
        return;
    }
    ui.data_mut(|data| {
        data.remove_temp::<String>(id);
        data.remove_temp::<bool>(field);
    });
    if ui.input(|input| input.key_pressed(Key::Enter))
        && let Some(value) = param.string_to_normalized_value(typed.trim())
    {
        set(setter, param, param.preview_plain(value));
    }
}

fn paint_bar<P: Param>(ui: &Ui, theme: &Theme, rect: Rect, response: &Response, param: &P) {
    let painter = ui.painter();
    painter.rect_filled(rect, ROUND, ground(theme, response));
    let filled = rect.with_max_x(rect.left() + rect.width() * param.unmodulated_normalized_value().clamp(0.0, 1.0));
    if filled.width() > 1.0 {
        painter.with_clip_rect(filled).rect_filled(rect, ROUND, theme.fill);
        let edge = filled.with_min_y(filled.bottom() - 3.0);
        painter.with_clip_rect(edge).rect_filled(rect, ROUND, theme.accent);
    }
    frame(ui, theme, rect, response);
    painter.text(rect.left_center() + vec2(9.0, 0.0), Align2::LEFT_CENTER, param.name(), TEXT, theme.faint_ink);
    painter.text(
        rect.right_center() - vec2(9.0, 0.0),
        Align2::RIGHT_CENTER,
        signed(&param.to_string()),
        TEXT,
        theme.ink,
    );
}

fn ground(theme: &Theme, response: &Response) -> Color32 {
    if response.hovered() { theme.control_hot } else { theme.control }
}

fn frame(ui: &Ui, theme: &Theme, rect: Rect, response: &Response) {
    let colour = if response.has_focus() { theme.accent } else { theme.line };
    ui.painter().rect_stroke(rect, ROUND, Stroke::new(1.0, colour), StrokeKind::Inside);
}

/// A choice of few values, all visible, under the parameter's name.
pub fn choice<T: Enum + PartialEq + Copy + 'static>(
    ui: &mut Ui,
    theme: &Theme,
    setter: &ParamSetter,
    param: &EnumParam<T>,
    text: &str,
) {
    let names = T::variants();
    let (rect, whole) = ui.allocate_exact_size(vec2(ui.available_width(), 16.0 + HEIGHT), Sense::hover());
    ui.painter().text(rect.left_top() + vec2(1.0, 0.0), Align2::LEFT_TOP, param.name(), SMALL, theme.faint_ink);
    let row = Rect::from_min_max(rect.left_top() + vec2(0.0, 16.0), rect.max);
    ui.painter().rect_filled(row, ROUND, theme.control);
    let (widths, font) = cell_widths(ui, names, row.width());
    let mut left = row.left();
    for (i, (name, width)) in names.iter().zip(widths).enumerate() {
        let cell = Rect::from_min_size(egui::pos2(left, row.top()), vec2(width, HEIGHT));
        left += width;
        let response = ui.interact(cell, whole.id.with(i), Sense::click());
        control_rects::record(ui.ctx(), || format!("{}/{name}", param.name()), cell);
        let value = T::from_index(i);
        let chosen = param.unmodulated_plain_value() == value;
        let by_key = response.has_focus() && ui.input(|input| input.key_pressed(Key::Enter));
        if (response.clicked() || by_key) && !chosen {
            set(setter, param, value);
        }
        if chosen {
            ui.painter().rect_filled(cell.shrink(2.0), CornerRadius::same(3), theme.accent);
        } else if response.hovered() {
            ui.painter().rect_filled(cell.shrink(2.0), CornerRadius::same(3), theme.control_hot);
        }
        if response.has_focus() {
            ui.painter().rect_stroke(cell, ROUND, Stroke::new(1.0, theme.accent), StrokeKind::Inside);
        }
        let ink = if chosen { theme.on_accent } else { theme.ink };
        ui.painter().text(cell.center(), Align2::CENTER_CENTER, name, font.clone(), ink);
        tip(response, &format!("{}: {name}", param.name()), text, "");
    }
    ui.painter().rect_stroke(row, ROUND, Stroke::new(1.0, theme.line), StrokeKind::Inside);
}

/// The widths of a row's cells, with equal padding, and a font in which all names fit.
fn cell_widths(ui: &Ui, names: &[&str], width: f32) -> (Vec<f32>, FontId) {
    const ROOM: f32 = 5.0;
    let mut font = TEXT;
    loop {
        let width_of = |name: &&str| ui.painter().layout_no_wrap((*name).into(), font.clone(), Color32::WHITE).size().x;
        let widths: Vec<f32> = names.iter().map(width_of).collect();
        let spare = (width - widths.iter().sum::<f32>()) / names.len() as f32;
        if spare >= 2.0 * ROOM || font.size <= 9.0 {
            return (widths.iter().map(|width| width + spare).collect(), font);
        }
        font.size -= 0.5;
    }
}

/// A text in one line, in a smaller font if it would not fit.
pub fn fitted(ui: &Ui, text: &str, width: f32, ink: Color32) -> Arc<egui::Galley> {
    let mut galley = ui.painter().layout_no_wrap(text.into(), TEXT, ink);
    let mut size = TEXT.size;
    while galley.size().x > width && size > 9.0 {
        size -= 0.5;
        galley = ui.painter().layout_no_wrap(text.into(), FontId::proportional(size), ink);
    }
    galley
}

/// A choice of many values as a menu: the first, then the others in two columns.
pub fn menu<T: Enum + PartialEq + Copy + 'static>(
    ui: &mut Ui,
    theme: &Theme,
    setter: &ParamSetter,
    param: &EnumParam<T>,
    text: &str,
) {
    menu_showing(ui, theme, setter, param, None, text);
}

/// A menu that shows a text of its own, if any, in place of the chosen value.
pub fn menu_showing<T: Enum + PartialEq + Copy + 'static>(
    ui: &mut Ui,
    theme: &Theme,
    setter: &ParamSetter,
    param: &EnumParam<T>,
    shown: Option<&str>,
    text: &str,
) {
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), 16.0 + HEIGHT), Sense::hover());
    ui.painter().text(rect.left_top() + vec2(1.0, 0.0), Align2::LEFT_TOP, param.name(), SMALL, theme.faint_ink);
    let row = Rect::from_min_max(rect.left_top() + vec2(0.0, 16.0), rect.max);
    let mut inside = ui.new_child(egui::UiBuilder::new().max_rect(row));
    let value = T::variants()[param.unmodulated_plain_value().to_index()];
    let shown = egui::ComboBox::from_id_salt(param.name())
        .width(row.width())
        .height(420.0)
        .selected_text(signed(shown.unwrap_or(value)))
        .show_ui(&mut inside, |ui| {
            let entry = |ui: &mut Ui, i: usize| {
                let (name, value) = (T::variants()[i], T::from_index(i));
                let chosen = param.unmodulated_plain_value() == value;
                let response = ui.selectable_label(chosen, signed(name));
                control_rects::record(ui.ctx(), || format!("{}/{name}", param.name()), response.rect);
                if response.clicked() {
                    ui.close();
                    if !chosen {
                        set(setter, param, value);
                    }
                }
            };
            entry(ui, 0);
            // The second half goes into the right column.
            let half = T::variants().len() / 2;
            egui::Grid::new(param.name()).spacing([18.0, 2.0]).show(ui, |ui| {
                for i in 1..=half {
                    entry(ui, i);
                    if half + i < T::variants().len() {
                        entry(ui, half + i);
                    }
                    ui.end_row();
                }
            });
        });
    control_rects::record(ui.ctx(), || param.name().into(), shown.response.rect);
    tip(shown.response, param.name(), text, "");
}

/// A switch for a parameter that is on or off.
pub fn switch(ui: &mut Ui, theme: &Theme, setter: &ParamSetter, param: &BoolParam, text: &str) {
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), HEIGHT), Sense::click());
    control_rects::record(ui.ctx(), || param.name().into(), rect);
    let on = param.unmodulated_plain_value();
    let by_key = response.has_focus() && ui.input(|input| input.key_pressed(Key::Enter));
    if response.clicked() || by_key {
        set(setter, param, !on);
    }
    let painter = ui.painter();
    painter.rect_filled(rect, ROUND, ground(theme, &response));
    frame(ui, theme, rect, &response);
    painter.text(rect.left_center() + vec2(9.0, 0.0), Align2::LEFT_CENTER, param.name(), TEXT, theme.ink);
    let track = Rect::from_center_size(rect.right_center() - vec2(24.0, 0.0), vec2(28.0, 14.0));
    let (colour, knob) = if on { (theme.accent, track.right() - 7.0) } else { (theme.bar_line, track.left() + 7.0) };
    painter.rect_filled(track, CornerRadius::same(7), colour);
    let knob_colour = if on { theme.on_accent } else { theme.control };
    painter.circle_filled(egui::pos2(knob, track.center().y), 5.0, knob_colour);
    tip(response, param.name(), text, "");
}

/// A row of narrow switches with short names.
pub fn switches(ui: &mut Ui, theme: &Theme, setter: &ParamSetter, params: &[&BoolParam], names: &[&str], text: &str) {
    let (row, whole) = ui.allocate_exact_size(vec2(ui.available_width(), HEIGHT), Sense::hover());
    ui.painter().rect_filled(row, ROUND, theme.control);
    let (widths, font) = cell_widths(ui, names, row.width());
    let mut left = row.left();
    for (n, ((param, name), width)) in params.iter().zip(names).zip(widths).enumerate() {
        let cell = Rect::from_min_size(egui::pos2(left, row.top()), vec2(width, HEIGHT));
        left += width;
        let response = ui.interact(cell, whole.id.with(n), Sense::click());
        control_rects::record(ui.ctx(), || param.name().into(), cell);
        let on = param.unmodulated_plain_value();
        let by_key = response.has_focus() && ui.input(|input| input.key_pressed(Key::Enter));
        if response.clicked() || by_key {
            set(setter, *param, !on);
        }
        if on || response.hovered() {
            let fill = if on { theme.accent } else { theme.control_hot };
            ui.painter().rect_filled(cell.shrink(1.0), CornerRadius::same(3), fill);
        }
        if response.has_focus() {
            ui.painter().rect_stroke(cell, ROUND, Stroke::new(1.0, theme.accent), StrokeKind::Inside);
        }
        let ink = if on { theme.on_accent } else { theme.ink };
        ui.painter().text(cell.center(), Align2::CENTER_CENTER, name, font.clone(), ink);
        tip(response, param.name(), text, "");
    }
    ui.painter().rect_stroke(row, ROUND, Stroke::new(1.0, theme.line), StrokeKind::Inside);
}

/// A button, lit while it is held. Its parameter turns itself off at once.
pub fn momentary(ui: &mut Ui, theme: &Theme, setter: &ParamSetter, param: &BoolParam, width: f32, text: &str) {
    let (rect, response) = ui.allocate_exact_size(vec2(width, HEIGHT), Sense::click_and_drag());
    control_rects::record(ui.ctx(), || param.name().into(), rect);
    let key_down = response.has_focus() && ui.input(|input| input.key_down(Key::Enter));
    let down = response.is_pointer_button_down_on() || key_down;
    let held = response.id.with("held");
    let was_down = ui.data(|data| data.get_temp::<bool>(held)).unwrap_or(false);
    if down != was_down {
        ui.data_mut(|data| data.insert_temp(held, down));
        if down {
            setter.begin_set_parameter(param);
            setter.set_parameter(param, true);
        } else {
            setter.set_parameter(param, false);
            setter.end_set_parameter(param);
        }
    }
    let (fill, ink) = if down { (theme.accent, theme.on_accent) } else { (ground(theme, &response), theme.ink) };
    ui.painter().rect_filled(rect, ROUND, fill);
    frame(ui, theme, rect, &response);
    ui.painter().text(rect.center(), Align2::CENTER_CENTER, param.name(), TEXT, ink);
    tip(response, param.name(), text, "");
}

/// A plain button. Returns whether it was pressed.
pub fn button(ui: &mut Ui, theme: &Theme, name: &str, width: f32, text: &str) -> bool {
    let response = button_response(ui, theme, name, width, text);
    response.clicked() || response.has_focus() && ui.input(|input| input.key_pressed(Key::Enter))
}

/// A plain button.
pub fn button_response(ui: &mut Ui, theme: &Theme, name: &str, width: f32, text: &str) -> Response {
    let (rect, response) = ui.allocate_exact_size(vec2(width, HEIGHT), Sense::click());
    control_rects::record(ui.ctx(), || name.into(), rect);
    ui.painter().rect_filled(rect, ROUND, ground(theme, &response));
    frame(ui, theme, rect, &response);
    let galley = fitted(ui, name, rect.width() - 8.0, theme.ink);
    ui.painter().galley(rect.center() - galley.size() / 2.0, galley, theme.ink);
    tip(response, name, text, "")
}

/// A button that toggles `value`.
pub fn toggle(ui: &mut Ui, theme: &Theme, name: &str, width: f32, value: &mut bool, text: &str) {
    let (rect, response) = ui.allocate_exact_size(vec2(width, HEIGHT), Sense::click());
    control_rects::record(ui.ctx(), || name.into(), rect);
    if response.clicked() {
        *value = !*value;
    }
    let (fill, ink) = if *value { (theme.accent, theme.on_accent) } else { (ground(theme, &response), theme.ink) };
    ui.painter().rect_filled(rect, ROUND, fill);
    frame(ui, theme, rect, &response);
    ui.painter().text(rect.center(), Align2::CENTER_CENTER, name, TEXT, ink);
    tip(response, name, text, "");
}
