//! CLAP's note events as MIDI messages. Plain values, of no thread.

use clap_sys::events::{
    CLAP_CORE_EVENT_SPACE_ID, CLAP_EVENT_NOTE_CHOKE, CLAP_EVENT_NOTE_END, CLAP_EVENT_NOTE_EXPRESSION,
    CLAP_EVENT_NOTE_OFF, CLAP_EVENT_NOTE_ON, CLAP_NOTE_EXPRESSION_PRESSURE, clap_event_header, clap_event_note,
    clap_event_note_expression,
};

/// What an event is to a host that takes MIDI alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InMidi {
    /// The same in MIDI.
    Message([u8; 3]),
    /// A note event that MIDI cannot say.
    Nothing,
    /// No note event: every host takes it as it is.
    Same,
}

/// A CLAP event in MIDI.
///
/// # Safety
/// `event` begins an event of the type that it says.
pub(super) unsafe fn in_midi(event: *const clap_event_header) -> InMidi {
    // SAFETY: as the caller promises.
    let header = unsafe { &*event };
    if header.space_id != CLAP_CORE_EVENT_SPACE_ID {
        return InMidi::Same;
    }
    match header.type_ {
        CLAP_EVENT_NOTE_ON | CLAP_EVENT_NOTE_OFF | CLAP_EVENT_NOTE_CHOKE => {
            // SAFETY: the type says which event it is.
            let note = unsafe { &*event.cast::<clap_event_note>() };
            let status = if header.type_ == CLAP_EVENT_NOTE_ON { 0x90 } else { 0x80 };
            // A note-on of velocity 0 would be a note-off.
            let least = if header.type_ == CLAP_EVENT_NOTE_ON { 1 } else { 0 };
            message(status, note.channel, note.key, seven_bits(note.velocity).max(least))
        }
        CLAP_EVENT_NOTE_EXPRESSION => {
            // SAFETY: the type says which event it is.
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

/// A message to one key of one channel; MIDI knows no other.
fn message(status: u8, channel: i16, key: i16, value: u8) -> InMidi {
    match (u8::try_from(channel), u8::try_from(key)) {
        (Ok(channel @ 0..16), Ok(key @ 0..128)) => InMidi::Message([status | channel, key, value]),
        _ => InMidi::Nothing,
    }
}

fn seven_bits(value: f64) -> u8 {
    (value.clamp(0.0, 1.0) * 127.0).round() as u8
}
