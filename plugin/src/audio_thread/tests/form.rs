//! Form: the bars, phrases and cadences that requests carry.

use std::collections::BTreeMap;

use continuo_model::generate::Step;
use continuo_model::tokeniser::step_reader::BarPosition;

use super::song::*;
use super::*;

/// A phrase of two bars in 4/4.
const PHRASE: &str = "0/6 1/5 2/4 3/3:12 4/2:8 5/1:4 6/0:0 7/0:0";

#[test]
fn free_plays_phrases_on_the_hosts_bars_in_blocks_of_any_size() {
    let mut first: Option<Vec<Step>> = None;
    for frames in [1, 17, 64, 511, 4096] {
        let mut song = Song::new(Mode::Free, frames);
        song.play(0.0, 15.4, &[]);
        assert_eq!(song.beats(), format!("{PHRASE} {PHRASE}"), "blocks of {frames}");
        for step in song.steps() {
            let bar = BarPosition { step_in_bar: (step.step_idx % 16) as u8, bar_steps: 16 };
            assert_eq!(step.settings.controls.bar, Some(bar), "step {}", step.step_idx);
        }
        let steps: Vec<_> = song.steps().copied().collect();
        assert_eq!(steps.len(), 64);
        assert_eq!(*first.get_or_insert_with(|| steps.clone()), steps, "blocks of {frames}");
    }
}

#[test]
fn the_length_and_the_metre_decide_where_phrases_close() {
    let cases = [
        (Some(2), 4, vec![24, 56, 88, 120]),
        (Some(4), 4, vec![56, 120]),
        (Some(8), 4, vec![120]),
        (None, 3, vec![36, 84]),
        (None, 2, vec![24, 56, 88, 120]),
        (None, 5, vec![20, 60, 100]),
    ];
    for (length, beats_in_bar, expected) in cases {
        let mut song = Song::new(Mode::Free, 512);
        song.settings.phrase_bars = length;
        song.beats_in_bar = beats_in_bar;
        song.play(0.0, 32.0, &[]);
        let begins = song.fermatas();
        assert_eq!(begins, expected, "{length:?} in {beats_in_bar}/4");
    }
}

#[test]
fn a_change_of_metre_is_followed_from_its_first_step_on() {
    for frames in [64, 500, 4000] {
        let mut song = Song::new(Mode::Free, frames);
        song.settings.lookahead_steps = 8;
        song.play(0.0, 12.0, &[]);
        song.beats_in_bar = 3;
        song.play(12.0, 24.0, &[]);
        let steps = song.steps().filter(|step| step.step_idx >= 48);
        for step in steps {
            let bar = BarPosition { step_in_bar: ((step.step_idx - 48) % 12) as u8, bar_steps: 12 };
            assert_eq!(step.settings.controls.bar, Some(bar), "blocks of {frames}, step {}", step.step_idx);
        }
        let begins = song.fermatas();
        // After three bars of 4/4 the fourth bar is the last one of a phrase of four bars of 3/4.
        assert_eq!(begins, [24, 48, 96], "blocks of {frames}");
    }
}

/// The controls by song step, of the steps with counts from `from` on.
fn by_song_step(song: &Song, counts: std::ops::Range<i64>) -> BTreeMap<i64, String> {
    let steps = song.requested.range(counts).map(|(_, step)| (step.step_idx, form(&step.settings.controls)));
    steps.collect()
}

#[test]
fn each_round_of_a_loop_has_the_same_phrases() {
    let mut rounds = Vec::new();
    for frames in [64, 333, 4096] {
        let mut song = Song::new(Mode::Free, frames);
        // A loop of three bars, into which the song leads.
        song.loop_range_beats = Some((4.0, 16.0));
        song.play(0.0, 16.0, &[]);
        song.play(4.0, 16.0, &[]);
        song.play(4.0, 16.0, &[]);
        for counts in [16..64, 64..112, 112..160] {
            rounds.push(by_song_step(&song, counts));
        }
    }
    assert_eq!(rounds[0].len(), 48);
    assert!(rounds.iter().all(|round| *round == rounds[0]), "{rounds:?}");
    assert_eq!(rounds[0][&24], "6/0:0");
    assert_eq!(rounds[0][&56], "6/0:0");
}

#[test]
fn after_a_jump_phrases_count_from_where_it_leads() {
    for frames in [64, 4096] {
        let mut song = Song::new(Mode::Free, frames);
        song.play(0.0, 6.0, &[]);
        song.requested.clear();
        song.play(20.0, 27.4, &[]);
        assert_eq!(song.beats(), PHRASE, "blocks of {frames}");
    }
}

