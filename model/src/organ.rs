//! A soft organ of sine waves for the plugin's preview and the trainer's sound files. Only [`Organ::new`] may allocate.

/// The most notes that sound at once. A further note replaces the quietest one.
const NUM_PIPES: usize = 32;
/// Drawbars: amplitudes of the first partials.
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
    /// Cycles per sample.
    pitch: f32,
    strength: f32,
    /// Envelope, 0 to 1; moves towards `target`.
    level: f32,
    target: f32,
}

/// The organ. Times are in samples.
pub struct Organ {
    pipes: [Pipe; NUM_PIPES],
    sample_rate: f32,
}

impl Organ {
    /// A silent organ; `sample_rate` is in hertz.
    pub fn new(sample_rate: f32) -> Self {
        Self { pipes: [Pipe::default(); NUM_PIPES], sample_rate }
    }

    /// Starts a note. `velocity` is 0 to 1; channels 0 to 3 are the voices from the soprano down.
    pub fn open(&mut self, channel: u8, key: u8, velocity: f32) {
        let sample_rate = self.sample_rate;
        let hertz = 440.0 * ((f32::from(key) - 69.0) / 12.0).exp2();
        // Free and released pipes have target 0 and go first: a note that has just started can be as quiet as they are.
        let quietest =
            self.pipes.iter_mut().min_by(|a, b| a.target.total_cmp(&b.target).then(a.level.total_cmp(&b.level)));
        let pipe = quietest.expect("an organ has pipes");
        let (phase, level) = (pipe.phase, pipe.level);
        let strength = LEVEL * (0.35 + 0.65 * velocity);
        *pipe = Pipe { channel, key, phase, pitch: hertz / sample_rate, strength, level, target: 1.0 };
    }

    /// Releases a note.
    pub fn close(&mut self, channel: u8, key: u8) {
        for pipe in self.pipes.iter_mut().filter(|p| p.channel == channel && p.key == key) {
            pipe.target = 0.0;
        }
    }

    /// Adds the organ's samples `from..to` to `outputs`, one slice for each channel. If not `audible`, the envelopes
    /// advance but nothing is added.
    pub fn sound(&mut self, outputs: &mut [&mut [f32]], from: usize, to: usize, audible: bool) {
        let attack = 1.0 / (ATTACK_SECONDS * self.sample_rate);
        let release = 1.0 / (RELEASE_SECONDS * self.sample_rate);
        for pipe in self.pipes.iter_mut().filter(|pipe| pipe.level > 0.0 || pipe.target > 0.0) {
            // Soprano a little to the right, bass a little to the left, as in a choir.
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

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE_RATE: f32 = 48_000.0;

    /// The amplitude of a tone of `hertz` (G. Goertzel, "An algorithm for the evaluation of finite trigonometric
    /// series", 1958).
    fn strength(samples: &[f32], hertz: f32) -> f32 {
        let angle = |n: usize| std::f32::consts::TAU * hertz * n as f32 / SAMPLE_RATE;
        let sum = |part: fn(f32) -> f32| samples.iter().enumerate().map(|(n, x)| x * part(angle(n))).sum::<f32>();
        sum(f32::cos).hypot(sum(f32::sin)) / samples.len() as f32
    }

    #[test]
    fn notes_that_start_together_all_sound() {
        let mut organ = Organ::new(SAMPLE_RATE);
        for (channel, key) in [(0, 69), (1, 64), (2, 61)] {
            organ.open(channel, key, 1.0);
        }
        let (mut left, mut right) = (vec![0.0; 9600], vec![0.0; 9600]);
        organ.sound(&mut [&mut left, &mut right], 0, 9600, true);
        for hertz in [440.0, 329.63, 277.18] {
            assert!(strength(&left, hertz) > 0.01 && strength(&right, hertz) > 0.01, "{hertz} Hz is missing");
        }
        assert!(strength(&left, 392.0) < 0.002);
        organ.close(1, 64);
        let (mut left, mut right) = (vec![0.0; 19_200], vec![0.0; 19_200]);
        organ.sound(&mut [&mut left, &mut right], 0, 19_200, true);
        assert!(strength(&left[9600..], 440.0) > 0.01 && strength(&left[9600..], 329.63) < 0.002);
    }

    #[test]
    fn more_notes_than_pipes_take_the_quietest() {
        let mut organ = Organ::new(SAMPLE_RATE);
        (0..100).for_each(|key| organ.open(0, key, 1.0));
        (0..100).for_each(|key| organ.close(0, key));
        let (mut left, mut right) = (vec![0.0; 9600], vec![0.0; 9600]);
        organ.sound(&mut [&mut left, &mut right], 0, 9600, true);
        assert_eq!((left[9599], right[9599]), (0.0, 0.0));
    }
}
