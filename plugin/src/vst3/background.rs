//! The end of an instance, and nice-plug's background thread; on the threads that load and drop instances.
//!
//! A parameter that changes in a block makes nice-plug post a task for the editor to a thread that all instances of a class
//! share. Two things there abort the process:
//!
//! - The thread finds a task whose instance is gone, and ends. The last instance to be dropped then fails to tell it to end, and
//!   panics in its destructor.
//! - The thread takes hold of an instance for the length of a task. If the host lets go of it meanwhile, the thread drops it,
//!   and waits for itself to end.
//!
//! So a [`Component`](super::component::Component) first sees every task of its instance done. It posts a [`Fence`] to the same
//! thread, which works in order. The fence belongs to a spare instance, so that the thread holds no other by the time it arrives.
//! The spare is never dropped, and with it the thread is never told to end.

use std::any::TypeId;
use std::cell::Cell;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use nice_plug::prelude::{Params, Vst3Plugin};
use nice_plug::wrapper::vst3::Wrapper;

/// How often a fence is posted before the background thread counts as dead or stuck: its queue may be full for a moment.
const MAX_ATTEMPTS: usize = 100;
/// How long one fence is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// A task for nice-plug's background thread, which says that it has come to it.
pub struct Fence(mpsc::Sender<()>);

impl Fence {
    /// What the background thread does with it.
    pub fn reach(self) {
        // Nobody waits any more if it took too long.
        let _ = self.0.send(());
    }
}

/// Posts a fence to the background thread of a class.
pub(super) type Post = Arc<dyn Fn(Fence) + Send + Sync>;

/// What nice-plug keeps to itself of an instance that it makes.
pub(super) struct Newborn {
    pub(super) params: Arc<dyn Params>,
    post: Post,
}

thread_local! {
    static LISTENING: Cell<bool> = const { Cell::new(false) };
    static NEWBORN: Cell<Option<Newborn>> = const { Cell::new(None) };
}

/// The plugin tells of itself in `Plugin::editor`, which nice-plug calls once for each instance, as it makes it.
pub fn introduce(params: Arc<dyn Params>, post: impl Fn(Fence) + Send + Sync + 'static) {
    if LISTENING.get() {
        NEWBORN.set(Some(Newborn { params, post: Arc::new(post) }));
    }
}

/// nice-plug's object for a new instance, and what the instance tells of itself.
pub(super) fn new_instance<P: Vst3Plugin>() -> (Wrapper<P>, Newborn) {
    LISTENING.set(true);
    let wrapper = Wrapper::new();
    LISTENING.set(false);
    (wrapper, NEWBORN.take().expect("Plugin::editor calls vst3::introduce"))
}

/// Posts fences to the background thread of a class, by way of its spare instance, which is made if there is none.
pub(super) fn post_of<P: Vst3Plugin>() -> Post {
    static SPARES: Mutex<Vec<(TypeId, Post)>> = Mutex::new(Vec::new());
    let mut spares = SPARES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, post)) = spares.iter().find(|(class, _)| *class == TypeId::of::<P>()) {
        return post.clone();
    }
    let (spare, newborn) = new_instance::<P>();
    // Not dropped when the module is left either: the thread may still hold it for a moment after its last fence.
    std::mem::forget(spare);
    spares.push((TypeId::of::<P>(), newborn.post.clone()));
    newborn.post
}

/// Waits until all tasks posted so far are done and their instances let go of. `false` if that cannot be told.
pub(super) fn drain(post: &Post) -> bool {
    for _ in 0..MAX_ATTEMPTS {
        let (sender, receiver) = mpsc::channel();
        post(Fence(sender));
        match receiver.recv_timeout(PATIENCE) {
            Ok(()) => return true,
            Err(mpsc::RecvTimeoutError::Timeout) => return false,
            // Thrown away: the queue is full, or the thread is dead.
            Err(mpsc::RecvTimeoutError::Disconnected) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
    false
}
