//! Hosts the built bundles as a DAW would and checks what they send. `cargo xtask jam` runs in the same host.

pub mod answers;
pub mod audio_thread;
pub mod bundles;
pub mod busy;
#[cfg(feature = "judging")]
pub mod clip;
#[cfg(feature = "judging")]
pub mod desktop;
#[cfg(feature = "judging")]
pub mod editor_session;
pub mod fake_host;
pub mod hands;
pub mod heard;
pub mod host_clock;
pub mod jam;
pub mod keys;
pub mod live;
pub mod note_checker;
pub mod pace;
#[cfg(feature = "judging")]
pub mod picture;
pub mod rack;
pub mod saved_state;
pub mod script;
pub mod seed_phrases;
pub mod session;
pub mod timeline;

/// If this environment variable is set, tests store pictures and performances instead of comparing them.
pub const BLESS_VARIABLE: &str = "CONTINUO_BLESS";
