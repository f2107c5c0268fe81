//! Events and musical time, between the fake host's form and VST3's; on the thread that plays the block.

#![allow(non_upper_case_globals, non_snake_case, reason = "the bindings name things as the SDK does")]

use anyhow::{Result, bail};
use vst3::Steinberg::Vst::ControllerNumbers_::{kAfterTouch, kCtrlProgramChange, kPitchBend};
use vst3::Steinberg::Vst::Event_::EventTypes_::{
    kDataEvent, kLegacyMIDICCOutEvent, kNoteOffEvent, kNoteOnEvent, kPolyPressureEvent,
};
use vst3::Steinberg::Vst::ProcessContext_::StatesAndFlags_::{
    kBarPositionValid, kContTimeValid, kCycleActive, kCycleValid, kPlaying, kProjectTimeMusicValid, kTempoValid,
    kTimeSigValid,
};
use vst3::Steinberg::Vst::{
    DataEvent, DataEvent_::DataTypes_::kMidiSysEx, Event as Vst3Event, LegacyMIDICCOutEvent, NoteOffEvent, NoteOnEvent,
    PolyPressureEvent, ProcessContext,
};

use crate::fake_host::event::{from_7_bits, from_14_bits, keep, to_7_bits, to_14_bits};
use crate::fake_host::{Event, EventKind, Transport};

/// "No id": the note is known by its channel and key.
const NO_NOTE_ID: i32 = -1;

/// A host event on its way in: in VST3 a note is an event, a controller the change of a parameter.
pub(super) enum Incoming {
    Note(Vst3Event),
    /// The controller's number as `IMidiMapping` counts it, and its value, 0 to 1.
    Controller {
        channel: u8,
        number: i16,
        value: f64,
    },
}

/// A host event in VST3's form.
///
/// # Errors
/// For what VST3 cannot carry to a plugin.
pub(super) fn incoming(event: &Event) -> Result<Incoming> {
    // Rounded as MIDI would, so that the plugin sees the same numbers in both formats.
    let (channel, number, value) = match event.kind {
        EventKind::NoteOn { .. }
        | EventKind::NoteOff { .. }
        | EventKind::IdentifiedOn { .. }
        | EventKind::IdentifiedOff { channel: Some(_), key: Some(_), .. }
        | EventKind::PolyPressure { .. }
        | EventKind::SysEx { .. } => return Ok(Incoming::Note(note_event(event))),
        EventKind::MidiCc { channel, cc, value } => (channel, u32::from(cc), from_7_bits(to_7_bits(value))),
        EventKind::ChannelPressure { channel, pressure } => (channel, kAfterTouch, from_7_bits(to_7_bits(pressure))),
        EventKind::PitchBend { channel, value } => (channel, kPitchBend, from_14_bits(to_14_bits(value))),
        EventKind::ProgramChange { .. }
        | EventKind::IdentifiedOff { .. }
        | EventKind::NoteExpression { .. }
        | EventKind::Midi { .. }
        | EventKind::Unrecognised { .. } => {
            bail!("expected an event that VST3 can carry to a plugin, got {:?}; send it in CLAP only", event.kind)
        }
    };
    Ok(Incoming::Controller { channel, number: number as i16, value: f64::from(value) })
}

