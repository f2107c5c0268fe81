//! Form: the bars, phrases and cadences that requests carry, and the end of the music.

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

#[test]
fn respond_ends_in_a_turn_of_its_own() {
    let mut song = Song::new(Mode::Respond, 480);
    // A bar after the press it is the player's turn.
    song.play(0.0, 28.0, &[(0.0, Act::Down(67)), (1.0, Act::Up(67)), (5.0, Act::End)]);
    assert_eq!(song.closes(), [56]);
    assert_eq!(song.starts(13.0, 28.0), [48, 50, 64, 65, 67, 69]);
    assert_eq!([15.99, 16.0].map(|beat| song.num_sounding(beat)), [3, 0]);
    assert!(song.starts(14.0 + 0.01, 28.0).is_empty());
}

#[test]
fn the_end_is_a_chord_to_the_end_of_its_bar_and_silence_after_it() {
    for (mode, frames) in [(Mode::Free, 17), (Mode::Free, 480), (Mode::Free, 4096), (Mode::Continue, 480)] {
        let mut song = Song::new(mode, frames);
        let mut acts = vec![(0.0, Act::Down(67)), (2.2, Act::Up(67))];
        if mode == Mode::Free {
            acts.clear();
        }
        acts.push((5.4, Act::End));
        song.play(0.0, 40.0, &acts);
        // The phrase closes on beat 10 in Continue, which has not been a bar; in Free sooner.
        let at = *song.closes().first().expect("the music closes");
        assert_eq!(song.closes(), [at], "{mode:?}");
        let (chord, end) = (at as f64 / 4.0, (at / 16 * 16 + 16) as f64 / 4.0);
        assert!((10.0..=12.0).contains(&chord), "{mode:?}: beat {chord}");
        assert_eq!(song.last_requested(), at, "{mode:?}");
        assert_eq!(song.starts(chord - 1.0, chord), [50, 65, 69], "{mode:?}");
        assert_eq!(song.starts(chord, 40.0), [48, 64, 67], "{mode:?}");
        assert_eq!([chord, end - 0.01, end, 39.0].map(|beat| song.num_sounding(beat)), [3, 3, 0, 0], "{mode:?}");
        let left: Vec<_> = song.steps().filter_map(|step| step.settings.controls.fermata_in).collect();
        assert!(left.ends_with(&[4, 3, 2, 1, 0]), "{mode:?}: {left:?}");
    }
}

#[test]
fn after_the_end_the_network_plays_again_when_the_player_or_the_transport_does() {
    let plays_on: [(&str, Acts, bool); 5] = [
        ("nothing", &[], false),
        ("panic", &[(20.0, Act::Panic)], false),
        ("buttons", &[(20.0, Act::Cadence), (24.0, Act::End)], false),
        ("a note", &[(20.0, Act::Down(67)), (21.5, Act::Up(67))], true),
        ("a mode", &[(20.0, Act::Mode(Mode::Continue)), (20.1, Act::Mode(Mode::Free))], true),
    ];
    for (name, acts, plays) in plays_on {
        let mut song = Song::new(Mode::Free, 480);
        song.play(0.0, 36.0, &[&[(2.5, Act::End)], acts].concat());
        assert_eq!(!song.starts(20.0, 36.0).is_empty(), plays, "after {name}");
        assert_eq!(song.closes().len(), 1);
        // And if the transport jumps.
        song.play(64.0, 70.0, &[]);
        assert!(!song.starts(64.0, 70.0).is_empty(), "after {name} and a jump");
        // And if it stops and starts.
        song.play(70.0, 90.0, &[(70.5, Act::End)]);
        assert!(song.starts(84.0, 90.0).is_empty());
        song.host_plays = false;
        song.play(90.0, 90.1, &[]);
        song.host_plays = true;
        song.play(90.1, 99.0, &[]);
        assert!(!song.starts(90.0, 99.0).is_empty(), "after {name} and a start");
    }
}

#[test]
fn a_player_who_plays_before_the_end_gets_it_in_the_networks_next_turn() {
    for frames in [17, 480, 4096] {
        for again in [None, Some((4.6, Act::End))] {
            let mut song = Song::new(Mode::Free, frames);
            let mut acts = vec![(2.5, Act::End), (4.2, Act::Down(67))];
            acts.extend(again);
            acts.push((5.5, Act::Up(67)));
            song.play(0.0, 40.0, &acts);
            // The turn begins on beat 8.
            assert_eq!(song.closes(), [48], "blocks of {frames}");
            assert_eq!(song.starts(12.0, 40.0), [48, 64, 67], "blocks of {frames}");
        }
    }
}

#[test]
fn the_end_pressed_in_the_players_turn_closes_the_networks_next_one() {
    // One long note, or a note between the press and the chord.
    let long: Acts = &[(0.0, Act::Down(67)), (1.5, Act::End), (10.5, Act::Up(67))];
    let notes: Acts =
        &[(0.0, Act::Down(67)), (1.0, Act::Up(67)), (1.5, Act::End), (2.2, Act::Down(69)), (10.5, Act::Up(69))];
    for (mode, acts) in [Mode::Continue, Mode::Free].into_iter().flat_map(|mode| [(mode, long), (mode, notes)]) {
        let mut song = Song::new(mode, 480);
        song.play(0.0, 36.0, &[acts, &[(24.5, Act::Down(67)), (25.5, Act::Up(67))]].concat());
        // The turn begins on beat 12.
        assert_eq!(song.closes(), [64], "{mode:?}");
        assert!(!song.starts(12.0, 16.0).is_empty(), "{mode:?}");
        assert_eq!(song.starts(16.0, 24.0), [48, 64, 67], "{mode:?}");
        assert_eq!(song.num_sounding(24.0), 0, "{mode:?}");
        assert_eq!(song.starts(24.0, 36.0), [50, 65, 69], "{mode:?}: after the end, playing reopens the music");
    }
}

