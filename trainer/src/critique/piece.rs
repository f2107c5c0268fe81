//! The music to judge: sounding pitches and attacks, from MIDI, grid JSON and chorale CSV.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use continuo_model::midi_file;
use continuo_model::phrase::Phrase;
use continuo_model::rules::{self, Row};
use continuo_model::tokeniser::grid::{NUM_VOICES, VOICE_NAMES};
use continuo_model::tokeniser::score;
use continuo_model::vocabulary::Symbol;

use crate::corpus::{csv, grid_json};

const EXTENSIONS: [&str; 4] = ["mid", "midi", "json", "csv"];

/// A piece on the grid of 16ths; step 0 is on a beat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The file, and the place in it if it holds several.
    pub name: String,
    /// What sounds, one row a step.
    pub rows: Vec<Row>,
    /// One number a step: bit 0 (soprano) to 3 (bass) says that a note starts. `None` if the file tells only what sounds.
    pub attacks: Option<Vec<u8>>,
}

impl Piece {
    /// The step before and the step, from the second one on.
    pub fn moves(&self) -> impl Iterator<Item = (&Row, &Row)> {
        self.rows.iter().zip(self.rows.iter().skip(1))
    }

    /// For each step, which voices start a note, as bits: the attacks, or the changes of pitch where they are not known.
    pub fn starts(&self) -> Vec<u8> {
        if let Some(attacks) = &self.attacks {
            return attacks.clone();
        }
        let silence = [None; NUM_VOICES];
        let before = std::iter::once(&silence).chain(&self.rows);
        let bits = |(before, row): (&Row, &Row)| {
            (0..NUM_VOICES).map(|v| u8::from(rules::changes_pitch(before, row, v)) << v).sum()
        };
        before.zip(&self.rows).map(bits).collect()
    }

    /// The piece without what comes after its first `steps`.
    pub fn truncate(&mut self, steps: usize) {
        self.rows.truncate(steps);
        if let Some(attacks) = &mut self.attacks {
            attacks.truncate(steps);
        }
    }
}

/// The pieces in files and folders (with the folders inside), in the order of their names. `split` chooses among the
/// splits of grid JSON; without it all are read.
pub fn read(paths: &[PathBuf], split: Option<&str>) -> Result<Vec<Piece>> {
    let mut pieces = Vec::new();
    for path in paths {
        let mut files = Vec::new();
        if path.is_dir() {
            find_files(path, &mut files)?;
            ensure!(
                !files.is_empty(),
                "{}: expected files that end in .{}, got none; name a folder of music",
                path.display(),
                EXTENSIONS.join(", .")
            );
        } else {
            files.push(path.clone());
        }
        for file in files {
            let music = read_file(&file, split).map_err(|problem| anyhow!("{}: {problem:#}", file.display()))?;
            pieces.extend(music);
        }
    }
    Ok(pieces)
}

fn find_files(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("{}: cannot be opened", folder.display()))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.sort();
    for path in paths {
        if path.is_dir() {
            find_files(&path, files)?;
        } else if EXTENSIONS.contains(&extension(&path).as_str()) {
            files.push(path);
        }
    }
    Ok(())
}

fn extension(path: &Path) -> String {
    path.extension().map(|word| word.to_string_lossy().to_lowercase()).unwrap_or_default()
}

fn read_file(path: &Path, split: Option<&str>) -> Result<Vec<Piece>> {
    let bytes = std::fs::read(path).context("cannot be opened; check the path")?;
    let name = path.display().to_string();
    let text = || std::str::from_utf8(&bytes).context("expected text in UTF-8");
    match extension(path).as_str() {
        "mid" | "midi" => {
            let phrase = midi_file::parse(&name, &bytes).map_err(|error| anyhow!("{}", error.problem))?;
            Ok(vec![from_phrase(name, &phrase)?])
        }
        "csv" => Ok(vec![Piece { name, rows: csv::four_voices(text()?)?, attacks: None }]),
        "json" => {
            let music = grid_json::parse_music(text()?, split)?.into_iter();
            Ok(music
                .map(|piece| Piece { name: format!("{name} {}", piece.name), rows: piece.rows, attacks: piece.attacks })
                .collect())
        }
        other => bail!("expected a file that ends in .{}, got `.{other}`", EXTENSIONS.join(", .")),
    }
}

