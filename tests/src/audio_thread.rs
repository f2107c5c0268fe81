//! An audio thread as a DAW has one: another thread than the one that loads the plugin, with real-time priority.

use std::thread;

use thread_priority::{
    RealtimeThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, set_thread_priority_and_policy,
    thread_native_id,
};

/// What audio servers use: above everything ordinary, below the system's own threads.
const PRIORITY: u8 = 70;

/// What the system made of the thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scheduling {
    /// It comes before every ordinary thread.
    RealTime,
    /// It is a thread like others, as asked or for this reason.
    Ordinary(String),
}

/// Runs `work` on a thread of its own, and waits for it.
///
/// # Panics
/// If `work` does.
pub fn run<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| scope.spawn(work).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
}

/// The same with real-time priority where the system allows it.
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
