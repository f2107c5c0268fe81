//! Draws music as a piano roll: time to the right in bars, pitch upwards in semitones, one colour per voice. Runs on
//! the caller's thread.

mod lettering;

use anyhow::{Context, Result};
use continuo_model::phrase::{Note, Phrase, Track};
use tiny_skia::{Color, FillRule, Paint, Path, PathBuilder, Pixmap, Rect, Stroke, Transform};

/// The colours of the voices from the top: four of Okabe and Ito's, which all kinds of colour vision tell apart (M.
/// Okabe and K. Ito, "Color Universal Design", 2008).
const VOICE_COLOURS: [(&str, [u8; 3]); 4] = [
    ("Soprano", [0xD5, 0x5E, 0x00]),
    ("Alto", [0xE6, 0x9F, 0x00]),
    ("Tenor", [0x00, 0x9E, 0x73]),
    ("Bass", [0x00, 0x72, 0xB2]),
];
/// The colour of any other track.
const OTHER_COLOUR: [u8; 3] = [0xCC, 0x79, 0xA7];
/// The player's notes are outlines, drawn over the notes of the voices.
const PLAYED: &str = "Played";

const PAPER: [u8; 3] = [0xFF, 0xFF, 0xFF];
const BLACK_KEY_ROW: [u8; 3] = [0xF2, 0xF3, 0xF5];
const OCTAVE_LINE: [u8; 3] = [0xD9, 0xDC, 0xE1];
const BEAT_LINE: [u8; 3] = [0xE4, 0xE6, 0xEA];
const BAR_LINE: [u8; 3] = [0xB4, 0xB9, 0xC2];
const INK: [u8; 3] = [0x22, 0x26, 0x2E];
const FAINT_INK: [u8; 3] = [0x6B, 0x72, 0x7E];

// All sizes are in pixels.
const MAX_WIDTH: f32 = 8000.0;
const BAR_WIDTH: f32 = 94.5;
const KEYBOARD_WIDTH: f32 = 44.0;
const LEFT: f32 = 20.0 + KEYBOARD_WIDTH;
const RIGHT: f32 = 24.0;
const TOP: f32 = 78.0;
const BOTTOM: f32 = 22.0;
const LEGEND_Y: f32 = 30.0;
const NOTE_RADIUS: f32 = 3.0;
const OUTLINE: f32 = 2.0;

/// Rows above the highest note and below the lowest.
const SPARE_ROWS: u8 = 2;
/// At least an octave and a half of rows, so that a single note does not fill the picture.
const MIN_ROWS: u8 = 18;

/// Draws the first `num_bars` bars as a PNG file.
///
/// # Errors
/// If the encoder fails, or there is not enough memory for the picture.
pub fn png(phrase: &Phrase, num_bars: u32) -> Result<Vec<u8>> {
    draw(phrase, num_bars)?.encode_png().context("the PNG encoder")
}

fn draw(phrase: &Phrase, num_bars: u32) -> Result<Pixmap> {
    let layout = Layout::new(phrase, num_bars);
    let (width, height) = (layout.width() as u32, layout.height() as u32);
    let pixmap =
        Pixmap::new(width, height).with_context(|| format!("no memory for a picture of {width} by {height} pixels"))?;
    let mut canvas = Canvas(pixmap);
    canvas.0.fill(colour(PAPER, 1.0));
    draw_rows(&mut canvas, &layout);
    draw_grid(&mut canvas, &layout);
    // Draws the lowest voice first: where two notes overlap, the edge of the upper voice's note shows which it is.
    let (played, voices): (Vec<&Track>, Vec<&Track>) = phrase.tracks.iter().partition(|track| track.name == PLAYED);
    for track in voices.iter().rev() {
        draw_voice(&mut canvas, &layout, track);
    }
    for track in &played {
        draw_played(&mut canvas, &layout, track);
    }
    draw_keyboard(&mut canvas, &layout);
    draw_legend(&mut canvas, &layout, phrase);
    Ok(canvas.0)
}

