//! A small alphabet of pen strokes, as there is no text library here: the letters, digits and signs that the piano roll needs.

use tiny_skia::{LineCap, LineJoin, Path, PathBuilder, Stroke, Transform};

/// Height of a capital in the glyphs' own units; y points down from its top.
const CAPITAL: f32 = 7.0;
/// Between one glyph and the next.
const SPACING: f32 = 1.7;
/// Of a space, and of a character that the alphabet lacks.
const SPACE: f32 = 1.6;
const PEN: f32 = 0.95;

/// A character, its width, and its strokes: `M` moves, `L` draws a line, `C` a cubic Bezier curve.
const GLYPHS: [(char, f32, &str); 35] = [
    ('0', 4.0, "M2 0 C4.6 0 4.6 7 2 7 C-.6 7 -.6 0 2 0"),
    ('1', 2.6, "M.6 1.3 L2.2 0 L2.2 7"),
    ('2', 4.0, "M.2 1.7 C.5 -.6 3.9 -.5 3.8 2 C3.7 3.6 1.3 5.2 .1 7 L4 7"),
    ('3', 4.0, "M.3 1 C1.2 -.4 3.6 -.3 3.5 1.7 C3.4 3 2.4 3.3 1.4 3.3 C2.8 3.3 3.9 4 3.9 5.2 C3.9 7.4 1 7.6 0 5.9"),
    ('4', 4.2, "M3.1 7 L3.1 0 L0 5 L4.2 5"),
    ('5', 4.0, "M3.6 0 L.7 0 L.4 3.1 C1.6 2.1 3.9 2.5 3.9 4.7 C3.9 7.4 1 7.6 .1 6"),
    ('6', 4.0, "M3.4 .1 C1.2 .6 0 2.8 .1 4.8 C.2 7.7 3.9 7.7 3.9 4.7 C3.9 2.1 .6 2.1 .15 4.6"),
    ('7', 4.0, "M.1 0 L4 0 L1.4 7"),
    ('8', 4.0, "M2 3.3 C-.2 3.1 -.2 0 2 0 C4.2 0 4.2 3.1 2 3.3 C-.7 3.6 -.6 7 2 7 C4.6 7 4.7 3.6 2 3.3"),
    ('9', 4.0, "M.6 6.9 C2.8 6.4 4 4.2 3.9 2.2 C3.8 -.7 .1 -.7 .1 2.3 C.1 4.9 3.4 4.9 3.85 2.4"),
    ('/', 2.8, "M0 7.8 L2.8 -.5"),
    ('.', 0.2, "M0 7 L.1 7"),
    ('-', 2.4, "M0 4 L2.4 4"),
    ('A', 5.0, "M0 7 L2.5 0 L5 7 M.9 4.6 L4.1 4.6"),
    ('B', 4.0, "M.1 0 L.1 7 L2.1 7 C4.6 7 4.6 3.4 2.1 3.4 L.1 3.4 M.1 0 L1.9 0 C4 0 4 3.4 1.9 3.4"),
    ('C', 4.6, "M4.5 1.3 C3.1 -.9 0 -.1 0 3.5 C0 7.1 3.1 7.9 4.5 5.7"),
    ('P', 4.0, "M.1 7 L.1 0 L2.1 0 C4.6 0 4.6 3.9 2.1 3.9 L.1 3.9"),
    ('S', 4.1, "M3.8 1.2 C2.9 -.6 .2 -.3 .3 1.8 C.4 3.9 4.1 3 4 5.2 C3.9 7.5 .8 7.6 0 5.8"),
    ('T', 4.6, "M0 0 L4.6 0 M2.3 0 L2.3 7"),
    ('a', 3.7, "M3.7 2.2 L3.7 7 M3.7 4.6 C3.7 1.4 0 1.4 0 4.6 C0 7.8 3.7 7.8 3.7 4.6"),
    ('b', 3.7, "M0 0 L0 7 M0 4.6 C0 1.4 3.7 1.4 3.7 4.6 C3.7 7.8 0 7.8 0 4.6"),
    ('d', 3.7, "M3.7 0 L3.7 7 M3.7 4.6 C3.7 1.4 0 1.4 0 4.6 C0 7.8 3.7 7.8 3.7 4.6"),
    ('e', 3.7, "M.1 4.5 L3.7 4.5 C3.7 1.3 0 1.4 0 4.6 C0 7.2 2.6 7.8 3.5 6.1"),
    ('h', 3.4, "M0 0 L0 7 M0 4.2 C.2 1.5 3.4 1.5 3.4 4.2 L3.4 7"),
    ('i', 0.2, "M.1 2.2 L.1 7 M.1 .3 L.1 .4"),
    ('l', 0.2, "M.1 0 L.1 7"),
    ('m', 5.6, "M0 7 L0 2.2 M0 4.1 C.2 1.6 2.8 1.5 2.8 4.1 L2.8 7 M2.8 4.1 C3 1.6 5.6 1.5 5.6 4.1 L5.6 7"),
    ('n', 3.4, "M0 7 L0 2.2 M0 4.2 C.2 1.5 3.4 1.5 3.4 4.2 L3.4 7"),
    ('o', 3.8, "M0 4.6 C0 1.4 3.8 1.4 3.8 4.6 C3.8 7.8 0 7.8 0 4.6"),
    ('p', 3.7, "M0 2.2 L0 9.2 M0 4.6 C0 1.4 3.7 1.4 3.7 4.6 C3.7 7.8 0 7.8 0 4.6"),
    ('r', 2.2, "M0 7 L0 2.2 M0 4.4 C.2 2.6 1.1 2 2.2 2.3"),
    ('s', 3.2, "M3 3 C2.4 1.8 .2 2 .3 3.4 C.4 4.9 3.2 4.3 3.2 5.7 C3.2 7.4 .6 7.4 0 6.1"),
    ('t', 2.5, "M1 .6 L1 5.8 C1 6.9 1.7 7.1 2.5 6.8 M0 2.3 L2.4 2.3"),
    ('u', 3.4, "M3.4 2.2 L3.4 7 M3.4 5 C3.2 7.7 0 7.7 0 5 L0 2.2"),
    ('y', 3.6, "M0 2.2 L1.8 7 M3.6 2.2 L1.8 7 L.9 9.2"),
];

