//! The rectangles of the controls, written to a file for programs that drive the editor. Runs on the host's window
//! thread.

use std::collections::BTreeMap;
use std::path::PathBuf;

use egui::{Id, Rect};

/// Environment variable that names the file. Its contents are JSON, in points: `{"Mode/Free": [left, top, width,
/// height]}`.
const VARIABLE: &str = "CONTINUO_PLACES";

type Rects = BTreeMap<String, [i32; 4]>;

/// Collects the rectangles of each frame and writes them. Without the environment variable it does nothing.
pub struct ControlRects {
    path: Option<PathBuf>,
    written: Rects,
}

impl ControlRects {
    /// Reads the environment variable.
    pub fn from_environment() -> Self {
        Self { path: std::env::var_os(VARIABLE).map(PathBuf::from), written: Rects::new() }
    }

    /// Begins a frame.
    pub fn begin(&self, ctx: &egui::Context) {
        if self.path.is_some() {
            ctx.data_mut(|data| data.insert_temp(id(), Rects::new()));
        }
    }

    /// Ends a frame. Writes the file if a rectangle has changed.
    pub fn end(&mut self, ctx: &egui::Context) {
        let Some(path) = &self.path else { return };
        let rects: Rects = ctx.data(|data| data.get_temp(id())).unwrap_or_default();
        if rects != self.written {
            // Renamed when complete, so that no reader sees half a file. If writing fails, the reader keeps the old
            // file.
            let half = path.with_extension("half");
            let text = serde_json::to_string(&rects).unwrap_or_default();
            let _ = std::fs::write(&half, text).and_then(|()| std::fs::rename(&half, path));
            self.written = rects;
        }
    }
}

fn id() -> Id {
    Id::unique("rectangles of controls")
}

/// Records the rectangle of a control in this frame.
pub fn record(ctx: &egui::Context, name: impl FnOnce() -> String, rect: Rect) {
    ctx.data_mut(|data| {
        if let Some(mut rects) = data.get_temp::<Rects>(id()) {
            let numbers = [rect.left(), rect.top(), rect.width(), rect.height()];
            rects.insert(name(), numbers.map(|number| number.round() as i32));
            data.insert_temp(id(), rects);
        }
    });
}
