//! Renders a phrase with the organ of the plugin's preview.

use std::io::Cursor;

use anyhow::{Context, Result};
use continuo_model::organ::Organ;
use continuo_model::phrase::Phrase;
use hound::{SampleFormat, WavSpec, WavWriter};

const SAMPLE_RATE: u32 = 44_100;
/// Time for the last notes to fade.
const TAIL_SECONDS: f64 = 0.5;

/// A stereo sound file with 16 bits. If the sum of the notes exceeds full scale, the whole piece is quieter.
pub fn wav(phrase: &Phrase) -> Result<Vec<u8>> {
    let channels = play(phrase);
    let peak = channels.iter().flatten().fold(1.0_f32, |peak, sample| peak.max(sample.abs()));
    let spec = WavSpec { channels: 2, sample_rate: SAMPLE_RATE, bits_per_sample: 16, sample_format: SampleFormat::Int };
    let mut bytes = Cursor::new(Vec::new());
    let mut writer = WavWriter::new(&mut bytes, spec).context("a sound file")?;
    let [left, right] = &channels;
    for sample in left.iter().zip(right).flat_map(|(left, right)| [left, right]) {
        writer.write_sample((sample / peak * 32_767.0).round() as i16).context("a sound file")?;
    }
    writer.finalize().context("a sound file")?;
    Ok(bytes.into_inner())
}

fn play(phrase: &Phrase) -> [Vec<f32>; 2] {
    let sample = |beats: f64| (beats * 60.0 / phrase.tempo_bpm * f64::from(SAMPLE_RATE)).round() as usize;
    let len = sample(phrase.end_beats()) + (TAIL_SECONDS * f64::from(SAMPLE_RATE)) as usize;
    let mut channels = [vec![0.0; len], vec![0.0; len]];
    // At the same time, note-offs come before note-ons.
    let mut events = Vec::new();
    for note in phrase.tracks.iter().flat_map(|track| &track.notes) {
        events.push((sample(note.start_beats), true, *note));
        events.push((sample(note.end_beats()), false, *note));
    }
    events.sort_by_key(|&(at, begins, _)| (at, begins));
    let mut organ = Organ::new(SAMPLE_RATE as f32);
    let [left, right] = &mut channels;
    let mut outputs: [&mut [f32]; 2] = [left, right];
    let mut from = 0;
    for (at, begins, note) in events {
        organ.sound(&mut outputs, from, at, true);
        from = at;
        if begins {
            organ.open(note.channel, note.pitch, f32::from(note.velocity) / 127.0);
        } else {
            organ.close(note.channel, note.pitch);
        }
    }
    organ.sound(&mut outputs, from, len, true);
    channels
}

#[cfg(test)]
mod tests {
    use super::*;
    use continuo_model::phrase::{Note, Track};

    fn phrase(pitches: &[u8]) -> Phrase {
        let note = |&pitch: &u8| Note { pitch, velocity: 127, channel: 0, start_beats: 1.0, length_beats: 1.0 };
        let track = Track { name: String::new(), notes: pitches.iter().map(note).collect() };
        Phrase { tempo_bpm: 60.0, time_signature: (4, 4), tracks: vec![track] }
    }

    /// The peak and the number of upward zero crossings in a second of sound.
    fn measure(samples: &[i16], second: usize) -> (i16, usize) {
        let left: Vec<i16> = samples.iter().step_by(2).skip(second * 44_100).take(44_100).copied().collect();
        let crossings = left.windows(2).filter(|pair| pair[0] < 0 && pair[1] >= 0).count();
        (left.iter().map(|sample| sample.saturating_abs()).max().unwrap_or(0), crossings)
    }

    fn samples(pitches: &[u8]) -> Vec<i16> {
        let mut reader = hound::WavReader::new(Cursor::new(wav(&phrase(pitches)).unwrap())).unwrap();
        assert_eq!((reader.spec().channels, reader.spec().sample_rate), (2, 44_100));
        reader.samples::<i16>().map(Result::unwrap).collect()
    }

    #[test]
    fn a_note_sounds_at_its_time_and_pitch() {
        let samples = samples(&[69]);
        assert_eq!(samples.len(), 2 * (2 * 44_100 + 22_050));
        assert_eq!(measure(&samples, 0), (0, 0));
        let (peak, crossings) = measure(&samples, 1);
        assert!(peak > 1000 && (435..=440).contains(&crossings), "{peak}, {crossings}");
        assert_eq!(samples.last(), Some(&0), "it ends in silence");
    }

    #[test]
    fn many_notes_are_softer_not_clipped() {
        let samples = samples(&[60; 32]);
        let full = samples.iter().filter(|sample| sample.saturating_abs() == i16::MAX).count();
        assert!((1..2000).contains(&full), "{full} samples at full scale");
    }
}
