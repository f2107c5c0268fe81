//! VST3's interfaces on [`Component`]. Most calls are forwarded to nice-plug. On the threads that VST3 defines for each
//! call.

#![allow(non_snake_case, reason = "the SDK's names")]

use nice_plug::prelude::Vst3Plugin;
use nice_plug::wrapper::vst3::vst3::Class;
use nice_plug::wrapper::vst3::vst3::Steinberg::Vst::ChannelContext::{IInfoListener, IInfoListenerTrait};
use nice_plug::wrapper::vst3::vst3::Steinberg::Vst::*;
use nice_plug::wrapper::vst3::vst3::Steinberg::{
    FIDString, FUnknown, IBStream, IPlugView, IPluginBaseTrait, TBool, TUID, int16, int32, kInvalidArgument, tresult,
    uint32,
};

use super::component::Component;

impl<P: Vst3Plugin> Class for Component<P> {
    type Interfaces = (
        IComponent,
        IEditController,
        IAudioProcessor,
        IMidiMapping,
        INoteExpressionController,
        IProcessContextRequirements,
        IUnitInfo,
        IInfoListener,
    );
}

/// Implements methods of an interface by forwarding them to nice-plug.
macro_rules! pass_on {
    ($of:ident: $(fn $name:ident($($arg:ident: $type:ty),*) -> $result:ty;)*) => {
        $(unsafe fn $name(&self, $($arg: $type),*) -> $result {
            // SAFETY: the same call, with the host's arguments.
            unsafe { $of::$name(&*self.inner, $($arg),*) }
        })*
    };
}

/// Implements methods of an interface by methods of the component.
macro_rules! own {
    ($(fn $name:ident($($arg:ident: $type:ty),*) -> $result:ty = $own:ident;)*) => {
        $(unsafe fn $name(&self, $($arg: $type),*) -> $result {
            // SAFETY: the same call, with the host's arguments.
            unsafe { self.$own($($arg),*) }
        })*
    };
}

impl<P: Vst3Plugin> IPluginBaseTrait for Component<P> {
    pass_on! { IPluginBaseTrait:
        fn initialize(context: *mut FUnknown) -> tresult;
        fn terminate() -> tresult;
    }
}

impl<P: Vst3Plugin> IComponentTrait for Component<P> {
    own! {
        fn setActive(state: TBool) -> tresult = set_active;
        fn setState(state: *mut IBStream) -> tresult = load;
        fn getState(state: *mut IBStream) -> tresult = save;
    }
    pass_on! { IComponentTrait:
        fn getControllerClassId(class_id: *mut TUID) -> tresult;
        fn setIoMode(mode: IoMode) -> tresult;
        fn getBusCount(media: MediaType, direction: BusDirection) -> int32;
        fn getBusInfo(media: MediaType, direction: BusDirection, index: int32, bus: *mut BusInfo) -> tresult;
        fn getRoutingInfo(input: *mut RoutingInfo, output: *mut RoutingInfo) -> tresult;
        fn activateBus(media: MediaType, direction: BusDirection, index: int32, state: TBool) -> tresult;
    }
}

impl<P: Vst3Plugin> IEditControllerTrait for Component<P> {
    own! {
        fn getParameterInfo(index: int32, info: *mut ParameterInfo) -> tresult = param_info;
        fn getParamNormalized(id: ParamID) -> ParamValue = param;
        fn setParamNormalized(id: ParamID, value: ParamValue) -> tresult = set_param;
    }
    pass_on! { IEditControllerTrait:
        fn setComponentState(state: *mut IBStream) -> tresult;
        fn setState(state: *mut IBStream) -> tresult;
        fn getState(state: *mut IBStream) -> tresult;
        fn getParameterCount() -> int32;
        fn getParamStringByValue(id: ParamID, value: ParamValue, text: *mut String128) -> tresult;
        fn getParamValueByString(id: ParamID, text: *mut TChar, value: *mut ParamValue) -> tresult;
        fn normalizedParamToPlain(id: ParamID, value: ParamValue) -> ParamValue;
        fn plainParamToNormalized(id: ParamID, value: ParamValue) -> ParamValue;
        fn setComponentHandler(handler: *mut IComponentHandler) -> tresult;
        fn createView(name: FIDString) -> *mut IPlugView;
    }
}

