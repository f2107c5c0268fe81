//! Events and musical time, between the fake host's form and CLAP's; on the thread that plays the block.

use clack_host::events::event_types::{
    MidiEvent, MidiSysExEvent, NoteExpressionEvent, NoteExpressionType, NoteOffEvent, NoteOnEvent, TransportEvent,
    TransportFlags,
};
use clack_host::events::io::{OutputEventBuffer, TryPushError};
use clack_host::events::spaces::CoreEventSpace;
use clack_host::events::{EventFlags, Match};
use clack_host::prelude::*;
use clack_host::utils::{BeatTime, SecondsTime};

use crate::fake_host::event::{from_7_bits, from_14_bits, keep, to_7_bits, to_14_bits};
use crate::fake_host::{Edit, Event, EventKind, Expression, Transport};

/// Takes the plugin's events as it sends them.
#[derive(Default)]
pub(super) struct Outbox {
    pub(super) refuse: bool,
    /// Refuses CLAP's own events for notes.
    pub(super) midi_alone: bool,
    pub(super) num_refused: usize,
    pub(super) events: Vec<Event>,
    /// The name that each event's note has.
    pub(super) voice_ids: Vec<Option<i32>>,
    /// Values as CLAP has them, not yet 0 to 1.
    pub(super) edits: Vec<Edit>,
}

impl OutputEventBuffer for Outbox {
    fn try_push(&mut self, event: &UnknownEvent) -> Result<(), TryPushError> {
        let is_note = |event: &UnknownEvent| {
            use CoreEventSpace::{NoteChoke, NoteEnd, NoteExpression, NoteOff, NoteOn};
            matches!(
                event.as_core_event(),
                Some(NoteOn(_) | NoteOff(_) | NoteChoke(_) | NoteEnd(_) | NoteExpression(_))
            )
        };
        if self.refuse || self.midi_alone && is_note(event) {
            self.num_refused += 1;
            return Err(TryPushError::new());
        }
        let event_type = event.header().type_id();
        let edit = match event.as_core_event() {
            Some(CoreEventSpace::ParamValue(event)) => {
                event.param_id().map(|id| Edit::Set { id: id.get(), value: event.value() })
            }
            Some(CoreEventSpace::ParamGestureBegin(event)) => event.param_id().map(|id| Edit::Begin { id: id.get() }),
            Some(CoreEventSpace::ParamGestureEnd(event)) => event.param_id().map(|id| Edit::End { id: id.get() }),
            _ => None,
        };
        if let Some(edit) = edit {
            self.edits.push(edit);
        } else {
            let kind = read_event(event).unwrap_or(EventKind::Unrecognised { event_type });
            self.events.push(Event { timing: event.header().time(), kind });
            self.voice_ids.push(voice_id(event));
        }
        Ok(())
    }
}

fn read_event(event: &UnknownEvent) -> Option<EventKind> {
    match event.as_core_event()? {
        CoreEventSpace::NoteOn(event) => {
            let (channel, key) = address(event.pckn())?;
            Some(EventKind::NoteOn { channel, key, velocity: event.velocity() as f32 })
        }
        CoreEventSpace::NoteOff(event) => {
            let (channel, key) = address(event.pckn())?;
            Some(EventKind::NoteOff { channel, key, velocity: event.velocity() as f32 })
        }
        CoreEventSpace::NoteExpression(event) if event.expression_type() == Some(NoteExpressionType::Pressure) => {
            let (channel, key) = address(event.pckn())?;
            Some(EventKind::PolyPressure { channel, key, pressure: event.value() as f32 })
        }
        CoreEventSpace::NoteExpression(event) => {
            let (channel, key) = address(event.pckn())?;
            let expression = match event.expression_type() {
                Some(NoteExpressionType::Volume) => Expression::Volume,
                Some(NoteExpressionType::Pan) => Expression::Pan,
                Some(NoteExpressionType::Tuning) => Expression::Tuning,
                Some(NoteExpressionType::Vibrato) => Expression::Vibrato,
                Some(NoteExpressionType::Brightness) => Expression::Brightness,
                // clack knows the number of `Expression` on its way out alone.
                _ if event.as_raw().expression_id == NoteExpressionType::Expression.into_raw() => {
                    Expression::Expression
                }
                _ => return None,
            };
            Some(EventKind::NoteExpression { channel, key, expression, value: event.value() as f32 })
        }
        CoreEventSpace::Midi(event) => read_midi(event.data()),
        // SAFETY: the plugin is in its call of `try_push`, for which it must keep the bytes.
        CoreEventSpace::MidiSysEx(event) => Some(EventKind::SysEx { bytes: keep(unsafe { event.data() }) }),
        _ => None,
    }
}

