//! Parameters that the host sets outside of blocks while it says that it processes; on its main thread, beside the audio thread.
//!
//! nice-plug leaves such a change to the next block, which brings it too. If none comes (the host's engine is idle), it would be
//! missing from the saved state. Here it waits, is shown, and is stored when the state is saved or processing ends, unless a
//! block has begun since: then the block's values count. The audio thread takes no lock for it, it counts its blocks.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nice_plug::prelude::{ParamPtr, Params};
use nice_plug::wrapper::vst3::vst3::ComRef;
use nice_plug::wrapper::vst3::vst3::Steinberg::Vst::{
    IParamValueQueueTrait, IParameterChanges, IParameterChangesTrait, ParamID,
};
use nice_plug::wrapper::vst3::vst3::Steinberg::kResultOk;

/// A parameter and the bits of the last value that a block brought since the host last set it; NaN for none.
struct Param {
    pointer: ParamPtr,
    from_block: AtomicU64,
}

/// What the host has set and no block has brought yet.
pub(super) struct Edits {
    by_id: HashMap<ParamID, Param>,
    /// Keeps what the pointers point to.
    _params: Arc<dyn Params>,
    processing: AtomicBool,
    /// Blocks begun.
    num_blocks: AtomicU64,
    /// (value, blocks begun by then)
    waiting: Mutex<HashMap<ParamID, (f64, u64)>>,
}

impl Edits {
    /// `ids` are those of the parameters in their order.
    pub(super) fn new(params: Arc<dyn Params>, ids: impl Iterator<Item = ParamID>) -> Self {
        let param = |pointer| Param { pointer, from_block: AtomicU64::new(f64::NAN.to_bits()) };
        let by_id = ids.zip(params.param_map()).map(|(id, (_, pointer, _))| (id, param(pointer))).collect();
        Self {
            by_id,
            _params: params,
            processing: AtomicBool::new(false),
            num_blocks: AtomicU64::new(0),
            waiting: Mutex::default(),
        }
    }

    /// Whether the host says that it processes.
    pub(super) fn is_processing(&self) -> bool {
        self.processing.load(Ordering::SeqCst)
    }

    /// Takes down what the host says.
    pub(super) fn set_processing(&self, processing: bool) {
        self.processing.store(processing, Ordering::SeqCst);
    }

    /// The host sets a parameter.
    pub(super) fn set(&self, id: ParamID, value: f64) {
        if let Some(param) = self.by_id.get(&id)
            && self.is_processing()
            && value.is_finite()
        {
            param.from_block.store(f64::NAN.to_bits(), Ordering::SeqCst);
            let num_blocks = self.num_blocks.load(Ordering::SeqCst);
            self.waiting().insert(id, (value, num_blocks));
        }
    }

    /// The value that waits for a block, if no block has begun since.
    pub(super) fn waiting_value(&self, id: ParamID) -> Option<f64> {
        let (value, at) = *self.waiting().get(&id)?;
        (at == self.num_blocks.load(Ordering::SeqCst)).then_some(value)
    }

    /// Forgets what waits: a state is loaded.
    pub(super) fn clear(&self) {
        self.waiting().clear();
    }

    /// Stores what waits.
    pub(super) fn apply(&self) {
        for (id, (value, at)) in self.waiting().drain() {
            if let Some(param) = self.by_id.get(&id)
                && at == self.num_blocks.load(Ordering::SeqCst)
            {
                self.store(param, value, at);
            }
        }
    }

    fn store(&self, param: &Param, value: f64, at: u64) {
        let set = |value: f64| {
            // SAFETY: `_params` keeps the parameter; its value is an atomic.
            unsafe { param.pointer._internal_set_normalized_value(value as f32) };
        };
        set(value);
        // A block that has begun meanwhile may have brought a later value, and been overtaken by this older one.
        let mut seen = at;
        loop {
            fence(Ordering::SeqCst);
            let num_blocks = self.num_blocks.load(Ordering::SeqCst);
            if num_blocks == seen {
                return;
            }
            seen = num_blocks;
            let later = f64::from_bits(param.from_block.load(Ordering::SeqCst));
            if !later.is_nan() {
                set(later);
            }
        }
    }

    /// The audio thread begins a block with these changes.
    ///
    /// # Safety
    /// `changes` is null or a list that the host keeps for the length of the call.
    pub(super) unsafe fn begin_block(&self, changes: *mut IParameterChanges) {
        let keep = |id, value: f64| {
            if let Some(param) = self.by_id.get(&id) {
                param.from_block.store(value.to_bits(), Ordering::SeqCst);
            }
        };
        // SAFETY: as the caller promises.
        unsafe { last_values(changes, keep) };
        self.num_blocks.fetch_add(1, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }

    /// Never taken by the audio thread.
    fn waiting(&self) -> MutexGuard<'_, HashMap<ParamID, (f64, u64)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives each parameter that a block changes with its last value.
///
/// # Safety
/// `changes` is null or a list that the host keeps for the length of the call.
pub(super) unsafe fn last_values(changes: *mut IParameterChanges, mut each: impl FnMut(ParamID, f64)) {
    // SAFETY: as the caller promises; the queues belong to the list.
    unsafe {
        let Some(changes) = ComRef::from_raw(changes) else { return };
        for index in 0..changes.getParameterCount() {
            let Some(queue) = ComRef::from_raw(changes.getParameterData(index)) else { continue };
            let (mut offset, mut value) = (0, 0.0);
            let last = queue.getPointCount() - 1;
            if last >= 0 && queue.getPoint(last, &mut offset, &mut value) == kResultOk {
                each(queue.getParameterId(), value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::ContinuoParams;

    /// What a block has brought wins over what was set before it, however late that is stored.
    #[test]
    fn a_value_that_is_stored_too_late_gives_way_to_a_blocks() {
        let params: Arc<ContinuoParams> = Arc::default();
        let edits = Edits::new(params.clone(), 0..);
        edits.set_processing(true);
        let (id, pointer) = (10, params.param_map()[10].1);
        // SAFETY: `params` keeps the parameter.
        let value = || unsafe { pointer.unmodulated_normalized_value() };
        // As if a block had begun between the look at the count and the store, and brought a value.
        edits.set(id, 0.25);
        let at = edits.num_blocks.load(Ordering::SeqCst);
        edits.by_id[&id].from_block.store(0.75_f64.to_bits(), Ordering::SeqCst);
        edits.num_blocks.fetch_add(1, Ordering::SeqCst);
        edits.store(&edits.by_id[&id], 0.25, at);
        assert!((value() - 0.75).abs() < 1e-3, "{}", value());
        // As if that block had brought nothing for it.
        edits.set(id, 0.25);
        let at = edits.num_blocks.load(Ordering::SeqCst);
        edits.num_blocks.fetch_add(1, Ordering::SeqCst);
        edits.store(&edits.by_id[&id], 0.25, at);
        assert!((value() - 0.25).abs() < 1e-3, "{}", value());
    }
}
