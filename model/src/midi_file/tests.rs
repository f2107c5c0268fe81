//! What is written is read, and what is no MIDI file is refused with words.

use midly::{MetaMessage, Smf, TrackEventKind};

use super::*;
use crate::phrase::{Note, Phrase, Track};

fn phrase() -> Phrase {
    let note = |pitch, start_beats, length_beats| Note { pitch, velocity: 90, channel: 1, start_beats, length_beats };
    Phrase {
        tempo_bpm: 96.0,
        time_signature: (3, 4),
        tracks: vec![
            Track {
                name: "Soprano".into(),
                notes: vec![note(67, 0.0, 1.0), note(67, 1.0, 0.25), note(69, 1.25, 0.75)],
            },
            Track { name: "Bass".into(), notes: vec![note(48, 0.5, 2.5)] },
        ],
    }
}

fn problem(bytes: &[u8]) -> String {
    parse("seed.mid", bytes).unwrap_err().to_string()
}

#[test]
fn what_is_written_is_read() {
    assert_eq!(parse("a", &to_bytes(&phrase())).unwrap(), phrase());
    assert_eq!(phrase().end_beats(), 3.0);
    assert_eq!(phrase().notes().iter().map(|n| n.pitch).collect::<Vec<_>>(), [67, 48, 67, 69]);
}

#[test]
fn a_key_is_told_where_it_is_known() {
    let key_of = |bytes: &[u8]| {
        let smf = Smf::parse(bytes).unwrap();
        smf.tracks[0].iter().find_map(|event| match event.kind {
            TrackEventKind::Meta(MetaMessage::KeySignature(sharps, minor)) => Some((sharps, minor)),
            _ => None,
        })
    };
    let in_c_minor = to_bytes_with(
        &phrase(),
        &Conductor { key: Some(KeySignature { sharps: -3, minor: true }), ..Conductor::default() },
    );
    assert_eq!((key_of(&in_c_minor), key_of(&to_bytes(&phrase()))), (Some((-3, true)), None));
    assert_eq!(parse("a", &in_c_minor).unwrap(), phrase());
}

#[test]
fn tempi_and_metres_follow_each_other_in_the_first_track() {
    let change = |at_beats, tempo_bpm, time_signature| TimeChange { at_beats, tempo_bpm, time_signature };
    let changes = vec![change(1.5, 48.0, (3, 4)), change(3.0, 48.0, (6, 8))];
    let bytes = to_bytes_with(&phrase(), &Conductor { changes, ..Conductor::default() });
    let smf = Smf::parse(&bytes).unwrap();
    let mut tick = 0;
    let mut words = Vec::new();
    for event in &smf.tracks[0] {
        tick += event.delta.as_int();
        match event.kind {
            TrackEventKind::Meta(MetaMessage::Tempo(us)) => words.push(format!("{tick} tempo {}", us.as_int())),
            TrackEventKind::Meta(MetaMessage::TimeSignature(beats, power, ..)) => {
                words.push(format!("{tick} metre {beats}/{}", 1 << power));
            }
            _ => {}
        }
    }
    assert_eq!(words, ["0 tempo 625000", "0 metre 3/4", "1440 tempo 1250000", "2880 metre 6/8"]);
    assert_eq!(parse("a", &bytes).unwrap(), phrase());
}

#[test]
fn bad_files_say_what_is_wrong() {
    let bytes = to_bytes(&phrase());
    assert_eq!(problem(&[]), "seed.mid: expected a MIDI file, got an empty one; export it again");
    assert!(problem(b"RIFF").contains("does not begin with `MThd`"));
    assert!(problem(&bytes[..40]).contains("cut short"), "{}", problem(&bytes[..40]));
    let mut smpte = bytes.clone();
    smpte[12..14].copy_from_slice(&[0xE7, 0x28]); // 25 frames a second, 40 ticks a frame
    assert!(problem(&smpte).contains("SMPTE"));
    let silent = Phrase { tracks: Vec::new(), ..phrase() };
    assert_eq!(problem(&to_bytes(&silent)), "seed.mid: expected notes, got none; export the track that holds them");
    assert!(read(Path::new("no/such.mid")).unwrap_err().to_string().starts_with("no/such.mid: cannot be opened"));
}

