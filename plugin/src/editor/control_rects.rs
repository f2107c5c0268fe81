//! Where each control is, for programs that drive the editor: written to a file if one is named. Runs on the host's window thread.

use std::collections::BTreeMap;
use std::path::PathBuf;

use egui::{Id, Rect};

/// Names a file to which the editor writes where its controls are, in points: `{"Mode/Free": [left, top, width, height]}`.
const VARIABLE: &str = "CONTINUO_PLACES";

type Places = BTreeMap<String, [i32; 4]>;

/// Collects places; costs nothing where nobody asks.
pub struct PlacesFile {
    path: Option<PathBuf>,
    written: Places,
}

impl PlacesFile {
    /// To where the environment says.
    pub fn wished_for() -> Self {
        Self { path: std::env::var_os(VARIABLE).map(PathBuf::from), written: Places::new() }
    }

    /// Begins a frame.
    pub fn begin(&self, ctx: &egui::Context) {
        if self.path.is_some() {
            ctx.data_mut(|data| data.insert_temp(id(), Places::new()));
        }
    }

    /// Ends a frame: what has changed is written.
    pub fn end(&mut self, ctx: &egui::Context) {
        let Some(path) = &self.path else { return };
        let places: Places = ctx.data(|data| data.get_temp(id())).unwrap_or_default();
        if places != self.written {
            // Moved into place, so that no reader sees half of it; a file that cannot be written is one that nobody reads.
            let half = path.with_extension("half");
            let text = serde_json::to_string(&places).unwrap_or_default();
            let _ = std::fs::write(&half, text).and_then(|()| std::fs::rename(&half, path));
            self.written = places;
        }
    }
}

fn id() -> Id {
    Id::unique("places of controls")
}

/// Notes where a control is in this frame.
pub fn note(ctx: &egui::Context, name: impl FnOnce() -> String, rect: Rect) {
    ctx.data_mut(|data| {
        if let Some(mut places) = data.get_temp::<Places>(id()) {
            let numbers = [rect.left(), rect.top(), rect.width(), rect.height()];
            places.insert(name(), numbers.map(|number| number.round() as i32));
            data.insert_temp(id(), places);
        }
    });
}
