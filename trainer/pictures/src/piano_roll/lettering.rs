//! Text as outlines of glyphs, in the font of the plugin's editor.

use std::sync::LazyLock;

use tiny_skia::{Path, PathBuilder};
use ttf_parser::{Face, GlyphId, OutlineBuilder};

static FACE: LazyLock<Face> =
    LazyLock::new(|| Face::parse(epaint_default_fonts::UBUNTU_LIGHT, 0).expect("the font is a whole file"));

/// The outlines of a text with capitals `size` pixels high, relative to its upper left corner; `None` if there are
/// none. A character that the font lacks is as wide as a space.
pub fn path(text: &str, size: f32) -> Option<Path> {
    let mut outlines = Outlines { path: PathBuilder::new(), scale: scale(size), left: 0.0, baseline: size };
    for character in text.chars() {
        if let Some(glyph) = FACE.glyph_index(character) {
            FACE.outline_glyph(glyph, &mut outlines);
        }
        outlines.left += advance(character) * outlines.scale;
    }
    outlines.path.finish()
}

/// The width of a text with capitals `size` pixels high.
pub fn width(text: &str, size: f32) -> f32 {
    text.chars().map(advance).sum::<f32>() * scale(size)
}

/// Pixels per font unit.
fn scale(size: f32) -> f32 {
    size / f32::from(FACE.capital_height().unwrap_or(FACE.ascender()))
}

/// The distance to the next character, in font units.
fn advance(character: char) -> f32 {
    let glyph = FACE.glyph_index(character).or(FACE.glyph_index(' ')).unwrap_or(GlyphId(0));
    FACE.glyph_hor_advance(glyph).map_or(0.0, f32::from)
}

/// Converts outlines from font units with y upwards to pixels with y downwards.
struct Outlines {
    path: PathBuilder,
    scale: f32,
    left: f32,
    baseline: f32,
}

impl Outlines {
    fn place(&self, x: f32, y: f32) -> (f32, f32) {
        (self.left + x * self.scale, self.baseline - y * self.scale)
    }
}

impl OutlineBuilder for Outlines {
    fn move_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.place(x, y);
        self.path.move_to(x, y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.place(x, y);
        self.path.line_to(x, y);
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        let ((x1, y1), (x, y)) = (self.place(x1, y1), self.place(x, y));
        self.path.quad_to(x1, y1, x, y);
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        let ((x1, y1), (x2, y2), (x, y)) = (self.place(x1, y1), self.place(x2, y2), self.place(x, y));
        self.path.cubic_to(x1, y1, x2, y2, x, y);
    }

    fn close(&mut self) {
        self.path.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use continuo_model::tokeniser::grid::VOICE_NAMES;

    /// All characters that the piano roll uses, except spaces.
    fn all() -> String {
        (VOICE_NAMES.join("") + "Played" + "C-0123456789" + "4/4 91.5 bpm").replace(' ', "")
    }

    #[test]
    fn all_that_the_piano_roll_writes_has_glyphs() {
        for character in all().chars() {
            assert!(FACE.glyph_index(character).is_some(), "`{character}` has no glyph");
            assert!(path(&character.to_string(), 13.0).is_some(), "`{character}` has no outline");
        }
    }

    #[test]
    fn every_glyph_is_drawn_inside_its_width() {
        for character in all().chars() {
            let text = character.to_string();
            let bounds = path(&text, 7.0).expect("outlines").compute_tight_bounds().expect("bounds");
            assert!(bounds.left() >= -0.3 && bounds.right() <= width(&text, 7.0) + 0.3, "`{character}`: {bounds:?}");
            assert!(bounds.top() >= -1.0 && bounds.bottom() <= 9.3, "`{character}`: {bounds:?}");
        }
        // A capital stands on the baseline and has the requested height.
        let bounds = path("T", 13.0).and_then(|path| path.compute_tight_bounds()).expect("bounds");
        assert!(bounds.top().abs() < 0.1 && (bounds.bottom() - 13.0).abs() < 0.1, "{bounds:?}");
    }

    #[test]
    fn a_text_is_as_wide_as_its_letters() {
        assert_eq!(width("", 7.0), 0.0);
        assert!((width("lo", 14.0) - width("l", 14.0) - width("o", 14.0)).abs() < 1e-4);
        assert!((width("lo", 14.0) - 2.0 * width("lo", 7.0)).abs() < 1e-4);
        let letters = |text: &str| path(text, 7.0).and_then(|path| path.compute_tight_bounds()).expect("bounds");
        assert!((letters("lo").right() - width("l", 7.0) - letters("o").right()).abs() < 1e-4);
        assert!(path(" \u{4e2d} ", 7.0).is_none());
        assert_eq!(width("\u{4e2d}", 7.0), width(" ", 7.0));
    }
}
