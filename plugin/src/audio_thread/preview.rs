//! A soft organ that sounds what goes out, so that the instrument can be heard on its own. Audio thread.

use nice_plug::midi::{Channel, Key};
use nice_plug::prelude::NoteEvent;

use super::events::OutEvents;

/// Notes that sound at once; one more takes the place of the quietest.
const NUM_PIPES: usize = 32;
/// Drawbars: strength of the first partials.
const PARTIALS: [f32; 4] = [1.0, 0.45, 0.2, 0.12];
const ATTACK_SECONDS: f32 = 0.012;
const RELEASE_SECONDS: f32 = 0.09;
const LEVEL: f32 = 0.09;

#[derive(Clone, Copy, Default)]
struct Pipe {
    channel: u8,
    key: u8,
    /// Cycles, 0 to 1.
    phase: f32,
    /// Cycles a sample.
    pitch: f32,
    strength: f32,
    /// 0 to 1, moving towards `target`.
    level: f32,
    target: f32,
}

/// The organ.
pub struct Organ {
    pipes: [Pipe; NUM_PIPES],
    sample_rate: f32,
}

impl Organ {
    /// Silent, for a sample rate in Hertz.
    pub fn new(sample_rate: f32) -> Self {
        Self { pipes: [Pipe::default(); NUM_PIPES], sample_rate }
    }

    /// Writes a block into `outputs`, one slice a channel, playing the block's events at their samples. With
    /// `audible` off it writes silence, and its notes fade unheard.
    pub fn play(&mut self, events: &OutEvents, outputs: &mut [&mut [f32]], audible: bool) {
        let frames = outputs.iter().map(|channel| channel.len()).min().unwrap_or(0);
        outputs.iter_mut().for_each(|channel| channel.fill(0.0));
        let mut from = 0;
        for event in events.iter() {
            let at = (event.timing() as usize).min(frames);
            self.sound(outputs, from, at, audible);
            from = at;
            match *event {
                NoteEvent::NoteOn { channel: Channel::Number(c), key: Key::Number(k), velocity, .. } => {
                    self.open(c, k, velocity)
                }
                NoteEvent::NoteOff { channel: Channel::Number(c), key: Key::Number(k), .. } => self.close(c, k),
                _ => {}
            }
        }
        self.sound(outputs, from, frames, audible);
    }

    fn open(&mut self, channel: u8, key: u8, velocity: f32) {
        let sample_rate = self.sample_rate;
        let hertz = 440.0 * ((f32::from(key) - 69.0) / 12.0).exp2();
        let quietest = self.pipes.iter_mut().min_by(|a, b| a.level.total_cmp(&b.level));
        let pipe = quietest.expect("an organ has pipes");
        let (phase, level) = (pipe.phase, pipe.level);
        let strength = LEVEL * (0.35 + 0.65 * velocity);
        *pipe = Pipe { channel, key, phase, pitch: hertz / sample_rate, strength, level, target: 1.0 };
    }

    fn close(&mut self, channel: u8, key: u8) {
        for pipe in self.pipes.iter_mut().filter(|p| p.channel == channel && p.key == key) {
            pipe.target = 0.0;
        }
    }

    fn sound(&mut self, outputs: &mut [&mut [f32]], from: usize, to: usize, audible: bool) {
        let attack = 1.0 / (ATTACK_SECONDS * self.sample_rate);
        let release = 1.0 / (RELEASE_SECONDS * self.sample_rate);
        for pipe in self.pipes.iter_mut().filter(|pipe| pipe.level > 0.0 || pipe.target > 0.0) {
            // Soprano a little to the right, bass a little to the left, as a choir stands.
            let pan = 0.5 + 0.12 * (1.5 - f32::from(pipe.channel.min(3)));
            for n in from..to {
                let towards = pipe.target - pipe.level;
                pipe.level += towards.clamp(-release, attack);
                pipe.phase = (pipe.phase + pipe.pitch).fract();
                let wave: f32 = PARTIALS
                    .iter()
                    .zip(1..)
                    .filter(|(_, n)| pipe.pitch * (*n as f32) < 0.45)
                    .map(|(strength, n)| strength * (std::f32::consts::TAU * pipe.phase * n as f32).sin())
                    .sum();
                let value = if audible { wave * pipe.level * pipe.strength } else { 0.0 };
                for (i, channel) in outputs.iter_mut().enumerate() {
                    channel[n] += value * 2.0 * if i == 0 { 1.0 - pan } else { pan };
                }
            }
        }
    }
}
