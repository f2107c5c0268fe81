//! What a CLAP plugin may call on the host, and the role of the thread that runs just now; called from any thread.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use clack_extensions::gui::HostGui;
use clack_extensions::params::{
    HostParams, HostParamsImplMainThread, HostParamsImplShared, ParamClearFlags, ParamRescanFlags,
};
use clack_extensions::thread_check::{HostThreadCheck, HostThreadCheckImpl};
use clack_host::prelude::*;

thread_local! {
    /// What CLAP calls the current thread just now. A plugin's own threads see `None` and so must ask for callbacks.
    static ROLE: Cell<Option<Role>> = const { Cell::new(None) };
}

/// What CLAP calls a thread.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Role {
    Main,
    Audio,
}

/// Makes a call in a role; the role the thread had before comes back.
pub(super) fn in_role<T>(role: Role, call: impl FnOnce() -> T) -> T {
    let outer = ROLE.replace(Some(role));
    let result = call();
    ROLE.set(outer);
    result
}

/// What the plugin may call from any thread.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) callback_requested: AtomicBool,
    pub(super) flush_requested: AtomicBool,
    /// Width and height in 32 bits each, or 0.
    pub(super) requested_size: AtomicU64,
}

impl SharedHandler<'_> for Shared {
    fn request_restart(&self) {}
    fn request_process(&self) {}
    fn request_callback(&self) {
        self.callback_requested.store(true, Ordering::Release);
    }
}

impl HostParamsImplShared for Shared {
    fn request_flush(&self) {
        self.flush_requested.store(true, Ordering::Release);
    }
}

impl HostThreadCheckImpl for Shared {
    fn is_main_thread(&self) -> bool {
        ROLE.get() == Some(Role::Main)
    }
    fn is_audio_thread(&self) -> bool {
        ROLE.get() == Some(Role::Audio)
    }
}

/// What the plugin may call on the main thread: nothing that this host acts on.
pub(super) struct MainThread;

impl MainThreadHandler<'_> for MainThread {}

impl HostParamsImplMainThread for MainThread {
    fn rescan(&self, _flags: ParamRescanFlags) {}
    fn clear(&self, _param_id: ClapId, _flags: ParamClearFlags) {}
}

/// The host as clack sees it.
pub(super) struct Host;

impl HostHandlers for Host {
    type Shared<'a> = Shared;
    type MainThread<'a> = MainThread;
    type AudioProcessor<'a> = ();

    fn declare_extensions(builder: &mut HostExtensions<Self>, _shared: &Self::Shared<'_>) {
        builder.register::<HostParams>().register::<HostThreadCheck>().register::<HostGui>();
    }
}
