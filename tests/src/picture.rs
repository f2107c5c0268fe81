//! Pictures of windows, stored as PNG and compared like an eye would, without regard to the edges of letters. Plain
//! values.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use tiny_skia::{IntSize, Pixmap};

/// The largest difference of a channel's mean over a small square that the eye does not see.
const SEEN: i32 = 24;
/// Half the side of that square, pixels.
const REACH: u32 = 1;
/// Side of the tiles that are compared, pixels: a word or a button's edge fills a good part of one.
const TILE: u32 = 16;

/// A picture, opaque.
#[derive(Clone, PartialEq)]
pub struct Picture {
    pixels: Pixmap,
}

/// A part of a picture that is not compared: left, top, width, height.
pub type Part = [i32; 4];

impl Picture {
    /// From the bytes of an X image of depth 24.
    ///
    /// # Errors
    /// If there are too few.
    pub fn from_bgrx(width: u32, height: u32, bytes: &[u8]) -> Result<Self> {
        let rgba: Vec<u8> = bytes.chunks_exact(4).flat_map(|p| [p[2], p[1], p[0], 0xff]).collect();
        let size = IntSize::from_wh(width, height).context("a picture has a size")?;
        let pixels = Pixmap::from_vec(rgba, size).context("expected four bytes a pixel")?;
        Ok(Self { pixels })
    }

    /// Reads a PNG file.
    ///
    /// # Errors
    /// If the file is missing or not a PNG.
    pub fn read(path: &Path) -> Result<Self> {
        let pixels = Pixmap::load_png(path).with_context(|| path.display().to_string())?;
        Ok(Self { pixels })
    }

    /// Writes a PNG file, and its folder if there is none.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        self.pixels.save_png(path).with_context(|| path.display().to_string())
    }

    /// Width and height, pixels.
    pub fn size(&self) -> (u32, u32) {
        (self.pixels.width(), self.pixels.height())
    }

    /// The number of colours; a window that was not drawn has one.
    pub fn num_colours(&self) -> usize {
        let mut colours: Vec<[u8; 4]> = self.pixels.data().chunks_exact(4).map(|p| [p[0], p[1], p[2], p[3]]).collect();
        colours.sort_unstable();
        colours.dedup();
        colours.len()
    }

    /// The share of pixels that differ from `other`, 0 to 1, in the tile of 16 pixels a side where it is greatest, and
    /// that tile's left and top; `ignored` parts look the same.
    ///
    /// # Errors
    /// If the sizes differ.
    pub fn difference(&self, other: &Self, ignored: &[Part]) -> Result<(f64, (u32, u32))> {
        let (width, height) = self.size();
        ensure!(self.size() == other.size(), "expected a picture of {:?} pixels, got {:?}", other.size(), self.size());
        let is_ignored = |x: u32, y: u32| {
            let (x, y) = (x as i32, y as i32);
            ignored.iter().any(|[left, top, w, h]| (*left..left + w).contains(&x) && (*top..top + h).contains(&y))
        };
        let columns = width.div_ceil(TILE);
        let mut seen = vec![0_u32; (columns * height.div_ceil(TILE)) as usize];
        for y in 0..height {
            for x in 0..width {
                if !is_ignored(x, y)
                    && self.means(x, y).iter().zip(other.means(x, y)).any(|(a, b)| (a - b).abs() > SEEN)
                {
                    seen[(y / TILE * columns + x / TILE) as usize] += 1;
                }
            }
        }
        let (tile, most) = (0_u32..).zip(seen).max_by_key(|(_, seen)| *seen).context("a picture has a size")?;
        Ok((f64::from(most) / f64::from(TILE * TILE), (tile % columns * TILE, tile / columns * TILE)))
    }

    /// The channels' means over the square around a pixel.
    fn means(&self, x: u32, y: u32) -> [i32; 3] {
        let (width, height) = self.size();
        let data = self.pixels.data();
        let (mut sums, mut count) = ([0; 3], 0);
        for y in y.saturating_sub(REACH)..=(y + REACH).min(height - 1) {
            for x in x.saturating_sub(REACH)..=(x + REACH).min(width - 1) {
                let at = 4 * (y * width + x) as usize;
                sums.iter_mut().zip(&data[at..at + 3]).for_each(|(sum, byte)| *sum += i32::from(*byte));
                count += 1;
            }
        }
        sums.map(|sum| sum / count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// White, with a black square of `side` at (x, y).
    fn square(x: u32, y: u32, side: u32) -> Picture {
        let black = |px: u32, py: u32| (x..x + side).contains(&px) && (y..y + side).contains(&py);
        let bytes: Vec<u8> = (0..10_000).flat_map(|i| [if black(i % 100, i / 100) { 0 } else { 255 }; 4]).collect();
        Picture::from_bgrx(100, 100, &bytes).unwrap()
    }

    #[test]
    fn what_an_eye_sees_is_a_difference() {
        let picture = square(20, 20, 20);
        let difference = |other: &Picture, ignored: &[Part]| picture.difference(other, ignored).unwrap();
        assert_eq!((difference(&picture, &[]).0, picture.num_colours()), (0.0, 2));
        let moved = difference(&square(30, 20, 20), &[]);
        assert!(moved.0 > 0.6 && moved.1.0 == 16, "{moved:?}");
        assert_eq!(difference(&square(30, 20, 20), &[[10, 10, 60, 60]]).0, 0.0);
        // A word's worth of a large picture.
        assert!(difference(&square(20, 20, 14), &[]).0 > 0.2);
        assert!(picture.difference(&Picture::from_bgrx(1, 1, &[0; 4]).unwrap(), &[]).is_err());
    }
}
