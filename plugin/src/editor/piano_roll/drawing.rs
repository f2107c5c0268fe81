//! Draws the roll's rows, bar lines, notes, keyboard and playhead. Runs on the host's window thread.

use continuo_model::tokeniser::grid::VOICE_NAMES;
use egui::{Align2, Color32, CornerRadius, FontId, Painter, Pos2, Rect, Shape, Stroke, StrokeKind, pos2, vec2};

use super::music::{Kind, Mark, Music};
use super::{Bars, KEYBOARD_WIDTH, Layout, RULER_HEIGHT, SMALL, hairline};
use crate::editor::theme::{Theme, mix};

/// The least space between numbered bar lines, points.
const LABEL_SPACE: f32 = 34.0;
/// The least space between beat lines, points.
const BEAT_SPACE: f64 = 9.0;
/// The space between the hatch lines of frozen notes, points.
const HATCH_SPACE: f32 = 5.0;

fn is_black(key: i32) -> bool {
    matches!(key.rem_euclid(12), 1 | 3 | 6 | 8 | 10)
}

/// The name of a key; 60 is C4.
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

/// The rows of the keys, with a line under each C.
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

/// The ruler with its numbers, the bar and beat lines, and the chosen bars.
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
    let at = |bar: i64| bars.at(bar);
    let (first, last) = (bars.bar_of(layout.left_beats), bars.bar_of(layout.right_beats()) + 1);
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
        let length = bars.beat(bar);
        if length * layout.beat_width >= BEAT_SPACE {
            let beats = ((at(bar + 1) - at(bar)) / length).round() as i64;
            for beat in 1..beats {
                let x = layout.x(at(bar) + beat as f64 * length);
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
            let left = pos2(x + 5.0, top + RULER_HEIGHT / 2.0);
            let font = FontId::proportional(12.0);
            let number = clipped.text(left, Align2::LEFT_CENTER, label.to_string(), font.clone(), theme.ink);
            let is_new = |metre: &(u8, u8)| bar > 0 && bars.metre(bar - 1) != Some(*metre);
            if let Some((beats, unit)) = bars.metre(bar).filter(is_new) {
                let left = pos2(number.right() + 8.0, left.y);
                clipped.text(left, Align2::LEFT_CENTER, format!("{beats}/{unit}"), font, theme.faint_ink);
            }
        }
    }
}

/// The rectangle of a note.
pub fn mark_rect(layout: &Layout, mark: &Mark) -> Rect {
    let row = row(layout, i32::from(mark.key), layout.x(mark.start), layout.x(mark.end));
    // A gap after the note separates repetitions of a key.
    let gap = if row.width() > 4.0 && mark.kind != Kind::Planned { 1.0 } else { 0.0 };
    let height = row.height().min(16.0) - 1.0;
    let rect = Rect::from_center_size(row.center(), vec2(row.width().max(2.0), height));
    rect.with_max_x(rect.right() - gap)
}

/// The notes: those of the network are filled, planned ones hollow, frozen ones hatched, the player's outlined.
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
            Kind::Frozen => {
                painter.rect_filled(rect, round, mix(theme.ground, colour, 0.3));
                hatch(painter, rect, colour);
                painter.rect_stroke(rect, round, Stroke::new(1.2, colour), StrokeKind::Inside);
            }
            Kind::Played => {
                painter.rect_filled(rect, round, colour);
                painter.rect_stroke(rect, round, Stroke::new(1.6, theme.ink), StrokeKind::Inside);
            }
        }
    }
}

/// Slanted lines across a rectangle.
fn hatch(painter: &Painter, rect: Rect, colour: Color32) {
    let inside = painter.with_clip_rect(rect.intersect(painter.clip_rect()));
    let shown = inside.clip_rect();
    // Counted from the left edge of the rectangle, so that the lines scroll with it.
    let first = ((shown.left() - rect.left()) / HATCH_SPACE).floor();
    let count = (shown.width().max(0.0) / HATCH_SPACE) as usize + 4;
    for n in 0..count {
        let x = rect.left() + (first + n as f32 - 1.0) * HATCH_SPACE;
        inside.line_segment([pos2(x, rect.bottom()), pos2(x + rect.height(), rect.top())], Stroke::new(1.2, colour));
    }
}

/// A padlock, 12 points wide and high.
fn padlock(painter: &Painter, centre: Pos2, colour: Color32) {
    let body = Rect::from_center_size(centre + vec2(0.0, 2.0), vec2(9.0, 6.5));
    painter.rect_filled(body, CornerRadius::same(1), colour);
    let bow = (0..=8).map(|n| {
        let angle = std::f32::consts::PI * (1.0 + n as f32 / 8.0);
        centre + vec2(2.8 * angle.cos(), -1.6 + 3.2 * angle.sin())
    });
    let feet = |x| centre + vec2(x, -1.0);
    let points: Vec<Pos2> = std::iter::once(feet(-2.8)).chain(bow).chain(std::iter::once(feet(2.8))).collect();
    painter.add(Shape::line(points, Stroke::new(1.4, colour)));
}

/// The keyboard on the left, with the names of the Cs.
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

/// The playhead, and a band up to where the network has decided.
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

/// The legend of colours and shapes, in a row that begins at `left`. Frozen voices have a padlock.
pub fn legend(painter: &Painter, theme: &Theme, left: f32, y: f32, frozen: [bool; 4]) {
    let font = FontId::proportional(12.0);
    let round = CornerRadius::same(2);
    let mut left = left;
    let mut entry = |name: &str, draw: &dyn Fn(Rect), locked: bool| {
        let chip = Rect::from_center_size(pos2(left + 8.0, y), vec2(16.0, 9.0));
        draw(chip);
        let ink = if locked { theme.ink } else { theme.faint_ink };
        let text = painter.text(pos2(chip.right() + 6.0, y), Align2::LEFT_CENTER, name, font.clone(), ink);
        left = text.right() + 18.0;
        if locked {
            padlock(painter, pos2(text.right() + 10.0, y), theme.accent);
            left += 14.0;
        }
    };
    for (voice, name) in VOICE_NAMES.into_iter().enumerate() {
        let colour = theme.note(voice as u8, 127);
        entry(name, &|chip| _ = painter.rect_filled(chip, round, colour), frozen[voice]);
    }
    entry(
        "you",
        &|chip| {
            painter.rect_filled(chip, round, theme.control_hot);
            painter.rect_stroke(chip, round, Stroke::new(1.6, theme.ink), StrokeKind::Inside);
        },
        false,
    );
    let outline = Stroke::new(1.2, theme.faint_ink);
    entry("planned", &|chip| _ = painter.rect_stroke(chip, round, outline, StrokeKind::Inside), false);
    if frozen != [false; 4] {
        entry(
            "frozen",
            &|chip| {
                hatch(painter, chip, theme.faint_ink);
                painter.rect_stroke(chip, round, outline, StrokeKind::Inside);
            },
            false,
        );
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
