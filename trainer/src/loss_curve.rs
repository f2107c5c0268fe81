//! Plots the training and validation losses of a run over its epochs.

use std::sync::Once;

use anyhow::{Context, Result, anyhow};
use plotters::prelude::*;
use tiny_skia::{IntSize, Pixmap};

use crate::training_log::EpochRow;

// Pixels.
const WIDTH: u32 = 960;
const HEIGHT: u32 = 600;
/// Vermilion and blue, which all kinds of colour vision tell apart (M. Okabe and K. Ito, "Color Universal Design",
/// 2008).
const TRAIN: RGBColor = RGBColor(0xD5, 0x5E, 0x00);
const VALID: RGBColor = RGBColor(0x00, 0x72, 0xB2);
const INK: RGBColor = RGBColor(0x22, 0x26, 0x2E);
const FAINT: RGBColor = RGBColor(0xD9, 0xDC, 0xE1);

/// A plot of `rows` as the bytes of a PNG file. `unit` is the unit of the losses.
///
/// # Errors
/// If there are no rows, or the plotting library fails.
pub fn png(rows: &[EpochRow], title: &str, unit: &str) -> Result<Vec<u8>> {
    register_font()?;
    let mut pixels = vec![0xff; (WIDTH * HEIGHT * 3) as usize];
    draw(&mut pixels, rows, title, unit).context("the loss curve")?;
    let opaque = pixels.chunks_exact(3).flat_map(|rgb| [rgb[0], rgb[1], rgb[2], 0xff]).collect();
    let size = IntSize::from_wh(WIDTH, HEIGHT).expect("the size is not 0");
    Pixmap::from_vec(opaque, size).expect("the buffer has one entry per pixel").encode_png().context("the PNG encoder")
}

/// Registers the editor's font; the plotting library includes none.
fn register_font() -> Result<()> {
    static ONCE: Once = Once::new();
    let mut done = Ok(());
    ONCE.call_once(|| {
        done = plotters::style::register_font("sans-serif", FontStyle::Normal, epaint_default_fonts::UBUNTU_LIGHT);
    });
    done.map_err(|_| anyhow!("cannot read the font of the loss curve"))
}

fn draw(pixels: &mut [u8], rows: &[EpochRow], title: &str, unit: &str) -> Result<()> {
    let last = rows.last().context("expected an epoch, got none")?;
    let losses = || rows.iter().flat_map(|row| [row.train, row.valid]).filter(|loss| loss.is_finite());
    let (lowest, highest) = losses().fold((f64::MAX, f64::MIN), |(low, high), loss| (low.min(loss), high.max(loss)));
    let margin = 0.05 * (highest - lowest).max(0.01);
    // Leaves room for the legend above the curves.
    let top = highest + 5.0 * margin;
    let root = BitMapBackend::with_buffer(pixels, (WIDTH, HEIGHT)).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .margin(18)
        .caption(title, ("sans-serif", 24).into_font().color(&INK))
        .x_label_area_size(52)
        .y_label_area_size(76)
        .build_cartesian_2d(0.5..last.epoch.max(2) as f64 + 0.5, lowest - margin..top)?;
    chart
        .configure_mesh()
        .bold_line_style(FAINT)
        .light_line_style(TRANSPARENT)
        .axis_style(INK)
        .label_style(("sans-serif", 17).into_font().color(&INK))
        .axis_desc_style(("sans-serif", 19).into_font().color(&INK))
        .x_desc("epoch")
        .y_desc(unit)
        .x_label_formatter(&|epoch| format!("{epoch:.0}"))
        .x_labels(last.epoch.clamp(2, 12))
        .draw()?;
    type Loss = fn(&EpochRow) -> f64;
    let lines: [(&str, RGBColor, Loss); 2] =
        [("training", TRAIN, |row| row.train), ("validation", VALID, |row| row.valid)];
    for (name, colour, loss) in lines {
        let points = || rows.iter().map(|row| (row.epoch as f64, loss(row))).filter(|(_, loss)| loss.is_finite());
        chart
            .draw_series(LineSeries::new(points(), colour.stroke_width(2)))?
            .label(name)
            .legend(move |(x, y)| Rectangle::new([(x, y - 2), (x + 22, y + 1)], colour.filled()));
        if rows.len() <= 60 {
            chart.draw_series(points().map(|point| Circle::new(point, 3, colour.filled())))?;
        }
    }
    if let Some(best) = rows.iter().rev().find(|row| row.valid == last.best) {
        let label = format!("best {:.4} in epoch {}", best.valid, best.epoch);
        chart
            .draw_series([Circle::new((best.epoch as f64, best.valid), 7, INK.stroke_width(2))])?
            .label(label)
            .legend(|(x, y)| Circle::new((x + 11, y), 6, INK.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .label_font(("sans-serif", 18).into_font().color(&INK))
        .background_style(WHITE.mix(0.85))
        .border_style(FAINT)
        .legend_area_size(34)
        .draw()?;
    root.present()?;
    drop(chart);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<EpochRow> {
        let mut best = f64::INFINITY;
        let row = |epoch: usize| {
            let (train, valid) = (3.0 / epoch as f64, 2.0 / epoch as f64 + 0.05 * epoch as f64);
            best = best.min(valid);
            EpochRow { epoch, train, valid, rate: 0.003, seconds: 1.0, best }
        };
        (1..=20).map(row).collect()
    }

    fn count(png: &[u8], RGBColor(red, green, blue): RGBColor) -> usize {
        let pixels = Pixmap::decode_png(png).unwrap();
        let is = |p: &&tiny_skia::PremultipliedColorU8| (p.red(), p.green(), p.blue()) == (red, green, blue);
        pixels.pixels().iter().filter(is).count()
    }

    #[test]
    fn both_lines_axes_and_letters_are_there() {
        let png = png(&rows(), "Tiny", "nats per note").unwrap();
        assert!(count(&png, TRAIN) > 500 && count(&png, VALID) > 500 && count(&png, INK) > 300);
        let without_words = super::png(&rows(), "", "").unwrap();
        assert!(png != without_words, "the title is not drawn");
    }

    #[test]
    fn short_runs_and_odd_losses_are_drawn() {
        let one = EpochRow { epoch: 1, train: 2.0, valid: 2.0, rate: 1.0, seconds: 1.0, best: 2.0 };
        assert!(count(&png(&[one], "Tiny", "nats").unwrap(), TRAIN) > 20);
        let odd = EpochRow { epoch: 2, train: f64::INFINITY, valid: 1e9, ..one };
        assert!(!png(&[one, odd], "Tiny", "nats").unwrap().is_empty());
        assert!(png(&[], "Tiny", "nats").is_err());
    }
}