/// A piece from the notes of a MIDI file: its four tracks with notes, or those of more that bear the voices' names. Where
/// all that there are bear such names, voices without a track are silent.
fn from_phrase(name: String, phrase: &Phrase) -> Result<Piece> {
    let named = VOICE_NAMES.map(|voice| phrase.tracks.iter().find(|track| track.name == voice));
    let only_voices = phrase.tracks.iter().all(|track| VOICE_NAMES.contains(&track.name.as_str()));
    let tracks = if only_voices || named.iter().all(Option::is_some) {
        named.map(|track| track.cloned().unwrap_or_default()).to_vec()
    } else {
        phrase.tracks.clone()
    };
    ensure!(
        tracks.len() == NUM_VOICES,
        "expected four tracks with notes, or tracks named {}, got {}; give each voice a track",
        VOICE_NAMES.join(", "),
        tracks.len()
    );
    let mut sounding = [None; NUM_VOICES];
    let mut attacks = Vec::new();
    let mut rows = Vec::new();
    for symbols in score::from_phrase(&Phrase { tracks, ..phrase.clone() }) {
        let mut attack = 0;
        for (voice, symbol) in symbols.into_iter().enumerate() {
            match symbol {
                Some(Symbol::Pitch(pitch)) => {
                    sounding[voice] = Some(pitch);
                    attack |= 1 << voice;
                }
                Some(Symbol::Hold) => {}
                Some(Symbol::Rest) | None => sounding[voice] = None,
            }
        }
        rows.push(sounding);
        attacks.push(attack);
    }
    Ok(Piece { name, rows, attacks: Some(attacks) })
}

#[cfg(test)]
pub mod tests {
    use continuo_model::phrase::Track;

    use super::*;

    /// A piece from text: steps parted by bars, in each four pitches, soprano first; `.` is a rest, and `*` after a
    /// pitch says that it is struck. If none is struck, attacks are unknown.
    pub fn piece(text: &str) -> Piece {
        let mut attacks = Vec::new();
        let rows = text.split('|').map(|step| {
            let words: Vec<&str> = step.split_whitespace().collect();
            attacks.push((0..NUM_VOICES).map(|v| u8::from(words[v].ends_with('*')) << v).sum());
            std::array::from_fn(|v| words[v].trim_end_matches('*').parse().ok())
        });
        let rows = rows.collect();
        Piece { name: "piece".into(), rows, attacks: text.contains('*').then_some(attacks) }
    }

    #[test]
    fn starts_are_attacks_or_changes_of_pitch() {
        assert_eq!(piece("72 64 55 . | 72 65 55 48 | 72 . 55 48 | 72 65 55 48").starts(), [0b0111, 0b1010, 0, 0b0010]);
        assert_eq!(piece("72* 64* 55* . | 72* 65* 55 48").starts(), [0b0111, 0b0011]);
    }

    #[test]
    fn voices_are_four_tracks_or_those_that_bear_their_names() {
        let low = [Symbol::Hold, Symbol::Rest, Symbol::Hold, Symbol::Pitch(30)];
        let symbols = [[Symbol::Pitch(90), Symbol::Pitch(64), Symbol::Pitch(55), Symbol::Pitch(30)], low];
        let mut phrase = score::to_phrase(&symbols, 100.0, (4, 4));
        let expect = piece("90* 64* 55* 30* | 90 . 55 30*");
        assert_eq!(from_phrase("piece".into(), &phrase).unwrap(), expect);
        phrase.tracks.insert(0, Track { name: "Played".into(), notes: phrase.tracks[0].notes.clone() });
        assert_eq!(from_phrase("piece".into(), &phrase).unwrap(), expect);
        phrase.tracks.truncate(3);
        assert_eq!(
            from_phrase("piece".into(), &phrase).unwrap_err().to_string(),
            "expected four tracks with notes, or tracks named Soprano, Alto, Tenor, Bass, got 3; give each voice a track"
        );
        phrase.tracks.remove(0);
        assert_eq!(from_phrase("piece".into(), &phrase).unwrap(), piece("90* 64* . . | 90 . . ."));
    }
}
