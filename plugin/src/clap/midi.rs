//! Converts CLAP's note events to MIDI messages. Plain values, of no thread.

use clap_sys::events::{
    CLAP_CORE_EVENT_SPACE_ID, CLAP_EVENT_NOTE_CHOKE, CLAP_EVENT_NOTE_END, CLAP_EVENT_NOTE_EXPRESSION,
    CLAP_EVENT_NOTE_OFF, CLAP_EVENT_NOTE_ON, CLAP_NOTE_EXPRESSION_PRESSURE, clap_event_header, clap_event_note,
    clap_event_note_expression,
};

/// The form of an event for a host that accepts only MIDI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InMidi {
    /// The MIDI message for a note event.
    Message([u8; 3]),
    /// MIDI has no message for this note event.
    Nothing,
    /// Not a note event: every host accepts it unchanged.
    Same,
}

/// Converts a CLAP event to MIDI.
///
/// # Safety
/// `event` is the header of an event of the type in the header.
pub(super) unsafe fn in_midi(event: *const clap_event_header) -> InMidi {
    // SAFETY: as the caller promises.
    let header = unsafe { &*event };
    if header.space_id != CLAP_CORE_EVENT_SPACE_ID {
        return InMidi::Same;
    }
    match header.type_ {
        CLAP_EVENT_NOTE_ON | CLAP_EVENT_NOTE_OFF | CLAP_EVENT_NOTE_CHOKE => {
            // SAFETY: as the caller promises, the type in the header is right.
            let note = unsafe { &*event.cast::<clap_event_note>() };
            let status = if header.type_ == CLAP_EVENT_NOTE_ON { 0x90 } else { 0x80 };
            // In MIDI a note-on with velocity 0 is a note-off.
            let least = if header.type_ == CLAP_EVENT_NOTE_ON { 1 } else { 0 };
            message(status, note.channel, note.key, seven_bits(note.velocity).max(least))
        }
        CLAP_EVENT_NOTE_EXPRESSION => {
            // SAFETY: as the caller promises, the type in the header is right.
            let expression = unsafe { &*event.cast::<clap_event_note_expression>() };
            match expression.expression_id {
                CLAP_NOTE_EXPRESSION_PRESSURE => {
                    message(0xa0, expression.channel, expression.key, seven_bits(expression.value))
                }
                _ => InMidi::Nothing,
            }
        }
        CLAP_EVENT_NOTE_END => InMidi::Nothing,
        _ => InMidi::Same,
    }
}

/// A message for one key on one channel. `Nothing` for CLAP's wildcards, which MIDI lacks.
fn message(status: u8, channel: i16, key: i16, value: u8) -> InMidi {
    match (u8::try_from(channel), u8::try_from(key)) {
        (Ok(channel @ 0..16), Ok(key @ 0..128)) => InMidi::Message([status | channel, key, value]),
        _ => InMidi::Nothing,
    }
}

fn seven_bits(value: f64) -> u8 {
    (value.clamp(0.0, 1.0) * 127.0).round() as u8
}
