//! VST3: a thin object of our own around nice-plug's, which repairs what nice-plug 0.4.2 gets wrong. Entry points, and the map.
//!
//! nice-plug's `Wrapper<P>` implements VST3's interfaces as plain Rust traits. [`component::Component`] holds one, implements the
//! same interfaces, passes most calls on ([`passed_on`]) and does these itself:
//!
//! - the process mode, of the setup and of each block ([`component`], [`block_is_offline`]);
//! - parameters that the host sets while it runs no block ([`edits`]);
//! - the end of an instance whose tasks still wait in nice-plug's background thread ([`background`]);
//! - SysEx, and what comes in a block of 0 samples ([`events`], [`controllers`]);
//! - the names of MIDI parameters, blocks without audio buffers, a start without `setProcessing` ([`component`]).

mod background;
mod component;
mod controllers;
mod edits;
mod events;
mod factory;
mod passed_on;

#[cfg(test)]
mod tests;

use std::cell::Cell;

pub use background::{Fence, introduce};

thread_local! {
    static BLOCK_IS_OFFLINE: Cell<bool> = const { Cell::new(false) };
}

/// Whether the host declares the block that this thread processes just now offline. Some hosts say so there alone.
pub fn block_is_offline() -> bool {
    BLOCK_IS_OFFLINE.get()
}
