//! Parameters that the host sets between blocks while it claims to process. The host's main thread sets them while the
//! audio thread may run.
//!
//! nice-plug ignores such a change, as the next block brings it too. If no block comes, because the host's engine is
//! idle, the saved state would lack the change. So it waits here: the host sees it at once, and it is stored when the
//! state is saved or when processing ends. If a block has begun since, the block's values count. The audio thread takes
//! no lock, it only counts its blocks.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nice_plug::prelude::{ParamPtr, Params};
use nice_plug::wrapper::vst3::vst3::ComRef;
use nice_plug::wrapper::vst3::vst3::Steinberg::Vst::{
    IParamValueQueueTrait, IParameterChanges, IParameterChangesTrait, ParamID,
};
use nice_plug::wrapper::vst3::vst3::Steinberg::kResultOk;

/// A parameter.
struct Param {
    pointer: ParamPtr,
    /// The bits of the last value from a block since the host last set the parameter; NaN if there is none.
    from_block: AtomicU64,
}

/// The values that the host has set between blocks.
pub(super) struct Edits {
    by_id: HashMap<ParamID, Param>,
    /// Owns the parameters that the pointers point to.
    _params: Arc<dyn Params>,
    processing: AtomicBool,
    /// The number of blocks begun.
    num_blocks: AtomicU64,
    /// By parameter: the value, and `num_blocks` when the host set it.
    waiting: Mutex<HashMap<ParamID, (f64, u64)>>,
}

impl Edits {
    /// No values wait. `ids` are the ids of `params` in the same order.
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

    /// Whether the host claims to process.
    pub(super) fn is_processing(&self) -> bool {
        self.processing.load(Ordering::SeqCst)
    }

    /// Stores whether the host claims to process.
    pub(super) fn set_processing(&self, processing: bool) {
        self.processing.store(processing, Ordering::SeqCst);
    }

    /// Stores a value that the host sets.
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

    /// The waiting value of a parameter, if no block has begun since the host set it.
    pub(super) fn waiting_value(&self, id: ParamID) -> Option<f64> {
        let (value, at) = *self.waiting().get(&id)?;
        (at == self.num_blocks.load(Ordering::SeqCst)).then_some(value)
    }

    /// Discards waiting values, because a state is loaded.
    pub(super) fn clear(&self) {
        self.waiting().clear();
    }

    /// Stores waiting values in the parameters.
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
            // SAFETY: `_params` owns the parameter; its value is an atomic.
            unsafe { param.pointer._internal_set_normalized_value(value as f32) };
        };
        set(value);
        // A block that has begun meanwhile may have set a later value, which this call has just overwritten.
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

    /// Begins a block with these changes. The audio thread calls it.
    ///
    /// # Safety
    /// `changes` is null, or valid during the call.
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

    /// Locks the waiting values. The audio thread must not call it.
    fn waiting(&self) -> MutexGuard<'_, HashMap<ParamID, (f64, u64)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Calls `each` with every parameter that a block changes, and its last value.
///
/// # Safety
/// `changes` is null, or valid during the call.
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

    #[test]
    fn a_block_s_value_wins_over_an_earlier_one_that_is_stored_later() {
        let params: Arc<ContinuoParams> = Arc::default();
        let edits = Edits::new(params.clone(), 0..);
        edits.set_processing(true);
        let (id, pointer) = (10, params.param_map()[10].1);
        // SAFETY: `params` owns the parameter.
        let value = || unsafe { pointer.unmodulated_normalized_value() };
        // A block begins after the count is read and before the value is stored. It brings a value.
        edits.set(id, 0.25);
        let at = edits.num_blocks.load(Ordering::SeqCst);
        edits.by_id[&id].from_block.store(0.75_f64.to_bits(), Ordering::SeqCst);
        edits.num_blocks.fetch_add(1, Ordering::SeqCst);
        edits.store(&edits.by_id[&id], 0.25, at);
        assert!((value() - 0.75).abs() < 1e-3, "{}", value());
        // The same, but the block brings no value for this parameter.
        edits.set(id, 0.25);
        let at = edits.num_blocks.load(Ordering::SeqCst);
        edits.num_blocks.fetch_add(1, Ordering::SeqCst);
        edits.store(&edits.by_id[&id], 0.25, at);
        assert!((value() - 0.25).abs() < 1e-3, "{}", value());
    }
}
