//! Reads the parameters of a VST3 controller, on the thread that loads the plugin.

use vst3::ComPtr;
use vst3::Steinberg::Vst::ParameterInfo_::ParameterFlags_::{kCanAutomate, kIsHidden};
use vst3::Steinberg::Vst::{IEditController, IEditControllerTrait, IUnitInfo, IUnitInfoTrait, ParameterInfo, UnitInfo};
use vst3::Steinberg::kResultOk;

use crate::fake_host::ParamInfo;

/// Every parameter, the hidden ones too.
pub(super) fn param_infos(controller: &ComPtr<IEditController>) -> impl Iterator<Item = ParameterInfo> {
    // SAFETY: the controller is initialised.
    let count = unsafe { controller.getParameterCount() };
    (0..count).filter_map(|index| {
        // SAFETY: plain data, for which zeros are valid, and it outlives the call.
        unsafe {
            let mut info: ParameterInfo = std::mem::zeroed();
            (controller.getParameterInfo(index, &mut info) == kResultOk).then_some(info)
        }
    })
}

/// The parameters that a host shows, in the plugin's order.
pub(super) fn read_params(controller: &ComPtr<IEditController>) -> Vec<ParamInfo> {
    let units = read_units(controller);
    let shown = param_infos(controller).filter(|info| info.flags & kIsHidden == 0);
    shown
        .map(|info| ParamInfo {
            id: info.id,
            name: read_string(&info.title),
            group: unit_path(&units, info.unitId),
            default_normalised: info.defaultNormalizedValue,
            num_steps: info.stepCount.max(0) as u32,
            automatable: info.flags & kCanAutomate != 0,
        })
        .collect()
}

fn read_units(controller: &ComPtr<IEditController>) -> Vec<UnitInfo> {
    let Some(unit_info) = controller.cast::<IUnitInfo>() else {
        return Vec::new();
    };
    // SAFETY: plain data, for which zeros are valid, and it outlives the calls.
    unsafe {
        let read = |index| {
            let mut unit: UnitInfo = std::mem::zeroed();
            (unit_info.getUnitInfo(index, &mut unit) == kResultOk).then_some(unit)
        };
        (0..unit_info.getUnitCount()).filter_map(read).collect()
    }
}

/// The names from the top down to this unit, `Outer/Inner`; empty at the top.
fn unit_path(units: &[UnitInfo], id: i32) -> String {
    match units.iter().find(|unit| unit.id == id) {
        None => String::new(),
        Some(unit) => {
            let parent = unit_path(units, unit.parentUnitId);
            let name = read_string(&unit.name);
            if parent.is_empty() { name } else { parent + "/" + &name }
        }
    }
}

/// UTF-16 up to its zero.
pub(super) fn read_string(text: &[u16]) -> String {
    let length = text.iter().position(|unit| *unit == 0).unwrap_or(text.len());
    String::from_utf16_lossy(&text[..length])
}