/// The layout of the picture.
struct Layout {
    beats_in_bar: u8,
    /// Length of the metre's beat, quarter notes.
    unit_beats: f64,
    num_bars: u32,
    bar_width: f32,
    row_height: f32,
    /// MIDI pitches of the lowest and the highest row.
    lowest: u8,
    highest: u8,
}

impl Layout {
    fn new(phrase: &Phrase, num_bars: u32) -> Self {
        let pitches = || phrase.tracks.iter().flat_map(|track| &track.notes).map(|note| note.pitch);
        let mut lowest = pitches().min().unwrap_or(60).saturating_sub(SPARE_ROWS);
        let mut highest = (pitches().max().unwrap_or(60) + SPARE_ROWS).min(127);
        while highest - lowest + 1 < MIN_ROWS {
            lowest = lowest.saturating_sub(1);
            highest = (highest + 1).min(127);
        }
        let num_rows = f32::from(highest - lowest + 1);
        let room = (MAX_WIDTH - LEFT - RIGHT) / num_bars as f32;
        Self {
            beats_in_bar: phrase.time_signature.0,
            unit_beats: 4.0 / f64::from(phrase.time_signature.1),
            num_bars,
            bar_width: room.min(BAR_WIDTH),
            row_height: (560.0 / num_rows).round().clamp(8.0, 16.0),
            lowest,
            highest,
        }
    }

    fn width(&self) -> f32 {
        (self.x(self.end_beats()) + RIGHT).ceil()
    }

    fn height(&self) -> f32 {
        self.bottom() + BOTTOM
    }

    fn bottom(&self) -> f32 {
        self.y(self.lowest) + self.row_height
    }

    fn bar_beats(&self) -> f64 {
        f64::from(self.beats_in_bar) * self.unit_beats
    }

    fn end_beats(&self) -> f64 {
        f64::from(self.num_bars) * self.bar_beats()
    }

    /// The x coordinate of a time.
    fn x(&self, beats: f64) -> f32 {
        LEFT + (beats / self.bar_beats()) as f32 * self.bar_width
    }

    /// The y coordinate of the upper edge of a row.
    fn y(&self, pitch: u8) -> f32 {
        TOP + f32::from(self.highest - pitch) * self.row_height
    }

    /// The rectangle of a note, slightly smaller than its row and duration so that adjacent notes stay apart; `None`
    /// after the last bar.
    fn note(&self, note: &Note) -> Option<Rect> {
        let end_beats = note.end_beats().min(self.end_beats());
        let (left, right) = (self.x(note.start_beats) + 0.5, self.x(end_beats) - 1.0);
        let top = self.y(note.pitch) + 0.5;
        let height = self.row_height - 1.0;
        if note.start_beats >= self.end_beats() {
            return None;
        }
        Rect::from_xywh(left, top, (right - left).max(1.5), height)
    }
}

fn draw_rows(canvas: &mut Canvas, layout: &Layout) {
    let (left, right) = (layout.x(0.0), layout.x(layout.end_beats()));
    for pitch in layout.lowest..=layout.highest {
        let y = layout.y(pitch);
        if is_black_key(pitch) {
            canvas.rect(left, y, right - left, layout.row_height, BLACK_KEY_ROW);
        }
        if pitch % 12 == 0 {
            canvas.rect(left, y + layout.row_height - 0.5, right - left, 1.0, OCTAVE_LINE);
        }
    }
}