/// The strokes of a text in glyph units; `None` if it has none.
pub fn path(text: &str, size: f32) -> Option<Path> {
    // A pen is at least a pixel thick, so small letters need more room.
    let spacing = spacing(size);
    let mut path = PathBuilder::new();
    let mut x = 0.0;
    for character in text.chars() {
        if let Some((_, _, strokes)) = glyph(character) {
            draw(&mut path, x, strokes);
        }
        x += advance(character) + spacing;
    }
    path.finish()
}

/// How wide a text is whose capitals are `size` high.
pub fn width(text: &str, size: f32) -> f32 {
    let units: f32 = text.chars().map(|c| advance(c) + spacing(size)).sum();
    (units - spacing(size)).max(0.0) * size / CAPITAL
}

/// From glyph units to a text whose capitals are `size` high.
pub fn scale(size: f32) -> Transform {
    Transform::from_scale(size / CAPITAL, size / CAPITAL)
}

/// The pen.
pub fn stroke() -> Stroke {
    Stroke { width: PEN, line_cap: LineCap::Round, line_join: LineJoin::Round, ..Stroke::default() }
}

fn spacing(size: f32) -> f32 {
    if size < 9.0 { SPACING * 1.2 } else { SPACING }
}

fn glyph(character: char) -> Option<&'static (char, f32, &'static str)> {
    GLYPHS.iter().find(|(known, ..)| *known == character)
}

fn advance(character: char) -> f32 {
    glyph(character).map_or(SPACE, |(_, width, _)| *width)
}

fn draw(path: &mut PathBuilder, x: f32, strokes: &str) {
    let mut words = strokes.split_whitespace().peekable();
    while let Some(word) = words.next() {
        let (command, first) = word.split_at(1);
        let mut numbers = vec![number(first)];
        while let Some(word) = words.next_if(|word| !word.starts_with(['M', 'L', 'C'])) {
            numbers.push(number(word));
        }
        match (command, numbers.as_slice()) {
            ("M", [a, b]) => path.move_to(x + a, *b),
            ("L", [a, b]) => path.line_to(x + a, *b),
            ("C", [a, b, c, d, e, f]) => path.cubic_to(x + a, *b, x + c, *d, x + e, *f),
            _ => unreachable!("a glyph has the strokes `{strokes}`"),
        }
    }
}

fn number(word: &str) -> f32 {
    word.parse().expect("a glyph has numbers")
}

#[cfg(test)]
mod tests {
    use super::*;
    use continuo_model::tokeniser::grid::VOICE_NAMES;

    #[test]
    fn all_that_the_piano_roll_writes_has_glyphs() {
        let text = VOICE_NAMES.join("") + "Played" + "C-0123456789" + "4/4 91.5 bpm";
        for character in text.chars().filter(|c| *c != ' ') {
            assert!(glyph(character).is_some(), "`{character}` has no glyph");
        }
    }

    #[test]
    fn every_glyph_can_be_drawn_inside_its_width() {
        for (character, width, _) in GLYPHS {
            let path = path(&character.to_string(), 13.0).expect("strokes");
            let bounds = path.compute_tight_bounds().expect("bounds");
            assert!(bounds.left() >= -0.01 && bounds.right() <= width + 0.05, "`{character}`: {bounds:?}");
            assert!(bounds.top() >= -0.6 && bounds.bottom() <= 9.3, "`{character}`: {bounds:?}");
        }
    }

    #[test]
    fn a_text_is_as_wide_as_its_letters() {
        assert_eq!(width("", 7.0), 0.0);
        assert!((width("lo", 14.0) - 2.0 * (0.2 + SPACING + 3.8)).abs() < 1e-4);
        assert!(path(" \u{266d} ", 7.0).is_none());
    }
}
