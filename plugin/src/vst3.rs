//! VST3: a thin object around nice-plug's, which corrects nice-plug 0.4.2.
//!
//! nice-plug's `Wrapper<P>` implements VST3's interfaces as plain Rust traits. [`component::Component`] owns one,
//! implements the same interfaces, forwards most calls ([`forwarding`]) and handles these itself:
//!
//! - the process mode, of the setup and of each block ([`component`], [`block_is_offline`]);
//! - parameters that the host sets between blocks ([`edits`]);
//! - the end of an instance with tasks in nice-plug's background thread ([`background`]);
//! - SysEx, and the events and controllers of a block of 0 samples ([`events`], [`controllers`]);
//! - the names of MIDI parameters, blocks without audio buffers, a start without `setProcessing` ([`component`]).
//!
//! [`factory`] has the library's entry points.

mod background;
mod component;
mod controllers;
mod edits;
mod events;
mod factory;
mod forwarding;

#[cfg(test)]
mod tests;

use std::cell::Cell;

pub use background::{Fence, introduce};

thread_local! {
    static BLOCK_IS_OFFLINE: Cell<bool> = const { Cell::new(false) };
}

/// Whether the host declares the current block of this thread offline. Some hosts declare an export only there.
pub fn block_is_offline() -> bool {
    BLOCK_IS_OFFLINE.get()
}
