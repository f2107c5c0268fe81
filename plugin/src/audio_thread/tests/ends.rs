//! The end of the music: where its last chord falls, and what starts it again.

use continuo_model::generate::Step;

use super::song::*;
use super::*;

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
fn a_player_who_plays_before_the_end_puts_it_off_to_the_next_turn() {
    for mode in [Mode::Free, Mode::Continue] {
        for frames in [100, 480, 4096] {
            let mut song = Song::new(mode, frames);
            // The network plays from beat 4; End is pressed, and a note comes before the last chord.
            let acts =
                [(0.0, Act::Down(67)), (1.5, Act::Up(67)), (6.2, Act::End), (8.2, Act::Down(69)), (9.5, Act::Up(69))];
            song.play(0.0, 40.0, &acts);
            // The next turn begins on beat 12, and the music ends a bar later.
            assert_eq!(song.closes(), [64], "{mode:?}, {frames}");
            assert_eq!(song.starts(16.0, 40.0), [48, 64, 67], "{mode:?}, {frames}");
            assert_eq!([19.9, 20.0].map(|beat| song.num_sounding(beat)), [3, 0], "{mode:?}, {frames}");
        }
    }
}

#[test]
fn the_end_in_a_turn_of_the_players_waits_for_the_networks() {
    for frames in [100, 480, 4096] {
        let mut song = Song::new(Mode::Continue, frames);
        // The phrase goes on for longer than it takes to end.
        let acts =
            [(0.0, Act::Down(67)), (1.5, Act::End), (6.0, Act::Down(71)), (6.2, Act::Up(67)), (10.5, Act::Up(71))];
        song.play(0.0, 40.0, &acts);
        assert_eq!(song.closes(), [64], "blocks of {frames}");
        assert_eq!(song.starts(16.0, 40.0), [48, 64, 67], "blocks of {frames}");
    }
}

#[test]
fn a_stop_forgets_an_end_that_waits() {
    let mut song = Song::new(Mode::Continue, 480);
    song.play(0.0, 4.0, &[(0.0, Act::Down(67)), (1.5, Act::End), (3.5, Act::Up(67))]);
    // A jump.
    song.play(16.0, 48.0, &[(16.0, Act::Down(67)), (17.5, Act::Up(67))]);
    assert!(song.closes().is_empty());
    assert!(!song.starts(40.0, 48.0).is_empty());
}

#[test]
fn in_respond_buttons_in_the_players_turn_close_the_networks() {
    for (acts, closes) in [
        (vec![(4.5, Act::Cadence), (5.0, Act::End)], Some(56)),
        (vec![(5.0, Act::End), (5.5, Act::Cadence)], Some(56)),
        (vec![(5.0, Act::Cadence)], None),
    ] {
        let mut song = Song::new(Mode::Respond, 480);
        // Turns of a bar: the network has beats 4 to 8 and 12 to 16, the player 8 to 12. The buttons come at 8 and
        // later.
        let acts = acts.into_iter().map(|(beat, act)| (beat + 4.0, act));
        let acts: Vec<_> = [(0.0, Act::Down(67)), (1.0, Act::Up(67))].into_iter().chain(acts).collect();
        song.play(0.0, 28.0, &acts);
        let closed = song.closes();
        assert_eq!(closed, closes.map_or(vec![], |at| vec![at]), "{closed:?}");
        let told = |step: &Step| step.settings.controls.fermata_in == Some(0) && (48..64).contains(&step.step_idx);
        assert!(song.steps().any(told), "the cadence falls into the network's turn");
    }
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