/// Beat lines, bar lines and bar numbers.
fn draw_grid(canvas: &mut Canvas, layout: &Layout) {
    let height = layout.bottom() - TOP;
    let beat_width = layout.bar_width / f32::from(layout.beats_in_bar);
    let number_every =
        (0..31).map(|power| 1_u32 << power).find(|bars| *bars as f32 * layout.bar_width >= 36.0).unwrap_or(u32::MAX);
    for bar in 0..=layout.num_bars {
        let bar_beats = f64::from(bar) * layout.bar_beats();
        for beat in 1..layout.beats_in_bar {
            if bar < layout.num_bars && beat_width >= 5.0 {
                let x = layout.x(bar_beats + f64::from(beat) * layout.unit_beats);
                canvas.rect(x.round(), TOP, 1.0, height, BEAT_LINE);
            }
        }
        let x = layout.x(bar_beats).round();
        if layout.bar_width >= 8.0 || bar % number_every == 0 {
            canvas.rect(x, TOP - 6.0, 1.0, height + 6.0, BAR_LINE);
        }
        if bar < layout.num_bars && bar % number_every == 0 {
            canvas.text(x + 4.0, TOP - 17.0, 10.0, &(bar + 1).to_string(), FAINT_INK);
        }
    }
}

fn draw_voice(canvas: &mut Canvas, layout: &Layout, track: &Track) {
    for note in &track.notes {
        if let Some(path) = layout.note(note).and_then(|rect| rounded(rect, NOTE_RADIUS)) {
            canvas.fill(&path, note_colour(&track.name, note.velocity));
        }
    }
}

fn draw_played(canvas: &mut Canvas, layout: &Layout, track: &Track) {
    for note in &track.notes {
        let inset = layout.note(note).and_then(|rect| rect.inset(OUTLINE / 2.0, OUTLINE / 2.0));
        if let Some(path) = inset.and_then(|rect| rounded(rect, NOTE_RADIUS)) {
            canvas.stroke(&path, OUTLINE, INK);
        }
    }
}

/// The keys at the left edge with the names of octaves; middle C is C4.
fn draw_keyboard(canvas: &mut Canvas, layout: &Layout) {
    let left = LEFT - KEYBOARD_WIDTH;
    for pitch in layout.lowest..=layout.highest {
        let y = layout.y(pitch);
        if is_black_key(pitch) {
            let width = KEYBOARD_WIDTH * 0.55;
            let key = Rect::from_xywh(left, y + 0.5, width, layout.row_height - 1.0);
            if let Some(path) = key.and_then(|rect| rounded(rect, 1.5)) {
                canvas.fill(&path, INK);
            }
            // Two white keys meet in the middle of the black key between them.
            let middle = y + layout.row_height / 2.0;
            canvas.rect(left + width, middle, KEYBOARD_WIDTH - width, 1.0, OCTAVE_LINE);
        } else if matches!(pitch % 12, 0 | 5) {
            canvas.rect(left, y + layout.row_height - 0.5, KEYBOARD_WIDTH, 1.0, OCTAVE_LINE);
        }
        if pitch % 12 == 0 {
            let name = format!("C{}", i32::from(pitch) / 12 - 1);
            let size = (layout.row_height - 4.0).min(8.0);
            let width = lettering::width(&name, size);
            let top = y + (layout.row_height - size) / 2.0;
            canvas.text(LEFT - width - 5.0, top, size, &name, FAINT_INK);
        }
    }
    let height = layout.bottom() - TOP;
    canvas.rect(left, TOP, 1.0, height, OCTAVE_LINE);
    canvas.rect(LEFT - 1.0, TOP, 2.0, height, BAR_LINE);
}

/// The legend, and the tempo at the right if there is room.
fn draw_legend(canvas: &mut Canvas, layout: &Layout, phrase: &Phrase) {
    const SIZE: f32 = 13.0;
    let mut x = LEFT;
    for track in &phrase.tracks {
        let swatch = Rect::from_xywh(x, LEGEND_Y - 1.0, 26.0, SIZE + 2.0);
        if track.name == PLAYED {
            let inset = swatch.and_then(|rect| rect.inset(OUTLINE / 2.0, OUTLINE / 2.0));
            if let Some(path) = inset.and_then(|rect| rounded(rect, NOTE_RADIUS)) {
                canvas.stroke(&path, OUTLINE, INK);
            }
        } else if let Some(path) = swatch.and_then(|rect| rounded(rect, NOTE_RADIUS)) {
            canvas.fill(&path, note_colour(&track.name, 127));
        }
        canvas.text(x + 34.0, LEGEND_Y, SIZE, &track.name, INK);
        x += 34.0 + lettering::width(&track.name, SIZE) + 28.0;
    }
    let (beats, unit) = phrase.time_signature;
    let tempo = (phrase.tempo_bpm * 10.0).round() / 10.0;
    let text = format!("{beats}/{unit}   {tempo} bpm");
    let left = layout.x(layout.end_beats()) - lettering::width(&text, SIZE);
    if left > x {
        canvas.text(left, LEGEND_Y, SIZE, &text, FAINT_INK);
    }
}

