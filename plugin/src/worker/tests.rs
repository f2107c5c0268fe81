//! The worker without its thread.