#[test]
fn continue_counts_phrases_from_the_bar_of_its_turn() {
    let acts = [(0.0, Act::Down(67)), (5.2, Act::Up(67))];
    for frames in [64, 480, 4096] {
        let mut song = Song::new(Mode::Continue, frames);
        song.play(0.0, 15.4, &acts);
        // The player's bars, in which the network listens, then its turn from the third bar on.
        let listened = "- - - - - -";
        assert_eq!(song.beats(), format!("{listened} {PHRASE}"), "blocks of {frames}");
        assert!(song.steps().all(|step| step.settings.controls.bar.is_some()));
    }
}

#[test]
fn harmonise_leaves_phrases_to_the_player_but_knows_the_bar() {
    let mut song = Song::new(Mode::Harmonise, 480);
    song.play(0.0, 11.4, &[(0.0, Act::Down(67)), (4.5, Act::Cadence)]);
    assert_eq!(song.beats(), "- - - - - -:12 -:8 -:4 -:0 - - -");
    assert!(song.steps().all(|step| step.settings.controls.bar.is_some()));
    assert!(song.closes().is_empty());
}

#[test]
fn without_the_hosts_bars_the_bar_is_unknown() {
    let mut song = Song::new(Mode::Continue, 480);
    song.host_plays = false;
    song.play(0.0, 11.4, &[(0.0, Act::Down(67)), (3.5, Act::Up(67))]);
    assert!(song.steps().count() > 40);
    assert!(song.steps().all(|step| step.settings.controls.bar.is_none()));
    assert!(song.beats().ends_with(PHRASE), "phrases are counted from the turn: {}", song.beats());
}

#[test]
fn cadence_closes_the_phrase_and_the_plan_begins_anew_after_it() {
    for frames in [17, 480, 4096] {
        let mut song = Song::new(Mode::Free, frames);
        // Pressed on the second beat: the next strong beat that can be prepared begins the second bar.
        song.play(0.0, 13.4, &[(1.5, Act::Cadence)]);
        let closed = "0/6 1/5 2/2:8 3/1:4 4/0:0 0/5 1/4 2/3:12 3/2:8 4/1:4 5/0:0 6/0:0 0/6 1/5";
        assert_eq!(song.beats(), closed, "blocks of {frames}");
    }
}

#[test]
fn a_second_cadence_leaves_the_phrase_before_it_where_it_began() {
    let mut song = Song::new(Mode::Free, 480);
    song.settings.phrase_bars = Some(4);
    song.play(0.0, 13.4, &[(1.5, Act::Cadence), (7.5, Act::Cadence)]);
    let closed = "0/14 1/13 2/2:8 3/1:4 4/0:0 0/13 1/12 2/11 3/2:8 4/1:4 5/0:0 0/11 1/10 2/9";
    assert_eq!(song.beats(), closed);
}

#[test]
fn another_press_before_a_cadence_does_not_postpone_it() {
    for (mode, acts) in [(Mode::Free, vec![]), (Mode::Harmonise, vec![(0.0, Act::Down(67))])] {
        let fermatas = |presses: &[(f64, Act)]| {
            let mut song = Song::new(mode, 480);
            song.settings.phrase_bars = Some(8);
            song.play(0.0, 9.4, &[&acts, presses].concat());
            song.fermatas()
        };
        assert_eq!(fermatas(&[(1.5, Act::Cadence)]), [16], "{mode:?}");
        assert_eq!(fermatas(&[(1.5, Act::Cadence), (2.5, Act::Cadence)]), [16], "{mode:?}");
    }
}

#[test]
fn a_press_during_a_last_chord_requests_a_cadence_that_can_be_prepared_after_it() {
    let mut song = Song::new(Mode::Free, 480);
    // Without the chord, the next strong beat would be the one on which it ends.
    song.play(0.0, 11.4, &[(5.5, Act::Cadence)]);
    assert_eq!(song.beats(), format!("{PHRASE} 0/2:8 1/1:4 2/0:0 0/3:12"));
}

#[test]
fn a_press_during_a_requested_last_chord_does_not_shorten_it() {
    let mut song = Song::new(Mode::Free, 480);
    song.settings.phrase_bars = Some(8);
    song.play(0.0, 8.4, &[(1.5, Act::Cadence), (3.9, Act::Cadence)]);
    let under = song.steps().filter(|step| step.settings.controls.fermata_in == Some(0));
    assert_eq!(under.map(|step| step.step_idx).collect::<Vec<_>>(), [16, 17, 18, 19, 24, 25, 26, 27]);
}
