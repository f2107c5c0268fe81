//! The controls of an open editor, found and worked as a player does, and its pictures. On the test's thread.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::EditorSession;
use crate::BLESS_VARIABLE;
use crate::desktop::Button;
use crate::picture::{Part, Picture};

/// A control that has not moved for so long is at rest.
const REST: Duration = Duration::from_millis(250);
/// The share of a tile's pixels that may differ from the stored picture.
const TOLERANCE: f64 = 0.2;

impl EditorSession {
    /// Turns the mouse wheel over the middle of a control.
    ///
    /// # Errors
    /// If there is none.
    pub fn wheel(&mut self, name: &str, direction: Button) -> Result<()> {
        let place = self.middle(name)?;
        self.desktop.click(place, direction)
    }

    /// Where all controls are, by name.
    ///
    /// # Errors
    /// If the editor has not written the file yet.
    pub fn places(&self) -> Result<BTreeMap<String, Part>> {
        let text = std::fs::read_to_string(&self.places).with_context(|| self.places.display().to_string())?;
        Ok(serde_json::from_str(&text)?)
    }

    /// Waits until a control is there and stays where it is (one that unfolds takes two frames for that); returns
    /// where.
    ///
    /// # Errors
    /// If there is no such control; the error lists all.
    pub fn place(&mut self, name: &str) -> Result<Part> {
        let mut last = (None, Instant::now());
        let found = self.until(name, |session| {
            let place = session.places().ok().and_then(|places| places.get(name).copied());
            if place != last.0 {
                last = (place, Instant::now());
            }
            Ok(place.filter(|_| last.1.elapsed() > REST))
        });
        let names = self.places().map(|places| places.into_keys().collect::<Vec<_>>()).unwrap_or_default();
        found.with_context(|| format!("expected a control `{name}`, got {names:?}"))
    }

    /// The middle of a control.
    ///
    /// # Errors
    /// If there is none.
    pub fn middle(&mut self, name: &str) -> Result<(i16, i16)> {
        let [left, top, width, height] = self.place(name)?;
        Ok(((left + width / 2) as i16, (top + height / 2) as i16))
    }

    /// Clicks on a control.
    ///
    /// # Errors
    /// If there is none.
    pub fn click(&mut self, name: &str) -> Result<()> {
        let place = self.middle(name)?;
        self.desktop.click(place, Button::Left)
    }

    /// Waits until a parameter shows a text.
    ///
    /// # Errors
    /// If it does not.
    pub fn expect_param(&mut self, name: &str, text: &str) -> Result<()> {
        let id = self.plugin.param_by_name(name)?.id;
        let mut last = String::new();
        let shown = self.until(text, |session| {
            last = session.plugin.param_text(id, session.plugin.param_value(id)?)?;
            Ok((last == text).then_some(()))
        });
        shown.with_context(|| format!("parameter `{name}`: expected {text}, got {last}"))
    }

    /// A parameter's value, 0 to 1.
    ///
    /// # Errors
    /// If there is no such parameter.
    pub fn param(&mut self, name: &str) -> Result<f64> {
        let id = self.plugin.param_by_name(name)?.id;
        self.plugin.param_value(id)
    }

    /// A parameter's value, 0 to 1, once it stays the same.
    ///
    /// # Errors
    /// If there is no such parameter, or it keeps changing.
    pub fn param_at_rest(&mut self, name: &str) -> Result<f64> {
        let mut last = (self.param(name)?, Instant::now());
        self.until("a value that rests", |session| {
            let value = session.param(name)?;
            if value != last.0 {
                last = (value, Instant::now());
            }
            Ok((last.1.elapsed() > REST).then_some(value))
        })
    }

    /// Width and height of the host's window, which fits the editor, pixels.
    ///
    /// # Errors
    /// If the server refuses.
    pub fn size(&self) -> Result<(u32, u32)> {
        self.desktop.size(self.window)
    }

    /// A picture, taken once nothing moves. Moves the mouse out of the way first.
    ///
    /// # Errors
    /// If it keeps changing.
    pub fn picture(&mut self) -> Result<Picture> {
        self.desktop.move_to((2390, 1590))?;
        let mut last = self.desktop.picture(self.window)?;
        let mut rests = 0;
        self.until("a picture that rests", |session| {
            let next = session.desktop.picture(session.window)?;
            rests = if next == last { rests + 1 } else { 0 };
            last = next;
            Ok((rests >= 30).then(|| last.clone()))
        })
    }

    /// Writes a picture of the window to `target/screenshots` and compares it with the stored one; the status line's
    /// figures may differ. If `CONTINUO_BLESS` is set, it stores the picture instead.
    ///
    /// # Errors
    /// If the two differ by too much.
    pub fn photograph(&mut self, name: &str) -> Result<()> {
        let picture = self.picture()?;
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let made = here.join("../target/screenshots").join(format!("{name}.png"));
        let kept = here.join("screenshots").join(format!("{name}.png"));
        picture.write(&made)?;
        if std::env::var_os(BLESS_VARIABLE).is_some() {
            return picture.write(&kept);
        }
        // The figures may be longer or shorter.
        let [_, top, _, height] = self.place("Figures")?;
        let status = [0, top, picture.size().0 as i32, height];
        let (difference, place) = picture.difference(&Picture::read(&kept)?, &[status])?;
        println!("{name}: {:.1} % of the tile that differs most, at {place:?}", difference * 100.0);
        ensure!(
            difference <= TOLERANCE,
            "{}: {:.0} % of the tile at {place:?} differ from {}, expected at most {:.0} %; if the change is meant, \
             store it with `cargo xtask test --bless`",
            made.display(),
            difference * 100.0,
            kept.display(),
            TOLERANCE * 100.0
        );
        Ok(())
    }
}
