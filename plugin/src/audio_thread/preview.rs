//! Plays the output on a soft organ, so that the plugin can be heard without another instrument. Audio thread.

use continuo_model::organ::Organ;
use nice_plug::midi::{Channel, Key};
use nice_plug::prelude::NoteEvent;

use super::output::OutEvents;

/// Renders a block into `outputs`, one slice per channel, with the block's events at their samples. If `audible` is
/// off, it writes silence while the notes fade out.
pub fn play(organ: &mut Organ, events: &OutEvents, outputs: &mut [&mut [f32]], audible: bool) {
    let frames = outputs.iter().map(|channel| channel.len()).min().unwrap_or(0);
    outputs.iter_mut().for_each(|channel| channel.fill(0.0));
    let mut from = 0;
    for event in events.iter() {
        let at = (event.timing() as usize).min(frames);
        organ.sound(outputs, from, at, audible);
        from = at;
        match *event {
            NoteEvent::NoteOn { channel: Channel::Number(c), key: Key::Number(k), velocity, .. } => {
                organ.open(c, k, velocity)
            }
            NoteEvent::NoteOff { channel: Channel::Number(c), key: Key::Number(k), .. } => organ.close(c, k),
            _ => {}
        }
    }
    organ.sound(outputs, from, frames, audible);
}
