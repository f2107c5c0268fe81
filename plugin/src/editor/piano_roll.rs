//! The piano roll: the last and the next bars under a ruler, with the playhead. Runs on the host's window thread.

mod drawing;
mod music;

use std::time::Instant;

use egui::{Align2, CornerRadius, FontId, Pos2, Rect, Sense, Stroke, Ui, pos2, vec2};

use super::control_rects;
use super::theme::Theme;
use crate::bridge::snapshot::Snapshot;
use crate::takes::{Start, TICKS_PER_BEAT, TakeNote, TakeView, Takes};
pub use drawing::legend;
use music::{Mark, Music};

const KEYBOARD_WIDTH: f32 = 40.0;
const RULER_HEIGHT: f32 = 24.0;
const BEAT_WIDTHS: std::ops::RangeInclusive<f32> = 6.0..=240.0;
/// The horizontal position of the playhead while the roll follows it, as a share of the width.
const PLAYHEAD_SHARE: f32 = 0.66;
const SMALL: FontId = FontId::proportional(11.0);

/// The view of the roll: scroll position and zoom.
pub struct PianoRoll {
    /// The width of a beat, points.
    beat_width: f32,
    /// Whether the view follows the playhead.
    follows: bool,
    /// The position at the left edge, take beats.
    left_beats: f64,
    /// The MIDI keys at the bottom and at the top.
    keys: (f32, f32),
}

/// The contents of the roll.
pub enum Shown<'a> {
    /// The current take and plans, and the notes of frozen voices.
    Now(&'a Takes, &'a Snapshot, &'a [TakeNote]),
    /// A finished take with its chosen bars, by index.
    Take(TakeView<'a>, std::ops::Range<i64>),
}

/// The bars on the ruler. Bar 0 begins at the origin.
struct Bars<'a> {
    /// Take beats.
    origin: f64,
    /// The length of bar 0, beats.
    length: f64,
    /// The length of a beat of the time signature of bar 0, beats.
    beat: f64,
    of: BarsOf<'a>,
}

