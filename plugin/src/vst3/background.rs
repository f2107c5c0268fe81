//! Waits for nice-plug's background thread before an instance is dropped. Runs on the threads that create and drop
//! instances.
//!
//! When a parameter changes in a block, nice-plug posts a task for the editor to a thread that all instances of a class
//! share. Two situations abort the process:
//!
//! - The thread meets a task of a dropped instance, and ends. When the last instance is dropped, it fails to send the
//!   thread the message to end, and panics in its destructor.
//! - The thread keeps an instance alive during a task. If the host releases the instance meanwhile, the thread drops
//!   it, and waits for its own end.
//!
//! Therefore a [`Component`](super::component::Component) waits until all tasks of its instance are done. It posts a
//! [`Fence`] to the same thread, which works in order. The fence belongs to a spare instance, so the thread holds no
//! other instance when it reaches the fence. The spare is never dropped, so the thread never gets the message to end.

use std::any::TypeId;
use std::cell::Cell;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use nice_plug::prelude::{Params, Vst3Plugin};
use nice_plug::wrapper::vst3::Wrapper;

/// How many times to post a fence before the background thread counts as dead. Its queue may be full for a moment.
const MAX_ATTEMPTS: usize = 100;
/// How long to wait for a fence.
const PATIENCE: Duration = Duration::from_secs(1);

/// A task for nice-plug's background thread. It reports that the thread has reached it.
pub struct Fence(mpsc::Sender<()>);

impl Fence {
    /// Reports to the waiting thread. The background thread calls it.
    pub fn reach(self) {
        // Sending fails if the other thread no longer waits.
        let _ = self.0.send(());
    }
}

/// Posts a fence to the background thread of a class.
pub(super) type Post = Arc<dyn Fn(Fence) + Send + Sync>;

/// Access to a new instance that nice-plug's interfaces do not give.
pub(super) struct Newborn {
    pub(super) params: Arc<dyn Params>,
    post: Post,
}

thread_local! {
    static LISTENING: Cell<bool> = const { Cell::new(false) };
    static NEWBORN: Cell<Option<Newborn>> = const { Cell::new(None) };
}

/// Registers a new instance for [`new_instance`]. Called in `Plugin::editor`, which nice-plug calls once as it creates
/// an instance.
pub fn introduce(params: Arc<dyn Params>, post: impl Fn(Fence) + Send + Sync + 'static) {
    if LISTENING.get() {
        NEWBORN.set(Some(Newborn { params, post: Arc::new(post) }));
    }
}

/// Creates an instance.
pub(super) fn new_instance<P: Vst3Plugin>() -> (Wrapper<P>, Newborn) {
    LISTENING.set(true);
    let wrapper = Wrapper::new();
    LISTENING.set(false);
    (wrapper, NEWBORN.take().expect("Plugin::editor calls vst3::introduce"))
}

/// Posts fences to the background thread of a class through its spare instance, which the first call creates.
pub(super) fn post_of<P: Vst3Plugin>() -> Post {
    static SPARES: Mutex<Vec<(TypeId, Post)>> = Mutex::new(Vec::new());
    let mut spares = SPARES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, post)) = spares.iter().find(|(class, _)| *class == TypeId::of::<P>()) {
        return post.clone();
    }
    let (spare, newborn) = new_instance::<P>();
    // Never dropped, not even when the host unloads the module: the thread may still use it shortly after the last
    // fence.
    std::mem::forget(spare);
    spares.push((TypeId::of::<P>(), newborn.post.clone()));
    newborn.post
}

/// Waits until all tasks posted so far are done and their instances released. `false` if the thread does not respond.
pub(super) fn drain(post: &Post) -> bool {
    for _ in 0..MAX_ATTEMPTS {
        let (sender, receiver) = mpsc::channel();
        post(Fence(sender));
        match receiver.recv_timeout(PATIENCE) {
            Ok(()) => return true,
            Err(mpsc::RecvTimeoutError::Timeout) => return false,
            // nice-plug dropped the fence: the queue is full, or the thread is dead.
            Err(mpsc::RecvTimeoutError::Disconnected) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
    false
}
