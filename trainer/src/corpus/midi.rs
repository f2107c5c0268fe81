//! MIDI files of types 0, 1 and 2, read with the MIDI reader of the workspace.

use anyhow::{Context, Result, ensure};
use continuo_model::midi_file::{Change, KeySignature, MidiFile, MidiNote, MidiPart, MidiPiece};

use super::beats::Beats;
use super::format::Format;
use super::key::{Mode, WrittenKey};
use super::piece::{Metre, Piece};
use super::written::{WrittenMusic, WrittenNote, WrittenPart};

/// MIDI files.
pub const FORMAT: Format = Format {
    name: "MIDI",
    extensions: &["mid", "midi", "smf"],
    shared_extensions: &[],
    begins: |bytes, _| bytes.starts_with(b"MThd"),
    read: |file| read_with(file.source, file.bytes, file.drums),
};

/// Reads the piece in a file; in a type 2 file, each track with notes is a piece. [`MidiFile`] describes parts and
/// notes. A key signature of C major is ignored, because programs write it by default. Drums are left out unless
/// `drums` is set.
///
/// # Errors
/// If the bytes are not a MIDI file, are cut short or use SMPTE frames, or a metre or key is invalid; the last with
/// track and tick.
fn read_with(source: &str, bytes: &[u8], drums: bool) -> Result<Vec<Result<Piece>>> {
    let file = MidiFile::parse(bytes).map_err(|problem| anyhow::anyhow!("{problem}"))?;
    let ticks_per_beat = i64::from(file.ticks_per_beat);
    let several = file.pieces.len() > 1;
    let mut pieces = Vec::with_capacity(file.pieces.len());
    for piece in &file.pieces {
        let source = match piece.track_idx {
            0 => source.to_string(),
            idx => format!("{source}#track-{}", idx + 1),
        };
        let music = written(source, piece, ticks_per_beat, drums)?;
        if !several || !piece.parts.is_empty() || drums && !piece.drums.is_empty() {
            pieces.push(music.into_piece());
        }
    }
    ensure!(!pieces.is_empty(), "expected notes, got none");
    Ok(pieces)
}

/// Reads a file without drums.
#[cfg(test)]
pub fn read(source: &str, bytes: &[u8]) -> Result<Vec<Result<Piece>>> {
    read_with(source, bytes, false)
}

fn written(source: String, piece: &MidiPiece, ticks_per_beat: i64, with_drums: bool) -> Result<WrittenMusic> {
    let beats = |tick: u64| Beats::new(i64::try_from(tick)?, ticks_per_beat);
    let note = |note: &MidiNote| -> Result<WrittenNote> {
        let at = beats(note.tick)?;
        let length = beats(note.end_tick)?.minus(at)?;
        Ok(WrittenNote { at, length, pitch: note.key, tied_on: false, tied_back: false, velocity: Some(note.velocity) })
    };
    let part = |part: &MidiPart| -> Result<WrittenPart> {
        let of_channel = piece.pedals.iter().filter(|pedal| pedal.channel == part.channel);
        Ok(WrittenPart {
            name: part.name.clone(),
            notes: part.notes.iter().map(note).collect::<Result<_>>()?,
            pedal: of_channel.map(|pedal| Ok((beats(pedal.tick)?, beats(pedal.end_tick)?))).collect::<Result<_>>()?,
        })
    };
    let metre = |change: &Change<(u8, u8)>| -> Result<(Beats, Metre)> {
        let (count, power) = change.value;
        let unit = 1_u16.checked_shl(power.into()).unwrap_or(0);
        let metre = Metre::new(count.into(), unit).with_context(|| {
            format!("{}: expected a metre, got {count} over 2 to the power of {power}", place(change))
        })?;
        Ok((beats(change.tick)?, metre))
    };
    let chosen = |change: &&Change<KeySignature>| change.value != KeySignature { sharps: 0, minor: false };
    let missing = piece
        .missing_note_offs
        .iter()
        .map(|missing| format!("{missing} note-offs are missing; those notes end where their pitch is struck again"));
    let left_out = piece.drum_strokes.iter().filter(|_| !with_drums);
    let left_out = left_out.map(|drums| format!("{drums} drum strokes on channel 10 are left out"));
    Ok(WrittenMusic {
        source,
        title: piece.title.clone(),
        parts: piece.parts.iter().map(part).collect::<Result<_>>()?,
        drums: if with_drums { piece.drums.iter().map(part).collect::<Result<_>>()? } else { Vec::new() },
        metres: piece.metres.iter().map(metre).collect::<Result<_>>()?,
        written_key: piece.keys.iter().find(chosen).map(written_key).transpose()?,
        tempo_bpm: piece.tempo_bpm(),
        tempi: piece.tempi.iter().map(|change| Ok((beats(change.tick)?, change.value))).collect::<Result<_>>()?,
        remarks: missing.chain(left_out).collect(),
        ..WrittenMusic::default()
    })
}

fn written_key(change: &Change<KeySignature>) -> Result<WrittenKey> {
    let KeySignature { sharps, minor } = change.value;
    ensure!((-7..=7).contains(&sharps), "{}: expected 7 flats to 7 sharps, got {sharps}", place(change));
    let mode = if minor { Mode::Minor } else { Mode::Major };
    Ok(WrittenKey { fifths: sharps, mode: Some(mode) })
}

