//! MIDI files of types 0, 1 and 2 as music to learn from.

use std::collections::{BTreeMap, VecDeque};

use anyhow::{Context, Result, ensure};
use continuo_model::midi_file;
use midly::{EventIter, Format, MetaMessage, MidiMessage, Timing, TrackEvent, TrackEventKind};

use super::beats::Beats;
use super::key::{Mode, WrittenKey};
use super::piece::{Metre, Piece};
use super::score::{Line, Score, Written};

/// General MIDI's channel for drums, counted from 0: its pitches are none.
const DRUMS: u8 = 9;

/// The piece of a file; of a type 2 file each track that holds notes. A track and channel is a part.
///
/// Notes of one pitch that overlap in a part end in the order in which they began. Where note-offs are missing a note
/// ends when its pitch is struck again, or with its track. A key signature of C major counts as none: it is what
/// programs write when nobody chose one.
///
/// # Errors
/// If the bytes are no MIDI file, are cut short, count in SMPTE frames, or hold an event that makes no sense; the last
/// with its track and tick.
pub fn read(source: &str, bytes: &[u8]) -> Result<Vec<Result<Piece>>> {
    midi_file::check_length(bytes).map_err(|problem| anyhow::anyhow!("{problem}"))?;
    let (header, tracks) = midly::parse(bytes).context("expected a Standard MIDI File")?;
    let ticks_per_beat = match header.timing {
        Timing::Metrical(ticks) if ticks.as_int() > 0 => i64::from(ticks.as_int()),
        Timing::Metrical(_) => anyhow::bail!("expected ticks per quarter note, got 0; export it again"),
        Timing::Timecode(..) => anyhow::bail!("expected times in beats, got SMPTE frames"),
    };
    let mut scores = vec![Score { source: source.to_string(), ..Score::default() }];
    for (idx, events) in tracks.enumerate() {
        let events = events.with_context(|| format!("track {}", idx + 1))?;
        if header.format == Format::Sequential && idx > 0 {
            scores.push(Score { source: format!("{source}#track-{}", idx + 1), ..Score::default() });
        }
        let score = scores.last_mut().expect("there is a first score");
        read_track(score, events, ticks_per_beat).with_context(|| format!("track {}", idx + 1))?;
    }
    if header.format == Format::Sequential {
        scores.retain(|score| score.lines.iter().any(|line| !line.notes.is_empty()));
        ensure!(!scores.is_empty(), "expected notes, got none");
    }
    Ok(scores.into_iter().map(Score::into_piece).collect())
}

/// What strikes and releases the keys of one channel, by pitch: tick, and whether it strikes.
type Keys = BTreeMap<u8, Vec<(i64, bool)>>;

fn read_track(score: &mut Score, events: EventIter, ticks_per_beat: i64) -> Result<()> {
    let mut tick = 0;
    let mut name = String::new();
    let mut channels: BTreeMap<u8, Keys> = BTreeMap::new();
    let mut drums = 0;
    for event in events {
        let TrackEvent { delta, kind } = event.with_context(|| format!("tick {tick}"))?;
        tick += i64::from(delta.as_int());
        match kind {
            TrackEventKind::Meta(MetaMessage::TrackName(bytes)) => {
                name = super::decoding::text(bytes).trim_end_matches('\0').trim().to_string();
            }
            TrackEventKind::Meta(message) => read_meta(score, message, Beats::new(tick, ticks_per_beat)?, tick)?,
            TrackEventKind::Midi { channel, message } => {
                let (key, strikes) = match message {
                    MidiMessage::NoteOn { key, vel } => (key.as_int(), vel.as_int() > 0),
                    MidiMessage::NoteOff { key, .. } => (key.as_int(), false),
                    _ => continue,
                };
                if channel.as_int() == DRUMS {
                    drums += usize::from(strikes);
                    continue;
                }
                channels.entry(channel.as_int()).or_default().entry(key).or_default().push((tick, strikes));
            }
            _ => {}
        }
    }
    let mut endless = 0;
    let several = channels.len() > 1;
    for (channel, keys) in channels {
        let mut notes = Vec::new();
        for (pitch, keys) in keys {
            let (spans, missing) = spans(&keys, tick);
            endless += missing;
            for (from, to) in spans.into_iter().filter(|(from, to)| to > from) {
                let (at, end) = (Beats::new(from, ticks_per_beat)?, Beats::new(to, ticks_per_beat)?);
                notes.push(Written { at, length: end.minus(at)?, pitch, tied_on: false, tied_back: false });
            }
        }
        let name = if several { format!("{name} channel {}", channel + 1).trim().to_string() } else { name.clone() };
        score.lines.push(Line { name, notes });
    }
    if endless > 0 {
        score
            .remarks
            .push(format!("{endless} note-offs are missing; those notes end where their pitch is struck again"));
    }
    if drums > 0 {
        score.remarks.push(format!("{drums} drum strokes on channel 10 are left out"));
    }
    // A title is the name of a track without notes of its own, as notation programs write it.
    if score.title.is_empty() && score.lines.is_empty() {
        score.title = name;
    }
    Ok(())
}

fn read_meta(score: &mut Score, message: MetaMessage, at: Beats, tick: i64) -> Result<()> {
    match message {
        MetaMessage::Tempo(us) if us.as_int() > 0 && score.tempo_bpm.is_none() => {
            score.tempo_bpm = Some(60e6 / f64::from(us.as_int()));
        }
        MetaMessage::TimeSignature(count, power, ..) => {
            let unit = 1_u16.checked_shl(power.into()).unwrap_or(0);
            let metre = Metre::new(count.into(), unit).with_context(|| {
                format!("tick {tick}: expected a metre, got {count} over 2 to the power of {power}")
            })?;
            score.metres.push((at, metre));
        }
        MetaMessage::KeySignature(fifths, minor) if score.written_key.is_none() && (fifths != 0 || minor) => {
            ensure!((-7..=7).contains(&fifths), "tick {tick}: expected 7 flats to 7 sharps, got {fifths}");
            let mode = if minor { Mode::Minor } else { Mode::Major };
            score.written_key = Some(WrittenKey { fifths, mode: Some(mode) });
        }
        _ => {}
    }
    Ok(())
}

/// When a pitch sounds, ticks, and how many note-offs are missing.
fn spans(keys: &[(i64, bool)], end: i64) -> (Vec<(i64, i64)>, usize) {
    let mut spans = Vec::new();
    let mut sounding = VecDeque::new();
    for &(tick, strikes) in keys {
        if strikes {
            sounding.push_back(tick);
        } else if let Some(from) = sounding.pop_front() {
            spans.push((from, tick));
        }
    }
    let missing = sounding.len();
    if missing > 0 {
        // Which of the notes lost its end is not known, so the next stroke ends each that is still sounding.
        spans.clear();
        let mut from = None;
        for &(tick, strikes) in keys {
            spans.extend(from.take().map(|from| (from, tick)));
            from = strikes.then_some(tick);
        }
        spans.extend(from.map(|from| (from, end)));
    }
    (spans, missing)
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::corpus::score::notes_in_words;

    /// A file of one track a slice of events, each a delta of under 128 and the bytes after it.
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
    fn what_cannot_be_read_is_said() {
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
