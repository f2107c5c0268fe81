//! Starts an audio thread like a DAW's: separate from the thread that loads the plugin, at real-time priority.

use std::fmt::{self, Display, Formatter};
use std::thread;

use thread_priority::{
    RealtimeThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, set_thread_priority_and_policy,
    thread_native_id,
};

/// The priority that audio servers use: above ordinary threads, below the system's own.
const PRIORITY: u8 = 70;

/// How the system schedules the thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scheduling {
    /// Before every ordinary thread.
    RealTime,
    /// Like any other thread, for this reason.
    Ordinary(String),
}

impl Display for Scheduling {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::RealTime => f.write_str("with real-time priority"),
            Self::Ordinary(why) => write!(f, "of ordinary priority ({why})"),
        }
    }
}

/// Runs `work` on a new thread and waits for it.
///
/// # Panics
/// If `work` does.
pub fn run<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| scope.spawn(work).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
}

/// Like [`run`], at real-time priority if the system allows it.
///
/// # Panics
/// If `work` does.
pub fn run_in_real_time<T: Send>(work: impl FnOnce(Scheduling) -> T + Send) -> T {
    run(|| work(take_priority()))
}

fn take_priority() -> Scheduling {
    let Ok(priority) = PRIORITY.try_into() else { return Scheduling::Ordinary(format!("priority {PRIORITY}")) };
    let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
    match set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Crossplatform(priority), policy) {
        Ok(()) => Scheduling::RealTime,
        Err(error) => Scheduling::Ordinary(format!("{error:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_another_thread() {
        let here = thread::current().id();
        assert_ne!(run(|| thread::current().id()), here);
        let (there, _) = run_in_real_time(|scheduling| (thread::current().id(), scheduling));
        assert_ne!(there, here);
    }
}