fn place<T>(change: &Change<T>) -> String {
    format!("track {}: tick {}", change.track_idx + 1, change.tick)
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::corpus::written::notes_in_words;

    /// A file with the given tracks. Each consists of events: a delta below 128 and the bytes after it.
    pub fn file(format: u8, division: u16, tracks: &[&[u8]]) -> Vec<u8> {
        let mut bytes = b"MThd\0\0\0\x06\0".to_vec();
        bytes.extend([format, 0, tracks.len() as u8]);
        bytes.extend(division.to_be_bytes());
        for track in tracks {
            bytes.extend(b"MTrk");
            bytes.extend((track.len() as u32 + 4).to_be_bytes());
            bytes.extend(*track);
            bytes.extend([0, 0xff, 0x2f, 0]);
        }
        bytes
    }

    fn pieces(bytes: &[u8]) -> Vec<Piece> {
        read("a.mid", bytes).unwrap().into_iter().map(Result::unwrap).collect()
    }

    fn error(bytes: &[u8]) -> String {
        match read("a.mid", bytes) {
            Err(error) => format!("{error:#}"),
            Ok(mut pieces) => format!("{:#}", pieces.remove(0).expect_err("an error")),
        }
    }

    #[test]
    fn running_status_channels_and_metas_are_read() {
        let track = [
            &[0, 0xff, 0x58, 4, 3, 3, 24, 8, 0, 0xff, 0x59, 2, 0xfe, 1, 0, 0xff, 0x51, 3, 7, 0xa1, 0x20][..],
            // A C on channel 1 by running status, an E on channel 2, a drum.
            &[0, 0x90, 60, 64, 7, 60, 0, 0, 0x91, 64, 1, 0, 0x99, 36, 1, 14, 0x81, 64, 0],
        ]
        .concat();
        for format in [0, 1] {
            let piece = &pieces(&file(format, 7, &[&track]))[0];
            assert_eq!(notes_in_words(piece), ["0+1:60", "1+2:64"]);
            assert_eq!(piece.parts[1].name, "channel 2");
            assert_eq!(piece.metres[0].metre, Metre::new(3, 8).unwrap());
            assert_eq!(piece.key().unwrap().to_string(), "G minor");
            assert_eq!(piece.tempo_bpm, Some(120.0));
            assert_eq!(piece.remarks, ["1 drum strokes on channel 10 are left out"]);
            assert_eq!(piece.bars.len(), 2);
        }
    }

    #[test]
    fn velocities_pedals_and_drums_are_read() {
        let track = [0, 0x90, 60, 64, 0, 0xb0, 64, 127, 10, 0x90, 60, 0, 0, 0x99, 36, 9, 10, 36, 0, 0, 0xb0, 64, 0];
        let file = file(0, 10, &[&track]);
        let piece = &pieces(&file)[0];
        let beat = super::super::piece::TICKS_PER_BEAT;
        assert_eq!((piece.parts[0].notes[0].velocity, piece.drums.len()), (Some(64), 0));
        assert_eq!((piece.parts[0].notes[0].end(), piece.parts[0].pedalled()[0].end()), (beat, 2 * beat));
        let with_drums = read_with("a.mid", &file, true).unwrap().remove(0).unwrap();
        assert_eq!((with_drums.parts, with_drums.remarks.len()), (piece.parts.clone(), 0));
        let stroke = with_drums.drums[0].notes[0];
        assert_eq!((stroke.onset, stroke.pitch, stroke.velocity), (beat, 36, Some(9)));
    }

    #[test]
    fn a_file_of_drums_alone_is_read_only_with_drums() {
        let file = file(0, 10, &[&[0, 0x99, 36, 9, 10, 36, 0]]);
        assert_eq!(error(&file), "expected notes, got none");
        let piece = read_with("a.mid", &file, true).unwrap().remove(0).unwrap();
        assert_eq!((piece.parts.len(), piece.drums.len()), (0, 1));
    }

    #[test]
    fn type_2_holds_a_piece_a_track() {
        let track = [0, 0x90, 60, 64, 96, 60, 0];
        let pieces = pieces(&file(2, 96, &[&track, &[], &track]));
        let sources: Vec<_> = pieces.iter().map(|piece| piece.source.as_str()).collect();
        assert_eq!(sources, ["a.mid", "a.mid#track-3"]);
    }

    #[test]
    fn overlaps_end_in_order_and_missing_ends_are_mended() {
        let overlapping = [0, 0x90, 60, 1, 10, 60, 1, 10, 60, 0, 10, 60, 0];
        assert_eq!(notes_in_words(&pieces(&file(0, 10, &[&overlapping]))[0]), ["0+2:60 1+2:60"]);
        let lost = [0, 0x90, 60, 1, 10, 60, 1, 10, 60, 0, 10, 62, 1, 10, 62, 0, 0, 64, 1, 20, 64, 1];
        let piece = &pieces(&file(0, 10, &[&lost]))[0];
        assert_eq!(notes_in_words(piece), ["0+1:60 1+1:60 3+1:62 4+2:64"]);
        assert_eq!(piece.remarks, ["3 note-offs are missing; those notes end where their pitch is struck again"]);
    }

    #[test]
    fn errors_say_what_cannot_be_read() {
        assert!(error(b"").contains("expected a MIDI file, got an empty one"));
        assert!(error(b"RIFF").contains("expected a Standard MIDI File"));
        assert!(error(&file(0, 0xe728, &[&[0, 0x90, 60, 1]])).contains("SMPTE"));
        assert!(error(&file(0, 0, &[])).contains("got 0"));
        assert_eq!(error(&file(1, 96, &[&[]])), "expected notes, got none");
        let cut = file(0, 96, &[&[0, 0x90, 60, 64, 96, 60, 0]]);
        assert!(error(&cut[..cut.len() - 6]).contains("cut short"));
        let odd = error(&file(1, 96, &[&[5, 0xff, 0x58, 4, 0, 2, 24, 8]]));
        assert_eq!(odd, "track 1: tick 5: expected a metre, got 0 over 2 to the power of 2");
    }
}