#[test]
fn every_cut_of_a_file_is_refused() {
    let bytes = to_bytes(&phrase());
    for len in 0..bytes.len() {
        assert!(parse("cut", &bytes[..len]).is_err(), "cut at {len} of {}", bytes.len());
    }
}

#[test]
fn no_bytes_make_it_panic() {
    let mut rng = crate::random::SplitMix64::new(9);
    let bytes = to_bytes(&phrase());
    for _ in 0..20_000 {
        let mut mangled = bytes.clone();
        for _ in 0..1 + rng.next_below(6) {
            let at = rng.next_below(mangled.len());
            mangled[at] = rng.next_u64() as u8;
        }
        let _ = parse("mangled", &mangled);
    }
}

/// A file of 10 ticks a quarter note, a slice of bytes a track: deltas under 128, each with an event behind it.
fn file(format: u8, tracks: &[&[u8]]) -> Vec<u8> {
    let mut bytes = b"MThd\0\0\0\x06\0".to_vec();
    bytes.extend([format, 0, tracks.len() as u8, 0, 10]);
    for track in tracks {
        bytes.extend(b"MTrk");
        bytes.extend((track.len() as u32 + 4).to_be_bytes());
        bytes.extend(*track);
        bytes.extend([0, 0xff, 0x2f, 0]);
    }
    bytes
}

/// Each track of a phrase: its name, its channel, and its notes as `start+length:pitch` in beats.
fn words(bytes: &[u8]) -> Vec<String> {
    let word = |note: &Note| format!("{}+{}:{}", note.start_beats, note.length_beats, note.pitch);
    let track = |track: &Track| {
        let notes: Vec<_> = track.notes.iter().map(word).collect();
        format!("{}/{} {}", track.name, track.notes[0].channel, notes.join(" "))
    };
    parse("a.mid", bytes).unwrap().tracks.iter().map(track).collect()
}

#[test]
fn a_track_and_channel_is_a_part_and_drums_are_none() {
    // A C on channel 1, an E on channel 2, a drum stroke on channel 10.
    let track = [0, 0xff, 3, 1, b'a', 0, 0x90, 60, 9, 10, 60, 0, 0, 0x91, 64, 9, 0, 0x99, 36, 9, 20, 0x81, 64, 0];
    assert_eq!(words(&file(0, &[&track])), ["a channel 1/0 0+1:60", "a channel 2/1 1+2:64"]);
    let drums = [0, 0x99, 36, 9, 10, 36, 0];
    assert_eq!(words(&file(1, &[&drums, &[0, 0x90, 60, 9, 10, 60, 0]])), ["/0 0+1:60"]);
    let read = MidiFile::parse(&file(0, &[&drums])).unwrap();
    let stroke = MidiNote { tick: 0, end_tick: 10, key: 36, velocity: 9 };
    assert_eq!(read.pieces[0].drums, [MidiPart { name: String::new(), channel: 9, notes: vec![stroke] }]);
    let error = parse("a.mid", &file(0, &[&drums])).unwrap_err().to_string();
    assert_eq!(error, "a.mid: expected notes, got drums only (channel 10); export a track with pitches");
}

#[test]
fn overlaps_end_in_order_and_missing_ends_are_mended() {
    let overlapping = [0, 0x90, 60, 1, 10, 60, 1, 10, 60, 0, 10, 60, 0];
    assert_eq!(words(&file(0, &[&overlapping])), ["/0 0+2:60 1+2:60"]);
    let lost = [0, 0x90, 60, 1, 10, 60, 1, 10, 60, 0, 10, 64, 1, 10, 64, 1];
    assert_eq!(words(&file(0, &[&lost])), ["/0 0+1:60 1+1:60 3+1:64"]);
    let file = MidiFile::parse(&file(0, &[&lost])).unwrap();
    assert_eq!(file.pieces[0].missing_note_offs, [3]);
}

