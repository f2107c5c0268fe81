//! The plugin's editor in a window of the host's, in VST3, on X11; called on the thread that loaded the plugin.

use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};
use vst3::Steinberg::Linux::{
    FileDescriptor, IEventHandler, IEventHandlerTrait, IRunLoop, IRunLoopTrait, ITimerHandler, TimerInterval,
};
use vst3::Steinberg::Vst::IEditControllerTrait;
use vst3::Steinberg::{
    IPlugFrame, IPlugFrameTrait, IPlugView, IPlugViewTrait, ViewRect, kInvalidArgument, kNotImplemented,
    kPlatformTypeX11EmbedWindowID, kResultOk, tresult,
};
use vst3::{Class, ComPtr, ComRef, ComWrapper};

use super::super::editor::EditorHost;
use super::{Vst3Instance, expect_ok};

/// The host's window, and its loop, in which the plugin has its work done.
#[derive(Default)]
pub(super) struct Frame {
    /// Width and height in 32 bits each, or 0.
    requested_size: AtomicU64,
    handlers: Mutex<Vec<(ComPtr<IEventHandler>, FileDescriptor)>>,
}

impl Class for Frame {
    type Interfaces = (IPlugFrame, IRunLoop);
}

impl IPlugFrameTrait for Frame {
    unsafe fn resizeView(&self, _view: *mut IPlugView, size: *mut ViewRect) -> tresult {
        if size.is_null() {
            return kInvalidArgument;
        }
        // SAFETY: checked above; the plugin gives a whole rectangle.
        let (width, height) = unsafe { ((*size).right - (*size).left, (*size).bottom - (*size).top) };
        let both = (width as u64) << 32 | height as u64;
        self.requested_size.store(both, Ordering::Release);
        kResultOk
    }
}

impl IRunLoopTrait for Frame {
    unsafe fn registerEventHandler(&self, handler: *mut IEventHandler, fd: FileDescriptor) -> tresult {
        // SAFETY: the plugin hands over an object of its own, of which we take a reference.
        let Some(handler) = (unsafe { ComRef::from_raw(handler) }) else { return kInvalidArgument };
        self.handlers.lock().expect("no panic in a list").push((handler.to_com_ptr(), fd));
        kResultOk
    }

    unsafe fn unregisterEventHandler(&self, handler: *mut IEventHandler) -> tresult {
        self.handlers.lock().expect("no panic in a list").retain(|(known, _)| known.as_ptr() != handler);
        kResultOk
    }

    unsafe fn registerTimer(&self, _handler: *mut ITimerHandler, _milliseconds: TimerInterval) -> tresult {
        kNotImplemented
    }

    unsafe fn unregisterTimer(&self, _handler: *mut ITimerHandler) -> tresult {
        kNotImplemented
    }
}

impl Frame {
    /// One turn of the loop. It calls every handler without polling its file, as the plugin's does not block.
    fn turn(&self) {
        let handlers = self.handlers.lock().expect("no panic in a list").clone();
        for (handler, fd) in handlers {
            // SAFETY: the handler is registered, and this is the thread of the loop.
            unsafe { handler.onFDIsSet(fd) };
        }
    }
}

/// An editor that has been made.
pub(super) struct View {
    view: ComPtr<IPlugView>,
    frame: ComWrapper<Frame>,
    is_attached: bool,
}

impl View {
    /// Runs the handlers that the plugin has registered, on this thread.
    pub(super) fn turn(&self) {
        self.frame.turn();
    }
}

impl Vst3Instance {
    fn view(&mut self) -> Result<&mut View> {
        self.view.as_mut().context("expected an editor that has been made, got none")
    }
}

impl EditorHost for Vst3Instance {
    fn create(&mut self) -> Result<(u32, u32)> {
        // SAFETY: the controller is initialised; what it makes is ours.
        let view = unsafe { ComPtr::from_raw(self.controller.createView(c"editor".as_ptr())) };
        let view = view.context("expected an editor, got none")?;
        let frame = ComWrapper::new(Frame::default());
        let pointer = frame.to_com_ptr::<IPlugFrame>().context("our own object")?;
        let mut size = ViewRect { left: 0, top: 0, right: 0, bottom: 0 };
        // SAFETY: the plugin takes its own reference to the frame; `size` outlives the call.
        unsafe {
            expect_ok("IPlugView::setFrame", view.setFrame(pointer.as_ptr()))?;
            expect_ok("IPlugView::canResize", view.canResize())?;
            expect_ok("IPlugView::getSize", view.getSize(&mut size))?;
        }
        self.view = Some(View { view, frame, is_attached: false });
        Ok(((size.right - size.left) as u32, (size.bottom - size.top) as u32))
    }

    fn show(&mut self, window: u32) -> Result<()> {
        let view = self.view()?;
        // SAFETY: on X11 a parent is a window's number; the caller keeps the window until the editor is closed.
        let result = unsafe { view.view.attached(window as usize as *mut c_void, kPlatformTypeX11EmbedWindowID) };
        expect_ok("IPlugView::attached", result)?;
        view.is_attached = true;
        Ok(())
    }

    fn destroy(&mut self) -> Result<()> {
        let view = self.view.take().context("expected an editor that has been made, got none")?;
        // SAFETY: the calls come in the order that VST3 demands.
        unsafe {
            if view.is_attached {
                expect_ok("IPlugView::removed", view.view.removed())?;
            }
            expect_ok("IPlugView::setFrame", view.view.setFrame(null_mut()))
        }
    }

    fn set_size(&mut self, (width, height): (u32, u32)) -> Result<(u32, u32)> {
        let view = self.view()?;
        let mut size = ViewRect { left: 0, top: 0, right: width as i32, bottom: height as i32 };
        // SAFETY: `size` outlives the calls. The result of the constraint only reports whether it changed the size.
        unsafe {
            view.view.checkSizeConstraint(&mut size);
            expect_ok("IPlugView::onSize", view.view.onSize(&mut size))?;
        }
        Ok(((size.right - size.left) as u32, (size.bottom - size.top) as u32))
    }

    fn requested_size(&mut self) -> Option<(u32, u32)> {
        let both = self.view.as_ref()?.frame.requested_size.swap(0, Ordering::AcqRel);
        (both != 0).then_some(((both >> 32) as u32, both as u32))
    }
}
