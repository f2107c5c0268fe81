//! The roll's shapes: rows, bars, notes, keys, playhead. Runs on the host's window thread.

use egui::{Align2, Color32, CornerRadius, FontId, Painter, Rect, Shape, Stroke, StrokeKind, pos2, vec2};

use super::music::{Kind, Mark, Music};
use super::{Bars, KEYBOARD_WIDTH, Layout, RULER_HEIGHT, SMALL, hairline};
use crate::editor::theme::{Theme, mix};

/// Bars closer than this get no number of their own, points.
const LABEL_SPACE: f32 = 34.0;
/// Beats closer than this are not drawn, points.
const BEAT_SPACE: f64 = 9.0;

fn is_black(key: i32) -> bool {
    matches!(key.rem_euclid(12), 1 | 3 | 6 | 8 | 10)
}

/// A key's name, with 60 as C4.
pub fn key_name(key: u8) -> String {
    let names = ["C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B"];
    format!("{}{}", names[usize::from(key % 12)], i32::from(key) / 12 - 1)
}

fn visible_keys(layout: &Layout) -> std::ops::RangeInclusive<i32> {
    layout.keys.0.floor().max(0.0) as i32..=layout.keys.1.ceil().min(127.0) as i32
}

fn row(layout: &Layout, key: i32, left: f32, right: f32) -> Rect {
    let top = layout.y(key as f32);
    Rect::from_min_max(pos2(left, top), pos2(right, top + layout.row_height()))
}

/// The rows of the keys, and a line under each C.
pub fn rows(painter: &Painter, theme: &Theme, layout: &Layout) {
    for key in visible_keys(layout) {
        let row = row(layout, key, layout.notes.left(), layout.notes.right());
        if is_black(key) {
            painter.rect_filled(row, CornerRadius::ZERO, theme.black_row);
        }
        if key % 12 == 0 {
            painter.hline(row.x_range(), row.bottom(), hairline(theme.line));
        }
    }
}

/// The ruler with its numbers, the lines of bars and beats, and the bars that are chosen.
pub fn bars(
    painter: &Painter,
    theme: &Theme,
    layout: &Layout,
    bars: &Bars,
    top: f32,
    chosen: Option<std::ops::Range<i64>>,
) {
    let notes = layout.notes;
    let ruler = Rect::from_min_max(pos2(notes.left() - KEYBOARD_WIDTH, top), pos2(notes.right(), notes.top()));
    painter.rect_filled(ruler, CornerRadius::ZERO, theme.panel);
    let at = |bar: i64| bars.origin + bar as f64 * bars.length;
    let first = ((layout.left_beats - bars.origin) / bars.length).floor() as i64;
    let last = ((layout.right_beats() - bars.origin) / bars.length).ceil() as i64;
    if let Some(chosen) = chosen {
        let (left, right) = (layout.x(at(chosen.start)), layout.x(at(chosen.end)));
        let inside = |rect: Rect| rect.with_min_x(left.max(notes.left())).with_max_x(right.min(notes.right()));
        painter.rect_filled(inside(ruler), CornerRadius::ZERO, theme.fill);
        painter.rect_filled(inside(notes), CornerRadius::ZERO, theme.fill.gamma_multiply(0.35));
    }
    let clipped = painter.with_clip_rect(Rect::from_min_max(pos2(notes.left(), top), notes.max));
    let every = (LABEL_SPACE / (bars.length * layout.beat_width) as f32).ceil().max(1.0) as i64;
    for bar in first..=last {
        let x = layout.x(at(bar));
        if bars.beat * layout.beat_width >= BEAT_SPACE {
            let beats = (bars.length / bars.beat).round() as i64;
            for beat in 1..beats {
                let x = layout.x(at(bar) + beat as f64 * bars.beat);
                clipped.vline(x, notes.y_range(), hairline(theme.line));
                clipped.vline(x, notes.top() - 5.0..=notes.top(), hairline(theme.bar_line));
            }
        }
        let label = bars.label(bar);
        if label < 1 {
            continue;
        }
        clipped.vline(x, top + 4.0..=notes.bottom(), hairline(theme.bar_line));
        if bar.rem_euclid(every) == 0 {
            let place = pos2(x + 5.0, top + RULER_HEIGHT / 2.0);
            clipped.text(place, Align2::LEFT_CENTER, label.to_string(), FontId::proportional(12.0), theme.ink);
        }
    }
}

/// Where a note is.
pub fn mark_rect(layout: &Layout, mark: &Mark) -> Rect {
    let row = row(layout, i32::from(mark.key), layout.x(mark.start), layout.x(mark.end));
    // A gap after it, so that a repeated key is seen as two.
    let gap = if row.width() > 4.0 && mark.kind != Kind::Planned { 1.0 } else { 0.0 };
    let height = row.height().min(16.0) - 1.0;
    let rect = Rect::from_center_size(row.center(), vec2(row.width().max(2.0), height));
    rect.with_max_x(rect.right() - gap)
}

