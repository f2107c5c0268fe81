//! The takes in a host's project: they hold the music as it went out, through loops too, and stay small.

#![forbid(unsafe_code)]

use anyhow::{Context, Result, ensure};
use continuo_model::midi_file::{Conductor, KeySignature, TimeChange, to_bytes_with};
use continuo_model::phrase::{Note, Phrase, Track};
use continuo_tests::clip;
use continuo_tests::fake_host::{EventKind, Format, HostedPlugin};
use continuo_tests::host_clock::SAMPLE_RATE;
use continuo_tests::script::{Blocks, Pace, Script, Sent, Stretch};
use continuo_tests::session::{note_effect, saved_takes};
use serde_json::Value;

/// The takes, once the worker has recorded `count` notes.
fn takes_of(plugin: &mut HostedPlugin, count: usize) -> Result<(usize, Value)> {
    let patience = std::time::Instant::now() + std::time::Duration::from_secs(60);
    loop {
        let (size, takes) = saved_takes(plugin)?;
        let notes = takes["notes"].as_array().context("expected notes")?.len();
        if notes == count {
            return Ok((size, takes));
        }
        ensure!(std::time::Instant::now() < patience, "expected {count} notes in the project, got {notes}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

fn num_starts(sent: &Sent) -> usize {
    sent.iter().filter(|(_, kind)| matches!(kind, EventKind::NoteOn { .. })).count()
}

#[test]
fn sixty_four_full_bars_fit_into_a_project_and_come_back() -> Result<()> {
    let mut plugin = note_effect(Format::Clap, SAMPLE_RATE, true)?;
    // Four notes on each 16th of 63 bars and a bit, as many as four voices can play.
    let mut script = Script { stretches: vec![Stretch::play(0.0, 255.0), Stretch::stand(1.0)], happenings: Vec::new() };
    for step in 0..1016 {
        for key in [72 + step % 5, 67 - step % 3, 60 + step % 4, 48 - step % 7] {
            script = script.notes(0, &format!("{} {key} 0.25", f64::from(step) * 0.25));
        }
    }
    let sent = script.run(&mut plugin, SAMPLE_RATE, Blocks::Of(4096), Pace::Fast)?;
    let count = num_starts(&sent);
    ensure!(count >= 4 * 1016, "expected all notes to go through, got {count}");
    let (size, saved) = takes_of(&mut plugin, count)?;
    println!("{count} notes, {size} bytes");
    ensure!(size < 256 * 1024, "expected a project below 256 KiB, got {size} bytes");
    let state = plugin.save_state()?;
    let mut again = note_effect(Format::Clap, SAMPLE_RATE, true)?;
    again.load_state(&state)?;
    ensure!(saved_takes(&mut again)?.1 == saved, "what was saved came back otherwise");
    Ok(())
}

#[test]
fn each_start_is_a_take_and_a_loop_is_written_out() -> Result<()> {
    let mut plugin = note_effect(Format::Clap, SAMPLE_RATE, true)?;
    let round = Stretch { loop_range_beats: Some((4.0, 8.0)), ..Stretch::play(4.0, 4.0) };
    let stretches = vec![round, round, Stretch::stand(2.0), Stretch::play(17.0, 3.0), Stretch::stand(2.0)];
    let script = Script { stretches, happenings: Vec::new() };
    let script = script.notes(0, "0 67 1").notes(1, "0 69 1").notes(3, "1 71 1");
    let sent = script.run(&mut plugin, SAMPLE_RATE, Blocks::Of(512), Pace::Fast)?;
    let (_, saved) = takes_of(&mut plugin, num_starts(&sent))?;
    let starts = saved["starts"].as_array().context("expected starts")?;
    let bars: Vec<_> =
        starts.iter().map(|start| (start["number"].as_i64(), start["bar_start_ticks"].as_i64())).collect();
    ensure!(bars == [(Some(1), Some(4 * 960)), (Some(2), Some(16 * 960))], "{bars:?}");
    // [channel, key, velocity, start, length]; the player's notes are on channels below 16.
    let notes = saved["notes"].as_array().context("expected notes")?;
    let played = notes.iter().filter(|note| note[0].as_i64() < Some(16));
    let played: Vec<_> = played.map(|note| (note[1].as_i64().unwrap_or(0), note[3].as_i64().unwrap_or(0))).collect();
    ensure!(played == [(67, 4 * 960), (69, 8 * 960), (71, 18 * 960)], "the second round follows the first: {played:?}");
    ensure!(notes.len() > played.len(), "what was generated is there too");
    Ok(())
}

#[test]
fn another_parser_reads_what_a_clip_says() -> Result<()> {
    let note = |pitch, start_beats, length_beats| Note { pitch, velocity: 77, channel: 2, start_beats, length_beats };
    // The second note is struck where the first one ends, on the same key.
    let notes = vec![note(60, 0.0, 1.5), note(60, 1.5, 0.5), note(63, 2.0, 0.25)];
    let tracks = vec![Track { name: "Tenor".into(), notes }];
    let phrase = Phrase { tempo_bpm: 90.0, time_signature: (7, 8), tracks };
    let change = TimeChange { at_beats: 1.75, tempo_bpm: 100.0, time_signature: (3, 4) };
    let key = KeySignature { sharps: -3, minor: true };
    let conductor = Conductor { key: Some(key), changes: vec![change], end_beats: 3.25 };
    let clip = clip::read(&to_bytes_with(&phrase, &conductor))?;
    let notes = vec![(2, 60, 77, 0, 1440), (2, 60, 77, 1440, 480), (2, 63, 77, 1920, 240)];
    let expected = clip::Clip {
        ticks_per_beat: 960,
        tempi: vec![(0, 666_667), (1680, 600_000)],
        metres: vec![(0, 7, 8), (1680, 3, 4)],
        keys: vec![(0, -3, true)],
        ends: vec![3120, 3120],
        tracks: vec![("Tenor".into(), notes)],
    };
    ensure!(clip == expected, "expected {expected:?}, got {clip:?}");
    Ok(())
}
