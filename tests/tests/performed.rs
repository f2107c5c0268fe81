//! A style of performed music in the built bundle: two hands are answered with two hands, as loud as they were, and a
//! bounce is what was heard.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use continuo_tests::answers::{Start, instance, play, session_of, starts};
use continuo_tests::fake_host::{EventKind, Format};
use continuo_tests::host_clock::SAMPLE_RATE;
use continuo_tests::rack::{Blocks, Pace, Sent};
use continuo_tests::script::{Script, Stretch};
use continuo_tests::session::{choose, without_expression};

const STYLE: &str = "performed-piano";
/// All styles of two hands.
const STYLES: [&str; 3] = [STYLE, "chopin", "well-tempered"];
const TEMPO: f64 = 100.0;
/// The length of the player's phrase, and of the whole session, in beats.
const PHRASE: f64 = 16.0;
const SESSION: f64 = 48.0;
/// The right hand: start, length and key.
const RIGHT: [(f64, f64, u8); 13] = [
    (0.0, 1.0, 72),
    (1.0, 1.0, 76),
    (2.0, 1.5, 79),
    (3.5, 0.5, 77),
    (4.0, 1.0, 76),
    (5.0, 1.0, 74),
    (6.0, 2.0, 72),
    (8.0, 1.0, 69),
    (9.0, 1.0, 72),
    (10.0, 1.5, 77),
    (11.5, 0.5, 76),
    (12.0, 2.0, 74),
    (14.0, 1.9, 72),
];
/// The chords that the left hand breaks, one for every two beats.
const LEFT: [[u8; 3]; 8] =
    [[48, 55, 52], [48, 55, 52], [48, 55, 52], [43, 50, 47], [41, 48, 45], [41, 48, 45], [43, 50, 47], [48, 55, 52]];

/// The phrase of two hands, at a level from 0 to 1; the left hand is softer.
fn two_hands(mut script: Script, stretch: usize, level: f32) -> Script {
    for (start, length, key) in RIGHT {
        script = play(script, stretch, key, (start, start + length - 0.05), level);
    }
    for (n, [low, high, middle]) in LEFT.into_iter().enumerate() {
        for (eighth, key) in [low, high, middle, high].into_iter().enumerate() {
            let start = 2.0 * n as f64 + 0.5 * eighth as f64;
            script = play(script, stretch, key, (start, start + 0.45), level * if eighth == 0 { 0.85 } else { 0.7 });
        }
    }
    script
}

fn answer(style: &str, rng_seed: u32, level: f32) -> Result<Sent> {
    let mut plugin = instance(Format::Clap, style, "Continue", true)?;
    choose(&mut plugin, "Rng seed", &rng_seed.to_string())?;
    two_hands(session_of(SESSION, TEMPO), 1, level).run(&mut plugin, SAMPLE_RATE, Blocks::Of(512), Pace::Fast)
}

fn mean(numbers: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = numbers.fold((0.0, 0), |(sum, count), number| (sum + number, count + 1));
    sum / f64::from(count.max(1))
}

/// How many notes sound on average while any does, and the share of notes that start while an earlier one sounds.
fn voices_and_overlap(sent: &Sent) -> (f64, f64) {
    let mut sounding: BTreeMap<(u8, u8), u64> = BTreeMap::new();
    let (mut before, mut sum, mut time, mut overlapped, mut notes) = (0, 0.0, 0.0, 0, 0);
    for (at, kind) in sent {
        if !sounding.is_empty() {
            sum += (at - before) as f64 * sounding.len() as f64;
            time += (at - before) as f64;
        }
        before = *at;
        match *kind {
            EventKind::NoteOn { channel, key, .. } => {
                notes += 1;
                overlapped += u32::from(sounding.values().any(|since| since < at));
                sounding.insert((channel, key), *at);
            }
            EventKind::NoteOff { channel, key, .. } => {
                sounding.remove(&(channel, key));
            }
            _ => {}
        }
    }
    (sum / time, f64::from(overlapped) / f64::from(notes))
}

