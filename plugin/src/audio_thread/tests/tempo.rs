//! The changes of tempo and metre that the take receives while time runs on.

use super::*;
use crate::bridge::{Changed, Told};

/// Plays stretches, given as (beats, tempo at the end, metre), in blocks of 10 ms. Returns what was sent to the take as
/// `beats: tempo metre`. The tempo moves in a straight line from one stretch's to the next's.
fn told(stretches: &[(f64, f64, (i32, i32))]) -> Vec<String> {
    let (audio_end, mut end, _) = bridge::new();
    let mut audio = AudioThread::new(audio_end, SAMPLE_RATE, 4096, Instant::now);
    let (mut pos_beats, mut first_beats, mut tempo_before) = (0.0, 0.0, stretches[0].1);
    let mut words = Vec::new();
    for &(beats, tempo_bpm, metre) in stretches {
        while pos_beats < first_beats + beats - 1e-9 {
            let share = (pos_beats - first_beats) / beats;
            let tempo = tempo_before + (tempo_bpm - tempo_before) * share;
            let mut block = block(Mode::Harmonise, 0, Instant::now());
            let bar = f64::from(metre.0) * 4.0 / f64::from(metre.1);
            block.host.tempo_bpm = Some(tempo);
            block.host.pos_beats = Some(pos_beats);
            block.host.time_signature = Some(metre);
            block.host.bar_start_beats = Some(first_beats + ((pos_beats - first_beats) / bar).floor() * bar);
            audio.process(&block, &mut (), |_| true);
            pos_beats += tempo / 60.0 * 0.01;
            while let Some(told) = end.told() {
                if let Told::Changed(Changed { take_beats, tempo_bpm, time_signature: (beats, unit) }) = told {
                    words.push(format!("{take_beats:.2}: {tempo_bpm:.1} {beats}/{unit}"));
                }
            }
        }
        (first_beats, tempo_before) = (first_beats + beats, tempo_bpm);
    }
    words
}

#[test]
fn a_steady_tempo_is_no_news() {
    assert!(told(&[(8.0, 96.0, (4, 4))]).is_empty());
}

#[test]
fn a_metre_begins_with_its_bar() {
    // The first block of the new metre begins a little after the bar line.
    assert_eq!(
        told(&[(8.0, 97.0, (4, 4)), (3.0, 97.0, (3, 4)), (2.0, 97.0, (2, 4))]),
        ["8.00: 97.0 3/4", "11.00: 97.0 2/4"]
    );
}

#[test]
fn a_ramp_is_told_in_16ths_and_to_its_end() {
    let told = told(&[(4.0, 60.0, (4, 4)), (1.0, 120.0, (4, 4)), (4.0, 120.0, (4, 4))]);
    assert!((4..=6).contains(&told.len()), "{told:?}");
    assert!(told.last().is_some_and(|last| last.ends_with("120.0 4/4")), "{told:?}");
}
