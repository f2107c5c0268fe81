//! Hosts the built bundles as a DAW would, and judges what comes out of them. Also the host that `cargo xtask jam` plays in.

pub mod audio_thread;
pub mod bundles;
pub mod clip;
pub mod desktop;
pub mod editor_session;
pub mod fake_host;
pub mod hands;
pub mod heard;
pub mod jam;
pub mod live;
pub mod note_checker;
pub mod picture;
pub mod rack;
pub mod script;
pub mod seed_phrases;
pub mod session;
pub mod timeline;
