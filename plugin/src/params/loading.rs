//! Completes a state before it is loaded, so that the result does not depend on earlier settings. Host's main thread.

use std::collections::BTreeMap;

use nice_plug::plugin::ParamValue;
use nice_plug::prelude::*;

use super::{ContinuoParams, Swing};

/// The ids of the buttons.
const BUTTONS: [&str; 3] = ["panic", "cadenc", "end"];
/// Parameters that differ from their default in a state from before they existed, so that it plays as it did: Dynamics
/// and Humanise at 0, Swing off.
const BEFORE: [(&str, ParamValue); 3] =
    [("dynmcs", ParamValue::F32(0.0)), ("human", ParamValue::F32(0.0)), ("swing", ParamValue::I32(Swing::Off as i32))];

impl ContinuoParams {
    /// Adds parameters that the state lacks, with their defaults (or as in [`BEFORE`]); otherwise they would keep their
    /// current values. Releases buttons, which version 0.1.0 saved as pressed.
    pub fn complete(state: &mut PluginState) {
        for (id, value) in BEFORE {
            state.params.entry(id.into()).or_insert(value);
        }
        for (id, value) in Self::defaults() {
            let saved = state.params.entry(id.clone()).or_insert(value);
            if BUTTONS.contains(&id.as_str()) {
                *saved = ParamValue::Bool(false);
            }
        }
    }

    fn defaults() -> BTreeMap<String, ParamValue> {
        let params = Self::default();
        // SAFETY: `params` outlives the pointers.
        let value = |param| unsafe {
            match param {
                ParamPtr::FloatParam(param) => ParamValue::F32((*param).default_plain_value()),
                ParamPtr::IntParam(param) => ParamValue::I32((*param).default_plain_value()),
                ParamPtr::BoolParam(param) => ParamValue::Bool((*param).default_plain_value()),
                ParamPtr::EnumParam(param) => ParamValue::I32((*param).default_plain_value()),
            }
        };
        params.param_map().into_iter().map(|(id, param, _)| (id, value(param))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_completed_state_holds_every_parameter() {
        let params = [("temp".to_string(), ParamValue::F32(0.9)), ("panic".to_string(), ParamValue::Bool(true))];
        let mut state = PluginState { version: "0.1.0".into(), params: params.into(), fields: BTreeMap::new() };
        ContinuoParams::complete(&mut state);
        let value = |id: &str| format!("{:?}", state.params[id]);
        assert_eq!(
            ["temp", "panic", "hrto", "strict", "frz_4", "end", "phrase"].map(value),
            ["F32(0.9)", "Bool(false)", "I32(127)", "Bool(true)", "Bool(false)", "Bool(false)", "I32(0)"]
        );
        // A project from before there was expression plays without it.
        assert_eq!(["dynmcs", "human", "swing", "swamt"].map(value), ["F32(0.0)", "F32(0.0)", "I32(1)", "F32(0.67)"]);
        assert_eq!(state.params.len(), ContinuoParams::default().param_map().len());
    }

    #[test]
    fn a_button_acts_at_each_press_and_is_never_left_on() {
        let params = ContinuoParams::default();
        let (_, panic, _) = params.param_map().into_iter().find(|(id, ..)| id == "panic").unwrap();
        assert!(!params.take_panic());
        for _ in 0..3 {
            // SAFETY: `params` is alive.
            unsafe { panic._internal_set_normalized_value(1.0) };
            assert!(!params.panic.value() && !params.panic.unmodulated_plain_value());
            assert!(params.take_panic() && !params.take_panic() && !params.take_cadence());
        }
        // SAFETY: as above.
        unsafe { panic._internal_set_normalized_value(0.0) };
        assert!(!params.take_panic());
    }
}