/// A note's event; for other kinds an empty one.
fn note_event(event: &Event) -> Vst3Event {
    // SAFETY: an event is plain data, and zeros are a valid one.
    let mut note: Vst3Event = unsafe { std::mem::zeroed() };
    note.sampleOffset = event.timing as i32;
    let noteId = NO_NOTE_ID;
    match event.kind {
        EventKind::NoteOn { channel, key, velocity } => {
            let (channel, pitch) = (i16::from(channel), i16::from(key));
            note.r#type = kNoteOnEvent as u16;
            note.__field0.noteOn = NoteOnEvent { channel, pitch, tuning: 0.0, velocity, length: 0, noteId };
        }
        EventKind::NoteOff { channel, key, velocity } => {
            let (channel, pitch) = (i16::from(channel), i16::from(key));
            note.r#type = kNoteOffEvent as u16;
            note.__field0.noteOff = NoteOffEvent { channel, pitch, velocity, noteId, tuning: 0.0 };
        }
        EventKind::PolyPressure { channel, key, pressure } => {
            let (channel, pitch) = (i16::from(channel), i16::from(key));
            note.r#type = kPolyPressureEvent as u16;
            note.__field0.polyPressure = PolyPressureEvent { channel, pitch, pressure, noteId };
        }
        EventKind::IdentifiedOn { channel, key, velocity, voice_id: noteId } => {
            let (channel, pitch) = (i16::from(channel), i16::from(key));
            note.r#type = kNoteOnEvent as u16;
            note.__field0.noteOn = NoteOnEvent { channel, pitch, tuning: 0.0, velocity, length: 0, noteId };
        }
        EventKind::IdentifiedOff { channel: Some(channel), key: Some(key), voice_id: noteId } => {
            let (channel, pitch) = (i16::from(channel), i16::from(key));
            note.r#type = kNoteOffEvent as u16;
            note.__field0.noteOff = NoteOffEvent { channel, pitch, velocity: 0.0, noteId, tuning: 0.0 };
        }
        EventKind::SysEx { bytes } => {
            note.r#type = kDataEvent as u16;
            note.__field0.data = DataEvent { size: bytes.len() as u32, r#type: kMidiSysEx, bytes: bytes.as_ptr() };
        }
        _ => {}
    }
    note
}

/// A plugin's event in the fake host's form.
pub(super) fn outgoing(event: &Vst3Event) -> Event {
    let kind = read_event(event).unwrap_or(EventKind::Unrecognised { event_type: event.r#type });
    // A negative offset would be the plugin's fault; as a huge number it falls outside of the block and is caught.
    Event { timing: event.sampleOffset as u32, kind }
}

fn read_event(event: &Vst3Event) -> Option<EventKind> {
    let address = |channel: i16, pitch: i16| Some((u8::try_from(channel).ok()?, u8::try_from(pitch).ok()?));
    match u32::from(event.r#type) {
        kNoteOnEvent => {
            // SAFETY: the event's type tells which field of the union is set.
            let NoteOnEvent { channel, pitch, velocity, .. } = unsafe { event.__field0.noteOn };
            let (channel, key) = address(channel, pitch)?;
            Some(EventKind::NoteOn { channel, key, velocity })
        }
        kNoteOffEvent => {
            // SAFETY: the event's type tells which field of the union is set.
            let NoteOffEvent { channel, pitch, velocity, .. } = unsafe { event.__field0.noteOff };
            let (channel, key) = address(channel, pitch)?;
            Some(EventKind::NoteOff { channel, key, velocity })
        }
        kPolyPressureEvent => {
            // SAFETY: the event's type tells which field of the union is set.
            let PolyPressureEvent { channel, pitch, pressure, .. } = unsafe { event.__field0.polyPressure };
            let (channel, key) = address(channel, pitch)?;
            Some(EventKind::PolyPressure { channel, key, pressure })
        }
        kLegacyMIDICCOutEvent => {
            // SAFETY: the event's type tells which field of the union is set.
            read_controller(unsafe { event.__field0.midiCCOut })
        }
        kDataEvent => {
            // SAFETY: the event's type tells which field of the union is set.
            let DataEvent { size, r#type, bytes } = unsafe { event.__field0.data };
            if r#type != kMidiSysEx || bytes.is_null() {
                return None;
            }
            // SAFETY: the plugin is in its call of `addEvent`, for which it must keep the bytes.
            Some(EventKind::SysEx { bytes: keep(unsafe { std::slice::from_raw_parts(bytes, size as usize) }) })
        }
        _ => None,
    }
}

/// The name of the note that an event is about.
pub(super) fn voice_id(event: &Vst3Event) -> Option<i32> {
    // SAFETY: the event's type tells which field of the union is set.
    let id = unsafe {
        match u32::from(event.r#type) {
            kNoteOnEvent => event.__field0.noteOn.noteId,
            kNoteOffEvent => event.__field0.noteOff.noteId,
            kPolyPressureEvent => event.__field0.polyPressure.noteId,
            _ => NO_NOTE_ID,
        }
    };
    Some(id).filter(|id| *id >= 0)
}

fn read_controller(event: LegacyMIDICCOutEvent) -> Option<EventKind> {
    let channel = u8::try_from(event.channel).ok()?;
    let first = u8::try_from(event.value).ok()?;
    let second = u8::try_from(event.value2).ok()?;
    match u32::from(event.controlNumber) {
        0..128 => Some(EventKind::MidiCc { channel, cc: event.controlNumber, value: from_7_bits(first) }),
        kAfterTouch => Some(EventKind::ChannelPressure { channel, pressure: from_7_bits(first) }),
        kPitchBend => Some(EventKind::PitchBend { channel, value: from_14_bits([first, second]) }),
        kCtrlProgramChange => Some(EventKind::ProgramChange { channel, program: first }),
        _ => None,
    }
}

/// The transport in VST3's form. Each flag marks a field that is set.
pub(super) fn process_context(transport: &Transport, sample_rate: f64, samples_run: i64) -> ProcessContext {
    let mut state = kContTimeValid;
    let mut flag = |set: bool, flags| state |= if set { flags } else { 0 };
    flag(transport.playing, kPlaying);
    flag(transport.tempo_bpm.is_some(), kTempoValid);
    flag(transport.pos_beats.is_some(), kProjectTimeMusicValid);
    flag(transport.bar_start_beats.is_some(), kBarPositionValid);
    flag(transport.time_signature.is_some(), kTimeSigValid);
    flag(transport.loop_range_beats.is_some(), kCycleActive | kCycleValid);
    let (loop_start, loop_end) = transport.loop_range_beats.unwrap_or_default();
    let (numerator, denominator) = transport.time_signature.unwrap_or_default();
    // SAFETY: a context is plain data, and zeros are a valid one.
    let zeros: ProcessContext = unsafe { std::mem::zeroed() };
    ProcessContext {
        state,
        sampleRate: sample_rate,
        projectTimeSamples: transport.pos_samples,
        continousTimeSamples: samples_run,
        projectTimeMusic: transport.pos_beats.unwrap_or_default(),
        barPositionMusic: transport.bar_start_beats.unwrap_or_default(),
        cycleStartMusic: loop_start,
        cycleEndMusic: loop_end,
        tempo: transport.tempo_bpm.unwrap_or_default(),
        timeSigNumerator: i32::from(numerator),
        timeSigDenominator: i32::from(denominator),
        ..zeros
    }
}