impl<P: Vst3Plugin> IAudioProcessorTrait for Component<P> {
    own! {
        fn setupProcessing(setup: *mut ProcessSetup) -> tresult = set_up;
        fn setProcessing(state: TBool) -> tresult = set_processing;
        fn process(data: *mut ProcessData) -> tresult = process_block;
    }
    pass_on! { IAudioProcessorTrait:
        fn getBusArrangement(direction: BusDirection, index: int32, arrangement: *mut SpeakerArrangement) -> tresult;
        fn canProcessSampleSize(size: int32) -> tresult;
        fn getLatencySamples() -> uint32;
        fn getTailSamples() -> uint32;
    }

    unsafe fn setBusArrangements(
        &self,
        inputs: *mut SpeakerArrangement,
        num_inputs: int32,
        outputs: *mut SpeakerArrangement,
        num_outputs: int32,
    ) -> tresult {
        if num_inputs < 0 || num_outputs < 0 {
            return kInvalidArgument;
        }
        // Hosts pass null where there is no bus, but nice-plug reads both.
        let mut none: SpeakerArrangement = 0;
        let inputs = if num_inputs == 0 { &raw mut none } else { inputs };
        let outputs = if num_outputs == 0 { &raw mut none } else { outputs };
        // SAFETY: the same call, with the host's arguments, or a value of ours that outlives the call.
        unsafe { IAudioProcessorTrait::setBusArrangements(&*self.inner, inputs, num_inputs, outputs, num_outputs) }
    }
}

impl<P: Vst3Plugin> IMidiMappingTrait for Component<P> {
    pass_on! { IMidiMappingTrait:
        fn getMidiControllerAssignment(bus: int32, channel: int16, number: CtrlNumber, id: *mut ParamID) -> tresult;
    }
}

impl<P: Vst3Plugin> INoteExpressionControllerTrait for Component<P> {
    pass_on! { INoteExpressionControllerTrait:
        fn getNoteExpressionCount(bus: int32, channel: int16) -> int32;
        fn getNoteExpressionInfo(
            bus: int32, channel: int16, index: int32, info: *mut NoteExpressionTypeInfo
        ) -> tresult;
        fn getNoteExpressionStringByValue(
            bus: int32, channel: int16, id: NoteExpressionTypeID, value: NoteExpressionValue, text: *mut String128
        ) -> tresult;
        fn getNoteExpressionValueByString(
            bus: int32, channel: int16, id: NoteExpressionTypeID, text: *const TChar, value: *mut NoteExpressionValue
        ) -> tresult;
    }
}

impl<P: Vst3Plugin> IProcessContextRequirementsTrait for Component<P> {
    pass_on! { IProcessContextRequirementsTrait:
        fn getProcessContextRequirements() -> uint32;
    }
}

impl<P: Vst3Plugin> IUnitInfoTrait for Component<P> {
    pass_on! { IUnitInfoTrait:
        fn getUnitCount() -> int32;
        fn getUnitInfo(index: int32, info: *mut UnitInfo) -> tresult;
        fn getProgramListCount() -> int32;
        fn getProgramListInfo(index: int32, info: *mut ProgramListInfo) -> tresult;
        fn getProgramName(list: ProgramListID, index: int32, name: *mut String128) -> tresult;
        fn getProgramInfo(list: ProgramListID, index: int32, attribute: CString, value: *mut String128) -> tresult;
        fn hasProgramPitchNames(list: ProgramListID, index: int32) -> tresult;
        fn getProgramPitchName(list: ProgramListID, index: int32, pitch: int16, name: *mut String128) -> tresult;
        fn getSelectedUnit() -> UnitID;
        fn selectUnit(unit: UnitID) -> tresult;
        fn getUnitByBus(
            media: MediaType, direction: BusDirection, bus: int32, channel: int32, unit: *mut UnitID
        ) -> tresult;
        fn setUnitProgramData(list_or_unit: int32, index: int32, data: *mut IBStream) -> tresult;
    }
}

impl<P: Vst3Plugin> IInfoListenerTrait for Component<P> {
    pass_on! { IInfoListenerTrait:
        fn setChannelContextInfos(list: *mut IAttributeList) -> tresult;
    }
}