#[test]
fn the_end_waits_while_the_player_keeps_the_turn() {
    let mut song = Song::new(Mode::Continue, 480);
    // The second note falls just after the bar line on which the network's turn would begin.
    let acts = [(0.0, Act::Down(67)), (1.0, Act::Up(67)), (1.5, Act::End), (4.02, Act::Down(67)), (5.0, Act::Up(67))];
    song.play(0.0, 24.0, &acts);
    assert_eq!(song.closes(), [48]);
}

#[test]
fn respond_places_the_end_in_its_own_bars_after_a_cadence_in_the_players() {
    for (respond_bars, at) in [(1, 24), (2, 48)] {
        let mut song = Song::new(Mode::Respond, 480);
        song.settings.respond_bars = respond_bars;
        let acts = [(0.0, Act::Down(67)), (0.6, Act::Cadence), (1.0, Act::Up(67)), (1.5, Act::End)];
        song.play(0.0, 40.0, &acts);
        assert_eq!(song.closes(), [at], "{respond_bars} bars");
        assert_eq!(song.starts(at as f64 / 4.0, 40.0), [48, 64, 67], "{respond_bars} bars");
    }
}

#[test]
fn a_cadence_pressed_in_the_players_turn_falls_in_the_networks_next_one() {
    let fermatas = |mode: Mode, respond_bars: i64, press: &[(f64, Act)]| {
        let mut song = Song::new(mode, 480);
        song.settings.respond_bars = respond_bars;
        song.play(0.0, 15.4, &[&[(0.0, Act::Down(67)), (1.0, Act::Up(67))], press].concat());
        song.fermatas()
    };
    let press = [(1.5, Act::Cadence)];
    assert!(fermatas(Mode::Respond, 1, &[]).is_empty());
    assert_eq!(fermatas(Mode::Respond, 1, &press), [24]);
    assert_eq!(fermatas(Mode::Respond, 2, &[]), [56]);
    assert_eq!(fermatas(Mode::Respond, 2, &press), [40, 56]);
    assert_eq!(fermatas(Mode::Continue, 1, &[]), [40]);
    assert_eq!(fermatas(Mode::Continue, 1, &press), [24, 40]);
}

#[test]
fn panic_a_mode_and_a_jump_forget_an_end_that_waits() {
    let closes = |act: Option<Act>, then: f64| {
        let mut song = Song::new(Mode::Continue, 480);
        let mut acts = vec![(0.0, Act::Down(67)), (1.5, Act::End), (2.0, Act::Up(67))];
        acts.extend(act.map(|act| (2.5, act)));
        acts.push((2.7, Act::Mode(Mode::Continue)));
        song.play(0.0, 3.0, &acts);
        song.play(then, then + 21.0, &[(then + 0.1, Act::Down(67)), (then + 0.8, Act::Up(67))]);
        assert!(!song.starts(then, then + 21.0).is_empty());
        song.closes().len()
    };
    assert_eq!(closes(None, 3.0), 1);
    assert_eq!(closes(Some(Act::Panic), 3.0), 0);
    assert_eq!(closes(Some(Act::Mode(Mode::Free)), 3.0), 0);
    assert_eq!(closes(None, 63.0), 0);
}

#[test]
fn harmonise_ends_until_all_keys_are_up_and_one_is_struck() {
    for frames in [17, 480] {
        let mut song = Song::new(Mode::Harmonise, frames);
        let acts = [
            (0.0, Act::Down(67)),
            (1.5, Act::End),
            // Another key, played legato, and a key within the last chord.
            (9.5, Act::Down(69)),
            (9.6, Act::Up(67)),
            (13.0, Act::Down(71)),
            (13.1, Act::Up(69)),
            (18.0, Act::Up(71)),
            (19.0, Act::Down(72)),
            (22.0, Act::Up(72)),
        ];
        song.play(0.0, 24.0, &acts);
        assert_eq!(song.closes(), [32], "blocks of {frames}");
        assert_eq!(song.starts(8.0, 8.5), [48, 64, 67], "blocks of {frames}");
        assert!(song.starts(8.5, 19.0).is_empty(), "blocks of {frames}");
        assert_eq!([11.99, 12.2, 18.5].map(|beat| song.num_sounding(beat)), [3, 0, 0], "blocks of {frames}");
        assert_eq!(song.starts(19.0, 20.0), [50, 65, 69], "blocks of {frames}");
        assert_eq!(song.num_sounding(23.0), 0);
    }
}

#[test]
fn harmonise_without_a_key_at_the_last_cadence_goes_on() {
    let mut song = Song::new(Mode::Harmonise, 480);
    song.play(0.0, 16.0, &[(0.0, Act::Down(67)), (1.5, Act::End), (5.2, Act::Up(67)), (10.0, Act::Down(67))]);
    assert_eq!(song.starts(10.0, 16.0), [50, 65, 69]);
}
