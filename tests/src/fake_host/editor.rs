//! The plugin's editor as a host handles it: puts it into a window, resizes it and closes it. On the main thread.

use anyhow::{Context, Result};

use super::HostedPlugin;

/// What a format has to do to show an editor.
pub(super) trait EditorHost {
    fn create(&mut self) -> Result<(u32, u32)>;
    fn show(&mut self, window: u32) -> Result<()>;
    fn destroy(&mut self) -> Result<()>;
    fn set_size(&mut self, size: (u32, u32)) -> Result<(u32, u32)>;
    fn requested_size(&mut self) -> Option<(u32, u32)>;
}

impl HostedPlugin {
    fn editor(&mut self) -> Result<&mut dyn EditorHost> {
        self.instance
            .editor()
            .with_context(|| format!("{}: the plugin opens no editor; is there a display?", self.name))
    }

    /// Makes the editor; returns the size of the window that it wants, pixels.
    ///
    /// # Errors
    /// If there is none, or it cannot be resized.
    pub fn create_editor(&mut self) -> Result<(u32, u32)> {
        self.editor()?.create()
    }

    /// Shows the editor in an X11 window, which must stay until [`Self::destroy_editor`].
    ///
    /// # Errors
    /// If the plugin refuses.
    pub fn show_editor(&mut self, window: u32) -> Result<()> {
        self.editor()?.show(window)
    }

    /// Closes the editor.
    ///
    /// # Errors
    /// If there is none.
    pub fn destroy_editor(&mut self) -> Result<()> {
        self.editor()?.destroy()
    }

    /// Gives the editor a size; returns the one that it takes.
    ///
    /// # Errors
    /// If the plugin refuses.
    pub fn resize_editor(&mut self, size: (u32, u32)) -> Result<(u32, u32)> {
        self.editor()?.set_size(size)
    }

    /// The size that the editor has requested since the last call, if any.
    ///
    /// # Errors
    /// If there is no editor.
    pub fn editor_wants(&mut self) -> Result<Option<(u32, u32)>> {
        Ok(self.editor()?.requested_size())
    }
}
