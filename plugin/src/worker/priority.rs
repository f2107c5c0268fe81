//! The priority of the worker's thread: that of audio threads, as a block may wait for it. Worker.

use thread_priority::ThreadPriority;
#[cfg(not(unix))]
use thread_priority::set_current_thread_priority;

/// Of the real-time priorities, 1 to 99: that of the clients of an audio server, below most hosts' own audio threads.
#[cfg(unix)]
const REAL_TIME: u8 = 5;

/// The middle of the scale that the crate lays over ordinary priorities.
#[cfg(unix)]
const ORDINARY: i32 = 50;

/// Raises the current thread's priority.
///
/// # Errors
/// What the system says where it does not allow that, and what to do.
#[cfg(unix)]
pub fn raise() -> Result<(), String> {
    use thread_priority::{
        RealtimeThreadSchedulePolicy, ThreadSchedulePolicy, set_thread_priority_and_policy, thread_native_id,
    };
    let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::RoundRobin);
    let priority = ThreadPriority::from_posix(thread_priority::ScheduleParams { sched_priority: REAL_TIME.into() });
    set_thread_priority_and_policy(thread_native_id(), priority, policy).map_err(|_| {
        "The system does not allow real-time priority: answers may be late on a busy machine. On Linux, join the group `audio`.".into()
    })
}

/// The same on Windows.
#[cfg(not(unix))]
pub fn raise() -> Result<(), String> {
    set_current_thread_priority(ThreadPriority::Max)
        .map_err(|_| "The system does not allow a high priority: answers may be late on a busy machine.".into())
}

/// Gives the current thread an ordinary priority: a thread begins with that of the one that has started it.
pub fn lower() {
    #[cfg(unix)]
    {
        use thread_priority::{
            NormalThreadSchedulePolicy, ThreadSchedulePolicy, set_thread_priority_and_policy, thread_native_id,
        };
        let policy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Other);
        // A thread that stays at the higher priority does its work all the same.
        let priority = ThreadPriority::from_posix(thread_priority::ScheduleParams { sched_priority: ORDINARY });
        let _ = set_thread_priority_and_policy(thread_native_id(), priority, policy);
    }
    #[cfg(not(unix))]
    let _ = set_current_thread_priority(ThreadPriority::from(thread_priority::WinAPIThreadPriority::Normal));
}