fn is_black_key(pitch: u8) -> bool {
    matches!(pitch % 12, 1 | 3 | 6 | 8 | 10)
}

/// The colour of a voice; softer notes are paler.
fn note_colour(voice: &str, velocity: u8) -> [u8; 3] {
    let found = VOICE_COLOURS.iter().find(|(name, _)| *name == voice);
    let full = found.map_or(OTHER_COLOUR, |(_, rgb)| *rgb);
    let strength = 0.35 + 0.65 * f32::from(velocity.min(127)) / 127.0;
    std::array::from_fn(|i| {
        let (paper, full) = (f32::from(PAPER[i]), f32::from(full[i]));
        (paper + (full - paper) * strength).round() as u8
    })
}

fn colour([red, green, blue]: [u8; 3], opacity: f32) -> Color {
    let mut colour = Color::from_rgba8(red, green, blue, 255);
    colour.set_alpha(opacity);
    colour
}

/// A rectangle with rounded corners. If it is narrower than the corners, they become quarter ellipses.
fn rounded(rect: Rect, radius: f32) -> Option<Path> {
    let rx = radius.min(rect.width() / 2.0);
    let ry = radius.min(rect.height() / 2.0);
    let (left, top, right, bottom) = (rect.left(), rect.top(), rect.right(), rect.bottom());
    let mut path = PathBuilder::new();
    path.move_to(left + rx, top);
    path.line_to(right - rx, top);
    path.quad_to(right, top, right, top + ry);
    path.line_to(right, bottom - ry);
    path.quad_to(right, bottom, right - rx, bottom);
    path.line_to(left + rx, bottom);
    path.quad_to(left, bottom, left, bottom - ry);
    path.line_to(left, top + ry);
    path.quad_to(left, top, left + rx, top);
    path.close();
    path.finish()
}

/// Draws in solid colours.
struct Canvas(Pixmap);

impl Canvas {
    fn paint(rgb: [u8; 3]) -> Paint<'static> {
        let mut paint = Paint::default();
        paint.set_color(colour(rgb, 1.0));
        paint
    }

    /// Draws nothing if the rectangle has no area.
    fn rect(&mut self, x: f32, y: f32, width: f32, height: f32, rgb: [u8; 3]) {
        if let Some(rect) = Rect::from_xywh(x, y, width, height) {
            self.0.fill_rect(rect, &Self::paint(rgb), Transform::identity(), None);
        }
    }

    fn fill(&mut self, path: &Path, rgb: [u8; 3]) {
        let identity = Transform::identity();
        self.0.fill_path(path, &Self::paint(rgb), FillRule::Winding, identity, None);
    }

    fn stroke(&mut self, path: &Path, width: f32, rgb: [u8; 3]) {
        let stroke = Stroke { width, ..Stroke::default() };
        let identity = Transform::identity();
        self.0.stroke_path(path, &Self::paint(rgb), &stroke, identity, None);
    }

    /// Draws text with capitals of height `size`. `at` is its upper left corner.
    fn text(&mut self, x: f32, y: f32, size: f32, text: &str, rgb: [u8; 3]) {
        if let Some(path) = lettering::path(text, size) {
            let place = Transform::from_translate(x, y);
            self.0.fill_path(&path, &Self::paint(rgb), FillRule::Winding, place, None);
        }
    }
}

#[cfg(test)]
mod tests;
