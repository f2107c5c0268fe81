//! Accompany: the network plays along, on through the player's rests.

use continuo_model::decision::Given;
use continuo_model::generate::Step;

use super::song::*;
use super::*;

/// The steps in which the player's part rests while the network plays: it decides all four voices.
fn rests(song: &Song) -> Vec<i64> {
    let rests = |step: &&Step| step.given.lanes.is_empty();
    song.steps().filter(rests).map(|step| step.step_idx).collect()
}

#[test]
fn the_network_plays_on_through_rests_to_the_end_of_a_bar() {
    for frames in [17, 480] {
        let mut song = Song::new(Mode::Accompany, frames);
        song.play(0.0, 20.0, &[(0.0, Act::Down(67)), (1.0, Act::Up(67)), (2.0, Act::Down(69)), (2.5, Act::Up(69))]);
        // The last note ends in beat 2; two bars later is beat 10, whose bar ends at beat 12.
        let expect: Vec<i64> = (4..8).chain(10..48).collect();
        assert_eq!(rests(&song), expect, "blocks of {frames}");
        let sounding = [0.5, 1.5, 2.2, 5.0, 11.9, 12.2, 19.9].map(|beat| song.num_sounding(beat));
        assert_eq!(sounding, [3, 3, 3, 3, 3, 0, 0], "blocks of {frames}");
        let attacks: Vec<i64> = song.steps().filter(|step| step.attack).map(|step| step.step_idx).collect();
        assert_eq!(attacks, [0], "a note after a rest does not make all parts start: blocks of {frames}");
    }
}

#[test]
fn it_begins_anew_after_its_end_and_rests_in_harmonise() {
    let acts = [
        (0.0, Act::Down(67)),
        (0.5, Act::Up(67)),
        (13.0, Act::Down(69)),
        (13.5, Act::Up(69)),
        (14.0, Act::Mode(Mode::Harmonise)),
        (15.0, Act::Mode(Mode::Accompany)),
    ];
    let mut song = Song::new(Mode::Accompany, 480);
    song.play(0.0, 24.0, &acts);
    let attacks: Vec<i64> = song.steps().filter(|step| step.attack).map(|step| step.step_idx).collect();
    assert_eq!(attacks, [0, 52]);
    assert_eq!([11.9, 12.2, 13.2, 13.9, 14.3, 20.0].map(|beat| song.num_sounding(beat)), [3, 0, 3, 3, 0, 0]);
}

#[test]
fn a_loop_is_accompanied_alike_in_each_round() {
    let mut song = Song::new(Mode::Accompany, 480);
    song.loop_range_beats = Some((0.0, 4.0));
    let rounds = (0..3).map(|_| {
        song.play(0.0, 4.0, &[(0.0, Act::Down(67)), (1.0, Act::Up(67))]);
        let given: Vec<Given> = song.steps().map(|step| step.given).collect();
        given[given.len().saturating_sub(16)..].to_vec()
    });
    let rounds: Vec<_> = rounds.collect();
    assert_eq!(rounds[1].len(), 16);
    assert_eq!(rounds[1], rounds[2]);
}

#[test]
fn the_end_closes_the_music_and_a_new_note_begins_it_again() {
    for acts in [
        // The key comes up before the last chord, or is held through it.
        [(0.0, Act::Down(67)), (0.9, Act::Up(67)), (1.5, Act::End), (19.0, Act::Down(72)), (19.5, Act::Up(72))],
        [(0.0, Act::Down(67)), (1.5, Act::End), (14.0, Act::Up(67)), (19.0, Act::Down(72)), (19.5, Act::Up(72))],
    ] {
        let mut song = Song::new(Mode::Accompany, 480);
        song.play(0.0, 24.0, &acts);
        assert_eq!(song.closes(), [32]);
        assert_eq!(song.starts(8.0, 8.5), [48, 64, 67]);
        assert!(song.starts(8.5, 19.0).is_empty(), "{:?}", song.starts(8.5, 19.0));
        assert_eq!([11.9, 12.2, 15.0].map(|beat| song.num_sounding(beat)), [3, 0, 0]);
        assert_eq!(song.starts(19.0, 20.0), [50, 65, 69]);
    }
}

#[test]
fn a_change_of_metre_leaves_no_note_behind() {
    for lookahead_steps in [2, 16] {
        let mut song = Song::new(Mode::Accompany, 480);
        song.settings.lookahead_steps = lookahead_steps;
        song.play(0.0, 4.0, &[(0.0, Act::Down(67)), (1.0, Act::Up(67))]);
        song.beats_in_bar = 3;
        song.play(4.0, 24.0, &[]);
        assert_eq!([5.0, 8.0, 15.0, 20.0].map(|beat| song.num_sounding(beat)), [3, 3, 0, 0], "{lookahead_steps}");
    }
}

#[test]
fn without_a_transport_it_also_goes_on_for_two_bars() {
    let mut song = Song::new(Mode::Accompany, 480);
    song.host_plays = false;
    song.play(0.0, 48.0, &[(0.0, Act::Down(67)), (18.0, Act::Up(67))]);
    let sounding = [17.0, 19.0, 25.0, 30.0, 47.0].map(|beat| song.num_sounding(beat));
    assert_eq!(sounding, [3, 3, 3, 0, 0], "{:?}", song.sent.last());
}

#[test]
fn bars_of_any_length_end() {
    let mut song = Song::new(Mode::Accompany, 480);
    song.beats_in_bar = i32::MAX;
    song.play(0.0, 60.0, &[(0.0, Act::Down(67)), (1.0, Act::Up(67))]);
    assert_eq!([30.0, 59.0].map(|beat| song.num_sounding(beat)), [3, 0]);
}