/// The notes: solid has gone out, hollow is planned, ringed is the player's.
pub fn music(painter: &Painter, theme: &Theme, layout: &Layout, music: &Music) {
    for mark in &music.marks {
        if mark.end < layout.left_beats || mark.start > layout.right_beats() {
            continue;
        }
        let rect = mark_rect(layout, mark);
        let colour = theme.note(mark.channel, mark.velocity);
        let round = CornerRadius::same((rect.height() / 4.0).min(3.0) as u8);
        match mark.kind {
            Kind::Generated => {
                painter.rect_filled(rect, round, colour);
            }
            Kind::Planned => {
                painter.rect_filled(rect, round, colour.gamma_multiply(0.22));
                painter.rect_stroke(rect, round, Stroke::new(1.2, colour), StrokeKind::Inside);
            }
            Kind::Played => {
                painter.rect_filled(rect, round, colour);
                painter.rect_stroke(rect, round, Stroke::new(1.6, theme.ink), StrokeKind::Inside);
            }
        }
    }
}

/// The keys at the left, with the names of the Cs.
pub fn keyboard(painter: &Painter, theme: &Theme, layout: &Layout, left: f32) {
    let right = layout.notes.left();
    let keys = Rect::from_min_max(pos2(left, layout.notes.top()), pos2(right, layout.notes.bottom()));
    let painter = painter.with_clip_rect(keys);
    let (white, black) = if theme.dark {
        (mix(theme.ground, theme.ink, 0.78), theme.ground)
    } else {
        (theme.ground, mix(theme.ground, theme.ink, 0.85))
    };
    painter.rect_filled(keys, CornerRadius::ZERO, white);
    for key in visible_keys(layout) {
        let row = row(layout, key, left, right);
        if is_black(key) {
            let short = row.with_max_x(left + (right - left) * 0.58);
            painter.rect_filled(short, CornerRadius::ZERO, black);
            painter.hline(short.right()..=right, row.center().y, hairline(theme.bar_line));
        } else if matches!(key % 12, 0 | 5) {
            painter.hline(row.x_range(), row.bottom(), hairline(theme.bar_line));
        }
        if key % 12 == 0 {
            let ink = if theme.dark { theme.ground } else { theme.ink };
            painter.text(row.right_center() - vec2(4.0, 0.0), Align2::RIGHT_CENTER, key_name(key as u8), SMALL, ink);
        }
    }
    painter.vline(right, keys.y_range(), hairline(theme.bar_line));
}

/// The playhead, and on the ruler how far ahead the network has decided.
pub fn playhead(painter: &Painter, theme: &Theme, layout: &Layout, beats: f64, top: f32, decided_to: Option<f64>) {
    let notes = layout.notes;
    let x = layout.x(beats);
    if let Some(decided_to) = decided_to.filter(|_| x < notes.right()) {
        let (from, to) = (x.max(notes.left()), layout.x(decided_to).min(notes.right()));
        let band = Rect::from_min_max(pos2(from, notes.top() - 4.0), pos2(to, notes.top()));
        painter.rect_filled(band, CornerRadius::ZERO, theme.accent);
        let ahead = Rect::from_min_max(pos2(from, notes.top()), pos2(to, notes.bottom()));
        painter.rect_filled(ahead, CornerRadius::ZERO, theme.accent.gamma_multiply(0.07));
    }
    if (notes.left()..=notes.right()).contains(&x) {
        painter.vline(x, top..=notes.bottom(), Stroke::new(1.5, theme.ink));
        let tip = [pos2(x - 5.0, top), pos2(x + 5.0, top), pos2(x, top + 8.0)];
        painter.add(Shape::convex_polygon(tip.into(), theme.ink, Stroke::NONE));
    }
}

/// What the colours and shapes mean, in a row that ends at `right`.
pub fn legend(painter: &Painter, theme: &Theme, right: f32, y: f32) {
    let entries: [(&str, Option<usize>, Kind); 6] = [
        ("Soprano", Some(0), Kind::Generated),
        ("Alto", Some(1), Kind::Generated),
        ("Tenor", Some(2), Kind::Generated),
        ("Bass", Some(3), Kind::Generated),
        ("you", None, Kind::Played),
        ("planned", None, Kind::Planned),
    ];
    let mut right = right;
    for (name, voice, kind) in entries.into_iter().rev() {
        let colour: Color32 = voice.map_or(theme.faint_ink, |voice| theme.voices[voice]);
        let text =
            painter.text(pos2(right, y), Align2::RIGHT_CENTER, name, FontId::proportional(12.0), theme.faint_ink);
        let chip = Rect::from_center_size(pos2(text.left() - 14.0, y), vec2(16.0, 9.0));
        let round = CornerRadius::same(2);
        match kind {
            Kind::Generated => {
                painter.rect_filled(chip, round, colour);
            }
            Kind::Played => {
                painter.rect_filled(chip, round, theme.control_hot);
                painter.rect_stroke(chip, round, Stroke::new(1.6, theme.ink), StrokeKind::Inside);
            }
            Kind::Planned => {
                painter.rect_stroke(chip, round, Stroke::new(1.2, colour), StrokeKind::Inside);
            }
        }
        right = chip.left() - 14.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_their_names() {
        assert_eq!([60, 61, 70, 0, 127].map(key_name), ["C4", "C♯4", "B♭4", "C-1", "G9"]);
    }
}
