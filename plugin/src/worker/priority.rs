//! The priority of the worker's thread. It is a real-time priority, as the audio thread may wait for the worker.
//! Worker.

use thread_priority::ThreadPriority;
#[cfg(not(unix))]
use thread_priority::set_current_thread_priority;

/// A real-time priority (1 to 99) that clients of audio servers use, below the audio threads of most hosts.
#[cfg(unix)]
const REAL_TIME: u8 = 5;

/// The middle of the crate's scale of ordinary priorities.
#[cfg(unix)]
const ORDINARY: i32 = 50;

/// Raises the current thread's priority.
///
/// # Errors
/// If the system does not allow it: a text that tells the player what follows and what to do.
#[cfg(unix)]
pub fn raise() -> Result<(), String> {
    use thread_priority::{
        RealtimeThreadSchedulePolicy, ThreadSchedulePolicy, set_thread_priority_and_policy, thread_native_id,
    };
    let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::RoundRobin);
    let priority = ThreadPriority::from_posix(thread_priority::ScheduleParams { sched_priority: REAL_TIME.into() });
    set_thread_priority_and_policy(thread_native_id(), priority, policy).map_err(|_| {
        "The system does not allow real-time priority: answers may be late on a busy machine. On Linux, join the \
         group `audio`."
            .into()
    })
}

/// Raises the current thread's priority.
///
/// # Errors
/// If the system does not allow it: a text that tells the player what follows.
#[cfg(not(unix))]
pub fn raise() -> Result<(), String> {
    set_current_thread_priority(ThreadPriority::Max)
        .map_err(|_| "The system does not allow a high priority: answers may be late on a busy machine.".into())
}

/// Gives the current thread an ordinary priority. A new thread has the priority of the thread that started it.
pub fn lower() {
    #[cfg(unix)]
    {
        use thread_priority::{
            NormalThreadSchedulePolicy, ThreadSchedulePolicy, set_thread_priority_and_policy, thread_native_id,
        };
        let policy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Other);
        // If this fails, the thread works at the higher priority.
        let priority = ThreadPriority::from_posix(thread_priority::ScheduleParams { sched_priority: ORDINARY });
        let _ = set_thread_priority_and_policy(thread_native_id(), priority, policy);
    }
    #[cfg(not(unix))]
    let _ = set_current_thread_priority(ThreadPriority::from(thread_priority::WinAPIThreadPriority::Normal));
}
