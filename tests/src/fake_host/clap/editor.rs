//! The plugin's editor in a window of the host's, in CLAP, on X11; called in the role of the main thread.

use std::sync::atomic::Ordering;

use anyhow::{Context, Result, ensure};
use clack_extensions::gui::{GuiApiType, GuiConfiguration, GuiSize, HostGuiImpl, PluginGui, Window};
use clack_host::prelude::*;

use super::super::editor::EditorHost;
use super::ClapInstance;
use super::handlers::{Role, Shared, in_role};

impl HostGuiImpl for Shared {
    fn resize_hints_changed(&self) {}

    fn request_resize(&self, size: GuiSize) -> Result<(), HostError> {
        let both = u64::from(size.width) << 32 | u64::from(size.height);
        self.requested_size.store(both, Ordering::Release);
        Ok(())
    }

    fn request_show(&self) -> Result<(), HostError> {
        Ok(())
    }

    fn request_hide(&self) -> Result<(), HostError> {
        Ok(())
    }

    fn closed(&self, _was_destroyed: bool) {}
}

impl ClapInstance {
    fn gui(&mut self) -> Result<PluginGui> {
        self.instance.get_mut().plugin_handle().get_extension().context("expected an editor, got none")
    }
}

impl EditorHost for ClapInstance {
    fn create(&mut self) -> Result<(u32, u32)> {
        let gui = self.gui()?;
        let handle = self.instance.get_mut().plugin_handle();
        in_role(Role::Main, || {
            gui.create(&handle, GuiConfiguration { api_type: GuiApiType::X11, is_floating: false })?;
            let size = gui.get_size(&handle).context("expected a size, got none")?;
            let hints = gui.get_resize_hints(&handle).context("expected resize hints, got none")?;
            ensure!(
                gui.can_resize(&handle) && hints.can_resize_horizontally && hints.can_resize_vertically,
                "expected an editor that can be resized both ways, got {hints:?}"
            );
            Ok((size.width, size.height))
        })
    }

    fn show(&mut self, window: u32) -> Result<()> {
        let gui = self.gui()?;
        let handle = self.instance.get_mut().plugin_handle();
        in_role(Role::Main, || {
            // SAFETY: whoever opened the window keeps it until the editor is closed.
            unsafe { gui.set_parent(&handle, Window::from_x11_handle(window.into())) }?;
            Ok(gui.show(&handle)?)
        })
    }

    fn destroy(&mut self) -> Result<()> {
        let gui = self.gui()?;
        let handle = self.instance.get_mut().plugin_handle();
        in_role(Role::Main, || gui.destroy(&handle));
        Ok(())
    }

    fn set_size(&mut self, (width, height): (u32, u32)) -> Result<(u32, u32)> {
        let gui = self.gui()?;
        let handle = self.instance.get_mut().plugin_handle();
        in_role(Role::Main, || {
            let wanted = GuiSize { width, height };
            let size = gui.adjust_size(&handle, wanted).context("expected a size that it can take, got none")?;
            gui.set_size(&handle, size)?;
            Ok((size.width, size.height))
        })
    }

    fn requested_size(&mut self) -> Option<(u32, u32)> {
        let instance = self.instance.get_mut();
        let both = instance.access_shared_handler(|shared| shared.requested_size.swap(0, Ordering::AcqRel));
        (both != 0).then_some(((both >> 32) as u32, both as u32))
    }
}