/// The source of the bars.
enum BarsOf<'a> {
    Now(&'a Snapshot),
    Take(&'a Start),
}

impl<'a> Bars<'a> {
    fn now(snapshot: &'a Snapshot, takes: &'a Takes) -> Self {
        // Past bars keep their time signature.
        let start = takes.current_start().filter(|start| start.changes_metre() && snapshot.loop_beats.is_none());
        if let Some(start) = start {
            return Self::of_take(start);
        }
        let length = if snapshot.bar_beats > 0.0 { snapshot.bar_beats } else { 4.0 };
        let origin = snapshot.take_beats - (snapshot.song_beats - snapshot.bar_start_beats);
        let beat = 4.0 / f64::from(snapshot.time_signature.1.max(1));
        let beat = if snapshot.time_signature.1 == 0 { 1.0 } else { beat };
        Self { origin, length, beat, of: BarsOf::Now(snapshot) }
    }

    fn of_take(start: &'a Start) -> Self {
        let origin = start.bar_start(0) as f64 / TICKS_PER_BEAT;
        let mut bars = Self { origin, length: 4.0, beat: 1.0, of: BarsOf::Take(start) };
        (bars.length, bars.beat) = (bars.at(1) - origin, bars.beat(0));
        bars
    }

    /// The start of a bar, take beats.
    fn at(&self, bar: i64) -> f64 {
        match self.of {
            BarsOf::Now(_) => self.origin + bar as f64 * self.length,
            BarsOf::Take(start) => start.bar_start(bar) as f64 / TICKS_PER_BEAT,
        }
    }

    /// The bar at a position, take beats.
    fn bar_of(&self, beats: f64) -> i64 {
        match self.of {
            BarsOf::Now(_) => ((beats - self.origin) / self.length).floor() as i64,
            BarsOf::Take(start) => start.bar_of((beats * TICKS_PER_BEAT).floor() as i64),
        }
    }

    /// The length of a beat of a bar's time signature, beats.
    fn beat(&self, bar: i64) -> f64 {
        self.metre(bar).map_or(self.beat, |(_, unit)| 4.0 / f64::from(unit))
    }

    /// The time signature of a bar, if known.
    fn metre(&self, bar: i64) -> Option<(u8, u8)> {
        match self.of {
            BarsOf::Now(_) => None,
            BarsOf::Take(start) => Some(start.time_at(start.bar_start(bar)).1),
        }
    }

    /// The number that the host shows for a bar.
    fn label(&self, bar: i64) -> i64 {
        match self.of {
            BarsOf::Now(snapshot) => {
                let song = snapshot.song_beats_at(self.at(bar) + 1e-6);
                (song / self.length).floor() as i64 + 1
            }
            BarsOf::Take(start) => start.first_bar() + bar,
        }
    }
}

/// Converts take beats and keys to points in this frame.
struct Layout {
    notes: Rect,
    beat_width: f64,
    left_beats: f64,
    keys: (f32, f32),
}

impl Layout {
    fn x(&self, beats: f64) -> f32 {
        self.notes.left() + ((beats - self.left_beats) * self.beat_width) as f32
    }

    fn beats(&self, x: f32) -> f64 {
        self.left_beats + f64::from(x - self.notes.left()) / self.beat_width
    }

    fn row_height(&self) -> f32 {
        self.notes.height() / (self.keys.1 - self.keys.0 + 1.0)
    }

    /// The top of a key's row.
    fn y(&self, key: f32) -> f32 {
        self.notes.bottom() - (key - self.keys.0 + 1.0) * self.row_height()
    }

    fn right_beats(&self) -> f64 {
        self.beats(self.notes.right())
    }
}

impl PianoRoll {
    /// A view that follows the playhead.
    pub fn new() -> Self {
        Self { beat_width: 34.0, follows: true, left_beats: 0.0, keys: (40.0, 76.0) }
    }

    /// Shows the roll. Returns the bars that the player drags over on the ruler of a take, by index.
    pub fn show(&mut self, ui: &mut Ui, theme: &Theme, shown: &Shown) -> Option<std::ops::Range<i64>> {
        let (rect, response) = ui.allocate_exact_size(ui.available_size(), Sense::click_and_drag());
        control_rects::record(ui.ctx(), || "Roll".into(), rect);
        let notes = Rect::from_min_max(rect.min + vec2(KEYBOARD_WIDTH, RULER_HEIGHT), rect.max);
        let (bars, playhead) = match shown {
            Shown::Now(takes, snapshot, _) => {
                (Bars::now(snapshot, takes), Some(snapshot.playhead_beats(Instant::now())))
            }
            Shown::Take(take, _) => {
                let bars = Bars::of_take(take.start);
                (Bars { origin: bars.at(take.bars().start), ..bars }, None)
            }
        };
        self.move_view(ui, &response, notes, playhead, &bars);
        let music = match shown {
            Shown::Now(takes, snapshot, frozen) => Music::now(takes, snapshot, playhead.unwrap_or_default(), frozen),
            Shown::Take(take, _) => Music::of_take(take),
        };
        self.fit_keys(ui, &music);
        let layout =
            Layout { notes, beat_width: f64::from(self.beat_width), left_beats: self.left_beats, keys: self.keys };
        let chosen = match shown {
            Shown::Take(_, chosen) => Some(chosen.clone()),
            Shown::Now(..) => None,
        };
        let painter = ui.painter_at(rect);
        painter.rect_filled(rect, CornerRadius::ZERO, theme.ground);
        drawing::rows(&painter.with_clip_rect(notes), theme, &layout);
        drawing::bars(&painter, theme, &layout, &bars, rect.top(), chosen.clone());
        record_bars(ui, &layout, &bars);
        drawing::music(&painter.with_clip_rect(notes), theme, &layout, &music);
        drawing::keyboard(&painter, theme, &layout, rect.left());
        if let Some(playhead) = playhead {
            drawing::playhead(&painter, theme, &layout, playhead, rect.top(), music.decided_to);
        }
        if music.marks.is_empty() {
            let hint = "Play a note, or start the transport";
            painter.text(notes.center(), Align2::CENTER_CENTER, hint, FontId::proportional(15.0), theme.faint_ink);
        }
        self.name_note(ui, theme, &layout, &music, response.hover_pos());
        self.follow_button(ui, theme, notes, playhead.is_some());
        chosen.and_then(|_| chosen_bars(ui, &response, &layout, &bars, rect))
    }

    /// Scrolls and zooms: the wheel and drags scroll; the wheel with Ctrl and pinches zoom.
    fn move_view(&mut self, ui: &Ui, response: &egui::Response, notes: Rect, playhead: Option<f64>, bars: &Bars) {
        let beat_width = f64::from(self.beat_width);
        if let Some(pointer) = response.hover_pos().filter(|_| response.contains_pointer()) {
            let (scroll, zoom) = ui.input(|input| (input.smooth_scroll_delta, input.zoom_delta()));
            if zoom != 1.0 {
                let under = self.left_beats + f64::from(pointer.x - notes.left()) / beat_width;
                self.beat_width = (self.beat_width * zoom).clamp(*BEAT_WIDTHS.start(), *BEAT_WIDTHS.end());
                self.left_beats = under - f64::from(pointer.x - notes.left()) / f64::from(self.beat_width);
            } else if scroll != egui::Vec2::ZERO {
                self.left_beats -= f64::from(scroll.x + scroll.y) / beat_width;
                self.follows = false;
            }
        }
        let in_notes = response.interact_pointer_pos().is_some_and(|pos| pos.y > notes.top());
        if response.dragged() && in_notes && response.drag_delta().x != 0.0 {
            self.left_beats -= f64::from(response.drag_delta().x) / beat_width;
            self.follows = false;
        }
        if self.follows {
            self.left_beats = match playhead {
                Some(playhead) => playhead - f64::from(notes.width() * PLAYHEAD_SHARE / self.beat_width),
                None => bars.origin,
            };
        }
    }

    /// Follows the playhead, or shows the beginning of a take.
    pub fn follow(&mut self) {
        self.follows = true;
    }

    /// Moves the visible keys smoothly towards a range of at least two octaves that contains all notes.
    fn fit_keys(&mut self, ui: &Ui, music: &Music) {
        let keys = || music.marks.iter().map(|mark| f32::from(mark.key));
        let (Some(low), Some(high)) = (keys().reduce(f32::min), keys().reduce(f32::max)) else { return };
        let spare = ((24.0 - (high - low + 1.0)) / 2.0).max(2.0).floor();
        let wanted = (low - spare, high + spare);
        let share = ui.input(|input| input.stable_dt.min(0.1) * 8.0).min(1.0);
        let toward = |now: f32, then: f32| if (then - now).abs() < 0.05 { then } else { now + (then - now) * share };
        self.keys = (toward(self.keys.0, wanted.0), toward(self.keys.1, wanted.1));
        if self.keys != wanted {
            ui.ctx().request_repaint_after(super::FRAME);
        }
    }

    fn name_note(&self, ui: &Ui, theme: &Theme, layout: &Layout, music: &Music, pointer: Option<Pos2>) {
        let Some(pointer) = pointer.filter(|pointer| layout.notes.contains(*pointer)) else { return };
        let under = |mark: &&Mark| drawing::mark_rect(layout, mark).contains(pointer);
        if let Some(mark) = music.marks.iter().rev().find(under) {
            let text = format!("{} {}, velocity {}", mark.voice_name(), drawing::key_name(mark.key), mark.velocity);
            let galley = ui.painter().layout_no_wrap(text, FontId::proportional(12.0), theme.ink);
            let label = Rect::from_min_size(pointer + vec2(12.0, -30.0), galley.size() + vec2(12.0, 6.0));
            ui.painter().rect_filled(label, CornerRadius::same(4), theme.control_hot);
            ui.painter().galley(label.min + vec2(6.0, 3.0), galley, theme.ink);
        }
    }

    fn follow_button(&mut self, ui: &mut Ui, theme: &Theme, notes: Rect, has_playhead: bool) {
        if self.follows {
            return;
        }
        let rect = Rect::from_min_size(notes.right_bottom() - vec2(132.0, 36.0), vec2(120.0, 26.0));
        let mut inside = ui.new_child(egui::UiBuilder::new().max_rect(rect));
        let (name, text) = if has_playhead {
            ("Follow", "Follows the playhead again.")
        } else {
            ("To the start", "Shows the beginning of the take.")
        };
        if super::widgets::button(&mut inside, theme, name, 120.0, text) {
            self.follows = true;
        }
    }
}

/// Records the rectangles of the bars, for programs that drive the editor.
fn record_bars(ui: &Ui, layout: &Layout, bars: &Bars) {
    for bar in bars.bar_of(layout.left_beats)..=bars.bar_of(layout.right_beats()) {
        let (left, right) = (layout.x(bars.at(bar)), layout.x(bars.at(bar + 1)));
        let rect = Rect::from_x_y_ranges(left..=right, layout.notes.y_range());
        control_rects::record(ui.ctx(), || format!("Bar {}", bars.label(bar)), rect);
    }
}

/// The bars between the start and the end of a drag on the ruler.
fn chosen_bars(
    ui: &Ui,
    response: &egui::Response,
    layout: &Layout,
    bars: &Bars,
    rect: Rect,
) -> Option<std::ops::Range<i64>> {
    let ruler = Rect::from_min_max(rect.min, pos2(rect.right(), layout.notes.top()));
    let from = ui.input(|input| input.pointer.press_origin()).filter(|from| ruler.contains(*from))?;
    let to = response.interact_pointer_pos().filter(|_| response.dragged() || response.clicked())?;
    let bar = |x: f32| bars.bar_of(layout.beats(x.max(layout.notes.left())));
    let (a, b) = (bar(from.x), bar(to.x));
    Some(a.min(b).max(0)..a.max(b).max(0) + 1)
}

/// The thinnest crisp line.
fn hairline(colour: egui::Color32) -> Stroke {
    Stroke::new(1.0, colour)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::{Beginning, Changed};

    #[test]
    fn bars_carry_the_host_s_numbers_through_a_loop() {
        let snapshot = Snapshot {
            take_beats: 21.0,
            song_beats: 13.0,
            bar_start_beats: 12.0,
            bar_beats: 4.0,
            time_signature: (4, 4),
            loop_beats: Some((8.0, 16.0)),
            pass: 1,
            ..Snapshot::default()
        };
        let takes = Takes::default();
        let bars = Bars::now(&snapshot, &takes);
        assert_eq!((bars.origin, bars.beat), (20.0, 1.0));
        assert_eq!([-4, -3, -2, -1, 0, 1, 2, 3].map(|bar| bars.label(bar)), [2, 3, 4, 3, 4, 3, 4, 3]);
    }

    #[test]
    fn past_bars_keep_their_time_signature() {
        let mut takes = Takes::default();
        takes.begin(&Beginning {
            song_beats: 13.0,
            bar_start_beats: 12.0,
            tempo_bpm: 96.0,
            time_signature: (3, 4),
            ..Beginning::default()
        });
        let mut snapshot = Snapshot {
            take_beats: 14.0,
            song_beats: 14.0,
            bar_start_beats: 12.0,
            bar_beats: 3.0,
            time_signature: (3, 4),
            ..Snapshot::default()
        };
        let lines = |snapshot: &Snapshot, takes: &Takes| {
            let bars = Bars::now(snapshot, takes);
            let first = bars.bar_of(12.0);
            [0, 1, 2, 3].map(|bar| (bars.label(first + bar), bars.at(first + bar)))
        };
        assert_eq!(lines(&snapshot, &takes), [(5, 12.0), (6, 15.0), (7, 18.0), (8, 21.0)]);
        takes.change(&Changed { take_beats: 18.0, tempo_bpm: 96.0, time_signature: (2, 4) });
        (snapshot.take_beats, snapshot.song_beats, snapshot.bar_start_beats) = (19.0, 19.0, 18.0);
        (snapshot.bar_beats, snapshot.time_signature) = (2.0, (2, 4));
        assert_eq!(lines(&snapshot, &takes), [(5, 12.0), (6, 15.0), (7, 18.0), (8, 20.0)]);
    }
}