#[test]
fn two_hands_are_answered_by_two_hands() -> Result<()> {
    let (mut voices, mut overlaps, mut spreads, mut lanes) = (Vec::new(), Vec::new(), Vec::new(), [0; 16]);
    let (mut off_grid, mut all) = (0, 0);
    for rng_seed in 1..9 {
        let sent = answer(STYLE, rng_seed, 0.6)?;
        let notes = starts(&sent, TEMPO);
        ensure!(notes.len() > 40, "rng seed {rng_seed}: only {} notes", notes.len());
        let first = notes[0].beats;
        ensure!((PHRASE..PHRASE + 0.1).contains(&first), "rng seed {rng_seed}: it enters at {first}");
        let (sounding, overlap) = voices_and_overlap(&sent);
        voices.push(sounding);
        overlaps.push(overlap);
        for window in [PHRASE, 2.0 * PHRASE] {
            let in_window = || notes.iter().filter(|note| (window..window + PHRASE).contains(&note.beats));
            let loudness = mean(in_window().map(|note| f64::from(note.velocity)));
            spreads.push(mean(in_window().map(|note| (f64::from(note.velocity) - loudness).powi(2))).sqrt());
        }
        // The first notes of a turn come late.
        let from_grid = |note: &&Start| (note.beats * 4.0 - (note.beats * 4.0).round()).abs();
        let later = || notes.iter().filter(|note| note.beats > PHRASE + 0.2);
        off_grid += later().filter(|note| from_grid(note) > 0.5 / 24.0).count();
        all += later().count();
        notes.iter().for_each(|note| lanes[usize::from(note.lane)] += 1);
    }
    ensure!(3 * off_grid > all, "only {off_grid} notes of {all} lie off the 16ths");
    let [voices, overlaps, spread] = [voices, overlaps, spreads].map(|figures| mean(figures.into_iter()));
    println!("{voices:.2} notes at a time, {overlaps:.2} overlap, velocities spread by {spread:.1}");
    ensure!(voices >= 2.0, "{voices} notes sound at a time");
    ensure!(overlaps > 0.2, "{overlaps} of the notes start while another one sounds");
    // Held-out performances: 9.9 in four bars; within 30 %.
    ensure!((6.9..12.9).contains(&spread), "a standard deviation of velocities of {spread}");
    ensure!(lanes[0] > 50 && lanes[1] > 50 && lanes[2..].iter().all(|count| *count == 0), "{lanes:?}");
    Ok(())
}

#[test]
fn every_style_of_two_hands_plays_as_loud_as_the_player() -> Result<()> {
    const LEVELS: [f32; 5] = [0.25, 0.4, 0.55, 0.7, 0.9];
    for style in STYLES {
        let loudness = |level: f32| -> Result<f64> {
            let answers = (1..7).map(|seed| answer(style, seed, level));
            let notes: Vec<Start> =
                answers.collect::<Result<Vec<_>>>()?.iter().flat_map(|sent| starts(sent, TEMPO)).collect();
            Ok(mean(notes.iter().map(|note| f64::from(note.velocity))))
        };
        let means = LEVELS.into_iter().map(loudness).collect::<Result<Vec<_>>>()?;
        // Spearman's rank correlation of five levels.
        let rank = |of: f64| means.iter().filter(|other| **other < of).count() as f64;
        let differences: f64 = means.iter().enumerate().map(|(n, mean)| (n as f64 - rank(*mean)).powi(2)).sum();
        let correlation = 1.0 - 6.0 * differences / (5.0 * 24.0);
        println!("{style}: {means:?}");
        ensure!(correlation >= 0.8, "{style}: {means:?}");
        ensure!(means[4] > means[0] + 15.0, "{style}: {means:?}");
    }
    Ok(())
}

/// A phrase, a turn of the network, and a loop that comes round twice.
fn looped(format: Format, blocks: Blocks, expressive: bool) -> Result<Sent> {
    let in_loop =
        |from: f64, beats: f64| Stretch { loop_range_beats: Some((16.0, 24.0)), ..Stretch::play(from, beats) };
    let stretches =
        [Stretch::stand(1.0), in_loop(0.0, 24.0), in_loop(16.0, 8.0), in_loop(16.0, 8.0), Stretch::stand(2.0)];
    let script = Script { stretches: stretches.map(|stretch| stretch.at_tempo(TEMPO)).into(), ..Script::default() };
    let mut plugin = instance(format, STYLE, "Continue", true)?;
    if !expressive {
        without_expression(&mut plugin)?;
    }
    two_hands(script, 1, 0.6).run(&mut plugin, SAMPLE_RATE, blocks, Pace::Fast)
}

