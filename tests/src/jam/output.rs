//! Writes the files of a jam: jam.mid, jam.png and jam.wav. They hold only the music, so the same jam gives the same
//! bytes.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use continuo_model::midi_file;
use continuo_model::phrase::Phrase;
use continuo_pictures::piano_roll;

use super::performance::Performance;
use super::song::Song;

/// The files of a jam, and remarks on them.
pub struct Written {
    /// The files.
    pub files: Vec<PathBuf>,
    /// For the player; none is a fault.
    pub remarks: Vec<String>,
}

/// Makes the folder if need be.
pub fn make_folder(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("--out {}: cannot make that folder", folder.display()))
}

/// Writes all files to the folder.
pub fn write(folder: &Path, phrase: &Phrase, song: &Song, performance: &Performance) -> Result<Written> {
    let [mid, png, wav] = ["jam.mid", "jam.png", "jam.wav"].map(|name| folder.join(name));
    midi_file::write(&mid, phrase)?;
    let picture = piano_roll::png(phrase, song.num_bars).with_context(|| png.display().to_string())?;
    std::fs::write(&png, picture).with_context(|| png.display().to_string())?;
    let mut written = Written { files: vec![mid, png], remarks: Vec::new() };
    if performance.audio[0].is_empty() {
        // A file of an earlier jam could be taken for this one's.
        if wav.exists() {
            std::fs::remove_file(&wav).with_context(|| wav.display().to_string())?;
        }
        written.remarks.push("no jam.wav: this class of the plugin has no audio".into());
        return Ok(written);
    }
    write_wav(&wav, song.clock.sample_rate as u32, &performance.audio).with_context(|| wav.display().to_string())?;
    let peak = performance.audio.iter().flatten().fold(0.0_f32, |peak, sample| peak.max(sample.abs()));
    if peak > 1.0 {
        written.remarks.push(format!("jam.wav is clipped: its peak was {:+.1} dB", 20.0 * peak.log10()));
    }
    written.files.push(wav);
    Ok(written)
}

/// 16 bits, which everything plays.
fn write_wav(path: &Path, sample_rate: u32, [left, right]: &[Vec<f32>; 2]) -> Result<(), hound::Error> {
    let spec =
        hound::WavSpec { channels: 2, sample_rate, bits_per_sample: 16, sample_format: hound::SampleFormat::Int };
    let mut writer = hound::WavWriter::create(path, spec)?;
    for (left, right) in left.iter().zip(right) {
        writer.write_sample(to_16_bits(*left))?;
        writer.write_sample(to_16_bits(*right))?;
    }
    writer.finalize()
}

/// A sample of -1 to 1 in 16 bits. NaN becomes silence here and is reported as a fault elsewhere.
fn to_16_bits(sample: f32) -> i16 {
    (sample.clamp(-1.0, 1.0) * 32_767.0).round() as i16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host_clock::HostClock;
    use crate::seed_phrases;

    #[test]
    fn samples_are_clipped_not_wrapped() {
        let samples = [0.0, 1.0, -1.0, 2.0, -9.0, 0.5, f32::NAN];
        assert_eq!(samples.map(to_16_bits), [0, 32_767, -32_767, 32_767, -32_767, 16_384, 0]);
    }

    #[test]
    fn the_same_jam_gives_the_same_bytes() {
        let folder = std::env::temp_dir().join(format!("continuo-jam-{}", std::process::id()));
        make_folder(&folder).unwrap();
        let song = Song::new(&seed_phrases::melody(), 4, HostClock { tempo_bpm: 92.0, ..HostClock::AT_120 });
        let mut performance = Performance { audio: [vec![0.25; 480], vec![-0.25; 480]], ..Performance::default() };
        let phrase = performance.phrase(&song);
        let mut write_all = |audio: bool| {
            if !audio {
                performance.audio = Default::default();
            }
            let written = write(&folder, &phrase, &song, &performance).unwrap();
            let read = |path: &PathBuf| std::fs::read(path).unwrap();
            (written.files.iter().map(read).collect::<Vec<_>>(), written.remarks)
        };
        let (first, remarks) = write_all(true);
        assert_eq!((first.len(), remarks.len()), (3, 0));
        assert!(first == write_all(true).0);
        // Without audio the older file goes.
        let (files, remarks) = write_all(false);
        assert!(files == first[..2]);
        assert_eq!(remarks, ["no jam.wav: this class of the plugin has no audio"]);
        assert!(!folder.join("jam.wav").exists());
        std::fs::remove_dir_all(folder).unwrap();
    }
}