/// The name of the note that an event is about.
fn voice_id(event: &UnknownEvent) -> Option<i32> {
    let pckn = match event.as_core_event()? {
        CoreEventSpace::NoteOn(event) => event.pckn(),
        CoreEventSpace::NoteOff(event) => event.pckn(),
        CoreEventSpace::NoteExpression(event) => event.pckn(),
        _ => return None,
    };
    Some(pckn.raw_note_id()).filter(|id| *id >= 0)
}

fn address(pckn: Pckn) -> Option<(u8, u8)> {
    match (pckn.channel, pckn.key) {
        (Match::Specific(channel), Match::Specific(key)) => {
            Some((u8::try_from(channel).ok()?, u8::try_from(key).ok()?))
        }
        _ => None,
    }
}

fn read_midi([status, a, b]: [u8; 3]) -> Option<EventKind> {
    let channel = status & 0x0f;
    match status & 0xf0 {
        0x80 => Some(EventKind::NoteOff { channel, key: a, velocity: from_7_bits(b) }),
        0x90 if b == 0 => Some(EventKind::NoteOff { channel, key: a, velocity: 0.0 }),
        0x90 => Some(EventKind::NoteOn { channel, key: a, velocity: from_7_bits(b) }),
        0xa0 => Some(EventKind::PolyPressure { channel, key: a, pressure: from_7_bits(b) }),
        0xb0 => Some(EventKind::MidiCc { channel, cc: a, value: from_7_bits(b) }),
        0xc0 => Some(EventKind::ProgramChange { channel, program: a }),
        0xd0 => Some(EventKind::ChannelPressure { channel, pressure: from_7_bits(a) }),
        0xe0 => Some(EventKind::PitchBend { channel, value: from_14_bits([a, b]) }),
        _ => None,
    }
}

