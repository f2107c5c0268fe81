//! The fonts of the window: egui's Ubuntu Light, and a font of our own with the sharp and flat signs that it lacks.
//! Runs on the host's window thread.

use std::sync::Arc;

use egui::{FontData, FontDefinitions, FontFamily};
use epaint_default_fonts::UBUNTU_LIGHT;

/// Units per em.
const UNITS: u16 = 1000;
/// Ascent, descent and line gap of egui's proportional font.
const LINE: [i16; 3] = [932, -189, 28];
/// U+266D to U+266F are flat, natural and sharp. The font leaves out the natural sign.
const FIRST_SIGN: u16 = 0x266D;

/// A point of an outline: x, y, and whether it is on the curve (else it is a control point).
type Point = (i16, i16, bool);

const fn on(x: i16, y: i16) -> Point {
    (x, y, true)
}

const fn off(x: i16, y: i16) -> Point {
    (x, y, false)
}

/// A glyph. Its outlines run clockwise, its holes counter-clockwise.
struct Glyph {
    width: u16,
    outlines: &'static [&'static [Point]],
}

const EMPTY: Glyph = Glyph { width: 500, outlines: &[] };

const FLAT: Glyph = Glyph {
    width: 430,
    outlines: &[
        &[
            on(70, 800),
            on(132, 800),
            on(132, 392),
            off(190, 452),
            on(262, 452),
            off(372, 452),
            on(372, 336),
            off(372, 170),
            on(70, -24),
        ],
        &[on(132, 76), off(296, 196), on(296, 328), off(296, 392), on(236, 392), off(180, 392), on(132, 330)],
    ],
};

const SHARP: Glyph = Glyph {
    width: 540,
    outlines: &[
        &[on(156, 740), on(214, 740), on(214, -100), on(156, -100)],
        &[on(326, 800), on(384, 800), on(384, -40), on(326, -40)],
        &[on(60, 520), on(480, 626), on(480, 536), on(60, 430)],
        &[on(60, 264), on(480, 370), on(480, 280), on(60, 174)],
    ],
};

const GLYPHS: [Glyph; 4] = [EMPTY, FLAT, EMPTY, SHARP];

/// The fonts of the window: the signs are the last resort.
pub fn fonts() -> FontDefinitions {
    of_faces([("text", FontData::from_static(UBUNTU_LIGHT)), ("accidentals", FontData::from_owned(font()))])
}

/// Font families that draw each character in the first face that has it.
fn of_faces<const N: usize>(faces: [(&str, FontData); N]) -> FontDefinitions {
    let mut fonts = FontDefinitions::empty();
    for (name, face) in faces {
        fonts.font_data.insert(name.into(), Arc::new(face));
        for family in [FontFamily::Proportional, FontFamily::Monospace] {
            fonts.families.entry(family).or_default().push(name.into());
        }
    }
    fonts
}

/// The text with signs in place of words: `E flat major` becomes `E♭ major`, `F#4` becomes `F♯4`.
pub fn signed(text: &str) -> String {
    text.replace(" sharp", "♯").replace(" flat", "♭").replace('#', "♯")
}

/// A table of a font file: big-endian numbers.
#[derive(Default)]
struct Table(Vec<u8>);

impl Table {
    fn u16s(mut self, numbers: &[u16]) -> Self {
        numbers.iter().for_each(|number| self.0.extend(number.to_be_bytes()));
        self
    }

    fn i16s(self, numbers: &[i16]) -> Self {
        let numbers: Vec<u16> = numbers.iter().map(|number| *number as u16).collect();
        self.u16s(&numbers)
    }

    fn u32s(mut self, numbers: &[u32]) -> Self {
        numbers.iter().for_each(|number| self.0.extend(number.to_be_bytes()));
        self
    }
}