#[test]
fn the_pedal_lengthens_no_note() {
    let track = [0, 0xb0, 64, 127, 0, 0x90, 60, 9, 10, 60, 0, 30, 0xb0, 64, 0];
    assert_eq!(words(&file(0, &[&track])), ["/0 0+1:60"]);
    assert_eq!(pedals(0, &[&track]), [(0, 0, 40)]);
}

/// The pedals of the last piece: channel, from, to.
fn pedals(format: u8, tracks: &[&[u8]]) -> Vec<(u8, u64, u64)> {
    let pieces = MidiFile::parse(&file(format, tracks)).unwrap().pieces;
    pieces.last().unwrap().pedals.iter().map(|pedal| (pedal.channel, pedal.tick, pedal.end_tick)).collect()
}

#[test]
fn a_pedal_holds_for_its_channel_in_all_tracks() {
    let down = [5, 0xb0, 64, 64, 10, 64, 100, 5, 64, 63, 1, 64, 0];
    let left_down = [30, 0xb1, 64, 127, 0, 0xb0, 64, 90, 10, 0x90, 60, 9, 10, 60, 0];
    assert_eq!(pedals(1, &[&down, &left_down]), [(0, 5, 20), (0, 30, 50), (1, 30, 50)]);
    assert_eq!(pedals(2, &[&down, &left_down]), [(0, 30, 50), (1, 30, 50)]);
    // Another controller, and a pedal that comes up at once.
    assert_eq!(pedals(0, &[&[0, 0xb0, 66, 127, 5, 64, 127, 0, 64, 0, 9, 0x90, 60, 9, 9, 60, 0]]), []);
}

#[test]
fn a_type_2_file_holds_a_piece_a_track() {
    let track = |key: u8| [0, 0x90, key, 9, 10, key, 0];
    let bytes = file(2, &[&[0, 0xff, 3, 1, b't'], &track(60), &track(64)]);
    let file = MidiFile::parse(&bytes).unwrap();
    let pieces: Vec<_> = file.pieces.iter().map(|piece| (piece.track_idx, piece.parts.len())).collect();
    assert_eq!((pieces.as_slice(), file.pieces[0].title.as_str()), ([(0, 0), (1, 1), (2, 1)].as_slice(), "t"));
    assert_eq!(words(&bytes), ["/0 0+1:60"]);
}

#[test]
fn tempo_and_metre_are_the_first_in_time_wherever_they_stand() {
    let late = [10, 0xff, 0x51, 3, 7, 0xa1, 0x20, 0, 0xff, 0x58, 4, 5, 2, 24, 8, 0, 0x90, 60, 9, 10, 60, 0];
    let early = [0, 0xff, 0x58, 4, 0, 2, 24, 8, 5, 0xff, 0x58, 4, 3, 3, 24, 8, 0, 0xff, 0x51, 3, 15, 0x42, 0x40];
    let phrase = parse("a.mid", &file(1, &[&late, &early])).unwrap();
    // The metre 0/4 is none.
    assert_eq!((phrase.tempo_bpm, phrase.time_signature), (60.0, (3, 8)));
}

#[test]
fn time_signatures_have_beats_and_a_power_of_two() {
    assert_eq!(
        [(6, 8), (255, 64), (1, 1)].map(|(beats, unit)| time_signature(beats, unit)),
        [Some((6, 8)), Some((255, 64)), Some((1, 1))]
    );
    for (beats, unit) in [(0, 4), (-3, 4), (256, 4), (4, 0), (4, 3), (4, 128), (4, -4)] {
        assert_eq!(time_signature(beats, unit), None, "{beats}/{unit}");
    }
}