/// Appends a host event in CLAP's form.
pub(super) fn push_event(buffer: &mut EventBuffer, event: &Event) {
    let time = event.timing;
    let pckn = |channel: u8, key: u8| Pckn::new(0u16, u16::from(channel), u16::from(key), Match::All);
    let mut midi = |data: [u8; 3]| buffer.push(&MidiEvent::new(time, 0, data));
    match event.kind {
        EventKind::NoteOn { channel, key, velocity } => {
            buffer.push(&NoteOnEvent::new(time, pckn(channel, key), f64::from(velocity)));
        }
        EventKind::NoteOff { channel, key, velocity } => {
            buffer.push(&NoteOffEvent::new(time, pckn(channel, key), f64::from(velocity)));
        }
        EventKind::PolyPressure { channel, key, pressure } => {
            let pckn = pckn(channel, key);
            buffer.push(&NoteExpressionEvent::new(time, pckn, NoteExpressionType::Pressure, f64::from(pressure)));
        }
        EventKind::MidiCc { channel, cc, value } => midi([0xb0 | channel, cc, to_7_bits(value)]),
        EventKind::ProgramChange { channel, program } => midi([0xc0 | channel, program, 0]),
        EventKind::ChannelPressure { channel, pressure } => midi([0xd0 | channel, to_7_bits(pressure), 0]),
        EventKind::PitchBend { channel, value } => {
            let [low, high] = to_14_bits(value);
            midi([0xe0 | channel, low, high]);
        }
        EventKind::IdentifiedOn { channel, key, velocity, voice_id } => {
            let pckn = named(Some(channel), Some(key), voice_id);
            buffer.push(&NoteOnEvent::new(time, pckn, f64::from(velocity)));
        }
        EventKind::IdentifiedOff { channel, key, voice_id } => {
            buffer.push(&NoteOffEvent::new(time, named(channel, key, voice_id), 0.0));
        }
        EventKind::NoteExpression { channel, key, expression, value } => {
            let expression = match expression {
                Expression::Volume => NoteExpressionType::Volume,
                Expression::Pan => NoteExpressionType::Pan,
                Expression::Tuning => NoteExpressionType::Tuning,
                Expression::Vibrato => NoteExpressionType::Vibrato,
                Expression::Expression => NoteExpressionType::Expression,
                Expression::Brightness => NoteExpressionType::Brightness,
            };
            buffer.push(&NoteExpressionEvent::new(time, pckn(channel, key), expression, f64::from(value)));
        }
        EventKind::Midi { bytes } => midi(bytes),
        // SAFETY: the bytes live for good.
        EventKind::SysEx { bytes } => buffer.push(&unsafe { MidiSysExEvent::new(time, 0, bytes) }),
        EventKind::Unrecognised { .. } => {}
    }
}

/// The address of a named note; what is left out may be anything.
fn named(channel: Option<u8>, key: Option<u8>, voice_id: i32) -> Pckn {
    let number = |number: Option<u8>| number.map_or(Match::All, |number| Match::Specific(u16::from(number)));
    Pckn {
        port_index: Match::Specific(0),
        channel: number(channel),
        key: number(key),
        note_id: Match::Specific(voice_id as u32),
    }
}

/// Musical time in CLAP's form. Positions are rounded to 2^-31 beat, as in every CLAP host.
///
/// The seconds of the loop assume that the present tempo has held since the start: only beats are exact.
pub(super) fn transport_event(transport: &Transport, sample_rate: f64) -> TransportEvent {
    let mut flags = TransportFlags::HAS_SECONDS_TIMELINE;
    flags.set(TransportFlags::IS_PLAYING, transport.playing);
    flags.set(TransportFlags::HAS_TEMPO, transport.tempo_bpm.is_some());
    flags.set(TransportFlags::HAS_BEATS_TIMELINE, transport.pos_beats.is_some());
    flags.set(TransportFlags::HAS_TIME_SIGNATURE, transport.time_signature.is_some());
    flags.set(TransportFlags::IS_LOOP_ACTIVE, transport.loop_range_beats.is_some());
    let (loop_start, loop_end) = transport.loop_range_beats.unwrap_or_default();
    let seconds_per_beat = transport.tempo_bpm.map_or(0.0, |tempo_bpm| 60.0 / tempo_bpm);
    let (numerator, denominator) = transport.time_signature.unwrap_or_default();
    TransportEvent {
        header: EventHeader::new_core(0, EventFlags::empty()),
        flags,
        song_pos_beats: BeatTime::from_float(transport.pos_beats.unwrap_or_default()),
        song_pos_seconds: SecondsTime::from_float(transport.pos_samples as f64 / sample_rate),
        tempo: transport.tempo_bpm.unwrap_or_default(),
        tempo_inc: 0.0,
        loop_start_beats: BeatTime::from_float(loop_start),
        loop_end_beats: BeatTime::from_float(loop_end),
        loop_start_seconds: SecondsTime::from_float(loop_start * seconds_per_beat),
        loop_end_seconds: SecondsTime::from_float(loop_end * seconds_per_beat),
        bar_start: BeatTime::from_float(transport.bar_start_beats.unwrap_or_default()),
        bar_number: transport.bar_number,
        time_signature_numerator: numerator,
        time_signature_denominator: denominator,
    }
}