/// A TrueType font (after the OpenType specification) with just the tables that are needed to draw it.
fn font() -> Vec<u8> {
    let num_glyphs = GLYPHS.len() as u16;
    let [ascent, descent, gap] = LINE;
    let (mut outlines, mut offsets) = (Table::default(), vec![0]);
    for glyph in &GLYPHS {
        outlines = outline(outlines, glyph);
        offsets.push(outlines.0.len() as u32);
    }
    let (last_sign, end) = (FIRST_SIGN + 2, 0xffff);
    // Format 4: a segment of three signs from glyph 1 on, and the final segment.
    let map = [4, 32, 0, 4, 4, 1, 0, last_sign, end, 0, FIRST_SIGN, end, 1_u16.wrapping_sub(FIRST_SIGN), 1, 0, 0];
    let metrics = GLYPHS.iter().fold(Table::default(), |table, glyph| table.u16s(&[glyph.width, 0]));
    let tables = [
        (b"cmap", Table::default().u16s(&[0, 1, 3, 1]).u32s(&[12]).u16s(&map)),
        (b"glyf", outlines),
        (
            b"head",
            Table::default()
                .u32s(&[0x0001_0000, 0x0001_0000, 0, 0x5F0F_3CF5])
                .u16s(&[0, UNITS])
                .u32s(&[0; 4])
                .i16s(&[0, -200, 600, 900])
                // Regular style, smallest readable size 8 pixels, long offsets.
                .i16s(&[0, 8, 2, 1, 0]),
        ),
        (
            b"hhea",
            Table::default()
                .u32s(&[0x0001_0000])
                .i16s(&[ascent, descent, gap, 600, 0, 0, 600, 1, 0, 0, 0, 0, 0, 0, 0])
                .u16s(&[num_glyphs]),
        ),
        (b"hmtx", metrics),
        (b"loca", Table::default().u32s(&offsets)),
        (b"maxp", Table::default().u32s(&[0x0001_0000]).u16s(&[num_glyphs, 64, 8, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0])),
    ];
    let mut directory = Table::default().u32s(&[0x0001_0000]).u16s(&[tables.len() as u16, 64, 2, 48]);
    let mut body = Table::default();
    let begin = 12 + 16 * tables.len();
    for (name, table) in tables {
        directory.0.extend(name);
        directory = directory.u32s(&[0, (begin + body.0.len()) as u32, table.0.len() as u32]);
        body.0.extend(table.0);
        pad(&mut body);
    }
    directory.0.extend(body.0);
    directory.0
}

/// Adds the outlines of a glyph. The position of each point is relative to the previous one.
fn outline(table: Table, glyph: &Glyph) -> Table {
    let points: Vec<Point> = glyph.outlines.concat();
    let range = |of: fn(&Point) -> i16| (points.iter().map(of).min(), points.iter().map(of).max());
    let ((Some(left), Some(right)), (Some(bottom), Some(top))) = (range(|point| point.0), range(|point| point.1))
    else {
        return table;
    };
    let ends = glyph.outlines.iter().scan(0, |sum, outline| {
        *sum += outline.len() as u16;
        Some(*sum - 1)
    });
    let ends: Vec<u16> = ends.collect();
    let mut table = table.i16s(&[glyph.outlines.len() as i16, left, bottom, right, top]).u16s(&ends).u16s(&[0]);
    table.0.extend(points.iter().map(|point| u8::from(point.2)));
    let steps = |of: fn(&Point) -> i16| -> Vec<i16> {
        let before = std::iter::once(0).chain(points.iter().map(of));
        points.iter().map(of).zip(before).map(|(now, before)| now - before).collect()
    };
    table = table.i16s(&steps(|point| point.0)).i16s(&steps(|point| point.1));
    pad(&mut table);
    table
}

fn pad(table: &mut Table) {
    while !table.0.len().is_multiple_of(4) {
        table.0.push(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_written_with_their_signs() {
        let all = ["C sharp minor", "E flat major", "F#4", "Auto", "B major"].map(signed);
        assert_eq!(all, ["C♯ minor", "E♭ major", "F♯4", "Auto", "B major"]);
    }

    #[test]
    fn the_window_s_font_has_the_signs() {
        let context = egui::Context::default();
        let draw = || context.run_ui(egui::RawInput::default(), |_| {}).textures_delta.clear();
        let has = |text: &str| context.fonts_mut(|fonts| fonts.has_glyphs(&egui::FontId::proportional(13.0), text));
        context.set_fonts(of_faces([("text", FontData::from_static(UBUNTU_LIGHT))]));
        draw();
        assert!(has("C4") && !has("♯") && !has("♭"), "the font has the signs now: delete this file");
        context.set_fonts(fonts());
        draw();
        assert!(has("♯♭") && has("C4") && !has("𝄪"));
    }
}
