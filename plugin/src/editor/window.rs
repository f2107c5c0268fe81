//! The editor's window, which opens in the size that the project saved. Runs on the host's main thread.

use std::error::Error;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use atomic_float::AtomicF32;
use nice_plug::context::gui::GuiContext;
use nice_plug::editor::dpi::{LogicalSize, NativeSize};
use nice_plug::editor::{Editor, HostMethods, ParentWindowHandle, ResizeHint, SpawnedEditor};
use nice_plug_egui::baseview::HandlerError;
use nice_plug_egui::{
    EguiEditorHandle, EguiEditorState, EguiNiceSettings, Frame, NiceEguiApp, RepaintNotifier, create_egui_editor,
};

use super::ContinuoEditor;
use crate::params::ContinuoParams;
use crate::state::Look;

/// The smallest size in which everything fits, points.
const MIN_SIZE: LogicalSize<f32> = LogicalSize { width: 960.0, height: 660.0 };
/// The largest width and height, points.
const MAX_SIDE: f32 = 8192.0;

/// The editor. Its contents live as long as the plugin; its window opens and closes.
pub struct EditorWindow {
    params: Arc<ContinuoParams>,
    app: Arc<Mutex<ContinuoEditor>>,
    /// Pixels per point at 100 % on the screen that shows the window, or showed it last.
    scale: Arc<AtomicF32>,
}

/// A window's reference to the contents.
struct Contents {
    app: Arc<Mutex<ContinuoEditor>>,
    scale: Arc<AtomicF32>,
}

impl Contents {
    fn with<T>(&self, act: impl FnOnce(&mut ContinuoEditor) -> T) -> T {
        act(&mut self.app.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl NiceEguiApp for Contents {
    fn build(&mut self, ctx: egui::Context, host: GuiContext, frame: &mut Frame) -> Result<(), HandlerError> {
        self.with(|app| app.build(ctx, host, frame))
    }

    fn ui(&mut self, ui: &mut egui::Ui, frame: &mut Frame) {
        self.scale.store(ui.ctx().native_pixels_per_point().unwrap_or(1.0), Ordering::Relaxed);
        self.with(|app| app.ui(ui, frame));
    }

    fn editor_closed(&mut self) {
        self.with(|app| app.editor_closed());
    }
}

impl EditorWindow {
    /// A closed window.
    pub fn new(params: Arc<ContinuoParams>, app: ContinuoEditor) -> Self {
        Self { params, app: Arc::new(Mutex::new(app)), scale: Arc::new(AtomicF32::new(1.0)) }
    }

    fn look(&self) -> Look {
        self.params.project.look.lock().map(|look| *look).unwrap_or_default()
    }
}

impl Editor for EditorWindow {
    type Handle = EguiEditorHandle;

    fn spawn(
        &self,
        parent: Option<ParentWindowHandle>,
        wait_for_parent: bool,
        fallback_scale_factor: Option<f64>,
        gui_context: GuiContext,
        host: Option<HostMethods>,
    ) -> Result<SpawnedEditor<Self::Handle>, Box<dyn Error>> {
        let look = self.look();
        let (width, height) = points(&look);
        let state = EguiEditorState::from_size(LogicalSize { width, height }, zoom(&look));
        if let Some(scale) = fallback_scale_factor {
            self.scale.store(scale as f32, Ordering::Relaxed);
        }
        let settings = EguiNiceSettings::new().with_tile("Continuo").with_resize_hint(self.resize_hint());
        let contents = Contents { app: self.app.clone(), scale: self.scale.clone() };
        let editor = create_egui_editor(state, RepaintNotifier::new(), settings, contents);
        let editor = editor.ok_or("The editor could not be opened: no display.")?;
        editor.spawn(parent, wait_for_parent, fallback_scale_factor, gui_context, host)
    }

    fn size(&self) -> NativeSize<u32> {
        let look = self.look();
        let ((width, height), zoom) = (points(&look), zoom(&look));
        let size = LogicalSize { width: (width * zoom).round(), height: (height * zoom).round() };
        NativeSize::from_size(size.into(), self.scale.load(Ordering::Relaxed).into())
    }

    fn resize_hint(&self) -> ResizeHint {
        let zoom = zoom(&self.look());
        let least = LogicalSize { width: MIN_SIZE.width * zoom, height: MIN_SIZE.height * zoom };
        ResizeHint::RESIZABLE.with_min_logical_size(least)
    }
}

/// The zoom factor, within limits even if a project is damaged.
pub fn zoom(look: &Look) -> f32 {
    f32::from(look.size_percent.clamp(50, 400)) / 100.0
}

/// The window's size in points, within limits even if a project is damaged.
fn points(look: &Look) -> (f32, f32) {
    let (width, height) = look.window;
    let side = |side: f32, least: f32| if side.is_finite() { side.clamp(least, MAX_SIDE) } else { least };
    (side(width, MIN_SIZE.width), side(height, MIN_SIZE.height))
}

/// Stores the window's size in the project.
pub fn keep_size(ctx: &egui::Context, params: &ContinuoParams) {
    let size = ctx.content_rect().size();
    if let Ok(mut look) = params.project.look.lock() {
        look.window = (size.x, size.y);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::WINDOW;

    #[test]
    fn a_damaged_project_gives_a_usable_window() {
        let size = |window, size_percent| points(&Look { window, size_percent, dark: true });
        assert_eq!(size(WINDOW, 100), WINDOW);
        assert_eq!(size((1300.0, 900.0), 150), (1300.0, 900.0));
        assert_eq!(size((0.0, f32::NAN), 100), (MIN_SIZE.width, MIN_SIZE.height));
        assert_eq!(size((1e9, 700.0), 200), (MAX_SIDE, 700.0));
        let old: Look = serde_json::from_str(r#"{"dark": false, "size_percent": 125}"#).unwrap();
        assert_eq!((old.window, old.size_percent), (WINDOW, 125));
    }
}
