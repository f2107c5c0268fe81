//! The CLAP layer's events with several kinds of hosts. One thread plays all roles.

use std::cell::RefCell;

use clap_sys::events::{
    CLAP_CORE_EVENT_SPACE_ID, CLAP_EVENT_MIDI, CLAP_EVENT_NOTE_CHOKE, CLAP_EVENT_NOTE_END, CLAP_EVENT_NOTE_EXPRESSION,
    CLAP_EVENT_NOTE_OFF, CLAP_EVENT_NOTE_ON, CLAP_EVENT_PARAM_VALUE, CLAP_NOTE_EXPRESSION_PAN,
    CLAP_NOTE_EXPRESSION_PRESSURE, clap_event_header, clap_event_note, clap_event_note_expression, clap_output_events,
};

use super::midi::{InMidi, in_midi};
use super::output::Output;

fn header(type_: u16, size: usize) -> clap_event_header {
    clap_event_header { size: size as u32, time: 7, space_id: CLAP_CORE_EVENT_SPACE_ID, type_, flags: 0 }
}

fn note(type_: u16, channel: i16, key: i16, velocity: f64) -> clap_event_note {
    let header = header(type_, size_of::<clap_event_note>());
    clap_event_note { header, note_id: -1, port_index: 0, channel, key, velocity }
}

fn expression(expression_id: i32, value: f64) -> clap_event_note_expression {
    let header = header(CLAP_EVENT_NOTE_EXPRESSION, size_of::<clap_event_note_expression>());
    clap_event_note_expression { header, expression_id, note_id: -1, port_index: 0, channel: 2, key: 60, value }
}

#[test]
fn notes_become_messages() {
    let check = |event: clap_event_note, expect: InMidi| {
        // SAFETY: the type in the header is right.
        assert_eq!(unsafe { in_midi(&event.header) }, expect, "{event:?}");
    };
    check(note(CLAP_EVENT_NOTE_ON, 0, 60, 1.0), InMidi::Message([0x90, 60, 127]));
    check(note(CLAP_EVENT_NOTE_ON, 15, 0, 0.5), InMidi::Message([0x9f, 0, 64]));
    // Velocity 0 would be a note-off.
    check(note(CLAP_EVENT_NOTE_ON, 3, 127, 0.0), InMidi::Message([0x93, 127, 1]));
    check(note(CLAP_EVENT_NOTE_OFF, 3, 127, 0.0), InMidi::Message([0x83, 127, 0]));
    check(note(CLAP_EVENT_NOTE_CHOKE, 3, 60, 0.0), InMidi::Message([0x83, 60, 0]));
    check(note(CLAP_EVENT_NOTE_END, 3, 60, 0.0), InMidi::Nothing);
    check(note(CLAP_EVENT_NOTE_OFF, -1, 60, 0.0), InMidi::Nothing);
    check(note(CLAP_EVENT_NOTE_OFF, 16, 60, 0.0), InMidi::Nothing);
    check(note(CLAP_EVENT_NOTE_OFF, 3, 128, 0.0), InMidi::Nothing);
    check(note(CLAP_EVENT_PARAM_VALUE, 3, 60, 0.0), InMidi::Same);
    let mut foreign = note(CLAP_EVENT_NOTE_ON, 0, 60, 1.0);
    foreign.header.space_id = 1;
    check(foreign, InMidi::Same);
    // SAFETY: the types in the headers are right.
    unsafe {
        let pressure = expression(CLAP_NOTE_EXPRESSION_PRESSURE, 0.5);
        assert_eq!(in_midi(&pressure.header), InMidi::Message([0xa2, 60, 64]));
        assert_eq!(in_midi(&expression(CLAP_NOTE_EXPRESSION_PAN, 0.5).header), InMidi::Nothing);
    }
}

/// A host with a limited queue.
struct Host {
    /// Free bytes of the queue.
    room: u32,
    /// Whether it accepts CLAP's note events.
    takes_clap: bool,
    /// The types of the offered events, and whether the host accepted them.
    offered: RefCell<Vec<(u16, bool)>>,
}

unsafe extern "C" fn try_push(list: *const clap_output_events, event: *const clap_event_header) -> bool {
    // SAFETY: called with the list below and an event.
    let (host, header) = unsafe { (&mut *(*list).ctx.cast::<Host>(), &*event) };
    let taken = header.size <= host.room && (host.takes_clap || header.type_ == CLAP_EVENT_MIDI);
    host.room -= if taken { header.size } else { 0 };
    host.offered.borrow_mut().push((header.type_, taken));
    taken
}

/// Sends note-ons in one block. Returns the events that the host was offered.
fn block(output: &Output, host: &mut Host, num_notes: usize) -> Vec<(u16, bool)> {
    let list = clap_output_events { ctx: (&raw mut *host).cast(), try_push: Some(try_push) };
    // SAFETY: the lists and events outlive the calls.
    unsafe {
        output.begin(&list);
        let own = output.list();
        for _ in 0..num_notes {
            let event = note(CLAP_EVENT_NOTE_ON, 0, 60, 1.0);
            own.try_push.expect("a function")(&own, &event.header);
        }
        output.end();
    }
    host.offered.take()
}

const CLAP: u16 = CLAP_EVENT_NOTE_ON;
const MIDI: u16 = CLAP_EVENT_MIDI;

#[test]
fn the_host_is_offered_the_form_that_it_accepts() {
    let host = |room, takes_clap| Host { room, takes_clap, offered: RefCell::default() };
    let plenty = 10_000;

    // A host that accepts CLAP is never offered MIDI again.
    let output = Output::new();
    assert_eq!(block(&output, &mut host(plenty, true), 2), [(CLAP, true), (CLAP, true)]);
    assert_eq!(block(&output, &mut host(0, true), 2), [(CLAP, false), (CLAP, false)]);

    // A host that accepts MIDI is offered CLAP once.
    let output = Output::new();
    assert_eq!(block(&output, &mut host(plenty, false), 2), [(CLAP, false), (MIDI, true), (MIDI, true)]);
    assert_eq!(block(&output, &mut host(plenty, false), 1), [(MIDI, true)]);
    assert_eq!(block(&output, &mut host(0, false), 1), [(MIDI, false)]);
    output.clear();
    assert_eq!(block(&output, &mut host(plenty, true), 1), [(CLAP, true)]);

    // A full queue tells nothing about the form.
    let output = Output::new();
    assert_eq!(block(&output, &mut host(0, true), 1), [(CLAP, false), (MIDI, false)]);
    assert_eq!(block(&output, &mut host(plenty, true), 1), [(CLAP, true)]);

    // Nor does a nearly full queue, which has room only for the smaller MIDI event after another event.
    let output = Output::new();
    let mut nearly_full = host(size_of::<clap_event_note>() as u32, true);
    let list = clap_output_events { ctx: (&raw mut nearly_full).cast(), try_push: Some(try_push) };
    // SAFETY: the lists and events outlive the calls.
    unsafe {
        output.begin(&list);
        let own = output.list();
        let other = header(CLAP_EVENT_PARAM_VALUE, 1);
        own.try_push.expect("a function")(&own, &other);
        let event = note(CLAP_EVENT_NOTE_ON, 0, 60, 1.0);
        own.try_push.expect("a function")(&own, &event.header);
        output.end();
    }
    assert_eq!(nearly_full.offered.take(), [(CLAP_EVENT_PARAM_VALUE, true), (CLAP, false), (MIDI, true)]);
    assert_eq!(block(&output, &mut host(plenty, true), 1), [(CLAP, true)], "the host accepts CLAP");
}