#[test]
fn formats_and_blocks_play_the_same_and_every_round_is_alike() -> Result<()> {
    for expressive in [true, false] {
        let first = looped(Format::Clap, Blocks::Of(512), expressive)?;
        for (format, blocks) in [(Format::Clap, 64), (Format::Clap, 1000), (Format::Vst3, 512), (Format::Vst3, 100)] {
            let other = looped(format, Blocks::Of(blocks), expressive)?;
            ensure!(other == first, "{format:?} in blocks of {blocks} plays something else");
        }
        let notes = starts(&first, TEMPO);
        let round = |n: f64| -> Vec<(i64, u8, u8, u8)> {
            let (from, to) = (16.0 + 8.0 * n, 24.0 + 8.0 * n);
            let of_round = notes.iter().filter(|note| (from..to).contains(&note.beats));
            of_round
                .map(|note| (((note.beats - from) * 1000.0).round() as i64, note.lane, note.key, note.velocity))
                .collect()
        };
        ensure!(round(1.0).len() > 10, "{:?}", round(1.0));
        ensure!(round(1.0) == round(2.0), "{:?}\n{:?}", round(1.0), round(2.0));
    }
    Ok(())
}

/// A left hand alone, which rests for two bars between its two phrases.
fn accompanied(format: Format, blocks: Blocks) -> Result<Sent> {
    let mut plugin = instance(format, STYLE, "Accompany", true)?;
    choose(&mut plugin, "Your voice", "Bass")?;
    let mut script = session_of(SESSION, TEMPO);
    for (n, [low, high, middle]) in LEFT.into_iter().enumerate().filter(|(n, _)| *n < 4) {
        for (eighth, key) in [low, high, middle, high].into_iter().enumerate() {
            let start = 2.0 * n as f64 + 0.5 * eighth as f64;
            for phrase in [0.0, PHRASE] {
                script = play(script, 1, key, (phrase + start, phrase + start + 0.45), 0.6);
            }
        }
    }
    script.run(&mut plugin, SAMPLE_RATE, blocks, Pace::Fast)
}

#[test]
fn a_left_hand_is_accompanied_through_its_rests() -> Result<()> {
    let sent = accompanied(Format::Clap, Blocks::Of(512))?;
    let notes = starts(&sent, TEMPO);
    ensure!(notes.iter().all(|note| note.lane == 0), "the right hand's lane alone: {notes:?}");
    let count = |from: f64, to: f64| notes.iter().filter(|note| (from..to).contains(&note.beats)).count();
    // The hand plays in beats 0 to 8 and 16 to 24, and two bars later the music ends.
    for (from, to) in [(0.0, 8.0), (8.0, 16.0), (16.0, 24.0), (24.0, 32.0)] {
        ensure!(count(from, to) > 4, "{} notes from beat {from} to {to}", count(from, to));
    }
    ensure!(count(32.1, SESSION) == 0, "it plays on at {:?} without the player", notes.last());
    for (format, blocks) in [(Format::Clap, 64), (Format::Vst3, 333)] {
        ensure!(accompanied(format, Blocks::Of(blocks))? == sent, "{format:?} in blocks of {blocks} plays otherwise");
    }
    Ok(())
}

#[test]
fn three_voices_go_on_through_the_rests_of_a_fourth() -> Result<()> {
    let mut plugin = instance(Format::Clap, "bach", "Accompany", true)?;
    let mut script = session_of(SESSION, TEMPO);
    for (start, length, key) in RIGHT.iter().filter(|note| note.0 < 8.0) {
        script = play(script, 1, *key, (*start, start + length - 0.05), 0.6);
    }
    let sent = script.run(&mut plugin, SAMPLE_RATE, Blocks::Of(512), Pace::Fast)?;
    let notes = starts(&sent, TEMPO);
    ensure!(notes.iter().all(|note| (1..4).contains(&note.lane)), "the player's voice rests: {notes:?}");
    let in_rests = notes.iter().filter(|note| (8.0..16.0).contains(&note.beats)).count();
    ensure!(in_rests > 8, "only {in_rests} notes in two bars of rest");
    ensure!(notes.iter().all(|note| note.beats < 16.1), "it plays on without the player: {:?}", notes.last());
    Ok(())
}

#[test]
fn a_right_hand_gets_a_left_hand() -> Result<()> {
    let mut plugin = instance(Format::Clap, STYLE, "Harmonise", true)?;
    let mut script = session_of(SESSION, TEMPO);
    for (start, length, key) in RIGHT.iter().chain(&RIGHT.map(|(start, length, key)| (start + PHRASE, length, key))) {
        script = play(script, 1, *key, (*start, start + length - 0.05), 0.6);
    }
    let sent = script.run(&mut plugin, SAMPLE_RATE, Blocks::Of(512), Pace::Fast)?;
    let notes = starts(&sent, TEMPO);
    ensure!(notes.len() > 20, "only {} notes", notes.len());
    ensure!(notes.iter().all(|note| note.lane == 1), "the left hand's lane alone: {notes:?}");
    let last = notes.last().context("there are notes")?.beats;
    ensure!(last < 2.0 * PHRASE + 0.5, "it plays on at {last} without the player");
    Ok(())
}
