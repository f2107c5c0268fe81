//! Takes of literal notes.

mod bounds;

use super::*;

fn played(take_beats: f64, key: u8, velocity: f32) -> Played {
    Played { take_beats, heard_beats: take_beats, channel: 1, key, velocity, generated: false }
}

/// A note by its saved channel, key and velocity, with start and length in ticks.
fn note(saved_channel: u8, key: u8, velocity: u8, start: i64, length: i64) -> TakeNote {
    let mut note = TakeNote::new(saved_channel, saved_channel >= 16, key, velocity, start, start);
    note.end_at(start + length, start + length);
    note
}

fn beginning(song_beats: f64, before_beats: f64) -> Beginning {
    Beginning {
        before_beats,
        song_beats,
        bar_start_beats: (song_beats / 4.0).floor() * 4.0,
        tempo_bpm: 96.0,
        time_signature: (4, 4),
        rng_seed: 7,
    }
}

/// Each take as `number@first bar: key start+length ..`, times in beats.
fn words(takes: &Takes) -> Vec<String> {
    let note = |n: &TakeNote| {
        format!(" {} {}+{}", n.key, n.start as f64 / TICKS_PER_BEAT, f64::from(n.length) / TICKS_PER_BEAT)
    };
    let take = |take: TakeView| {
        let notes: String = take.notes.iter().map(note).collect();
        format!("{}@{}:{notes}", take.start.number, take.start.first_bar())
    };
    takes.list().map(take).collect()
}

#[test]
fn each_start_begins_a_take_unless_nothing_is_played() {
    let mut takes = Takes::default();
    takes.begin(&beginning(5.0, 0.0));
    takes.begin(&beginning(9.5, 6.0));
    takes.add(&played(9.5, 60, 1.0));
    takes.add(&played(10.5, 60, 0.0));
    takes.add(&played(10.5, 62, 1.0));
    // The note still sounds when the transport jumps. Its note-off arrives after the jump.
    takes.begin(&beginning(0.0, 12.0));
    takes.add(&played(0.0, 62, 0.0));
    takes.add(&played(1.0, 64, 1.0));
    takes.add(&played(3.0, 64, 0.0));
    assert_eq!(words(&takes), ["1@3: 60 9.5+1 62 10.5+1.5", "2@1: 64 1+2"]);
    assert_eq!(takes.list().map(|take| take.bars()).collect::<Vec<_>>(), [0..1, 0..1]);
    assert_eq!(takes.current().collect::<Vec<_>>(), [(note(1, 64, 127, 960, 1920), false)]);
    let text = serde_json::to_string(&takes).unwrap();
    let again: Takes = serde_json::from_str(&text).unwrap();
    assert_eq!(words(&again), words(&takes));
}

#[test]
fn a_project_without_takes_is_read_and_a_later_one_kept_unchanged() {
    let mut old: Takes = serde_json::from_str(r#"{"version":1,"notes":[[1,60,127,7200,960]]}"#).unwrap();
    assert_eq!(old.current().count(), 1);
    old.begin(&beginning(0.0, 0.0));
    old.add(&played(0.0, 62, 1.0));
    assert_eq!((old.notes.len(), words(&old).len()), (2, 1));
    let later = r#"{"version":9,"notes":[[1,60,127,7200,960]]}"#;
    let mut takes: Takes = serde_json::from_str(later).unwrap();
    assert!(serde_json::to_string(&takes).unwrap().contains("\"version\":9"));
    takes.add(&played(0.0, 62, 1.0));
    assert_eq!((takes.version, takes.notes.len()), (VERSION, 1));
}

fn changed(take_beats: f64, tempo_bpm: f64, time_signature: (u8, u8)) -> Changed {
    Changed { take_beats, tempo_bpm, time_signature }
}

#[test]
fn a_project_of_the_previous_version_is_read_and_changes_are_saved() {
    let before = r#"{"version":2,"starts":[{"first_note":0,"number":4,"bar_start_ticks":3840,"tempo_bpm":96.0,
        "time_signature":[4,4],"rng_seed":7}],"notes":[[17,60,127,3840,960]]}"#;
    let mut takes: Takes = serde_json::from_str(before).unwrap();
    assert_eq!(words(&takes), ["4@2: 60 4+1"]);
    takes.change(&changed(6.5, 48.0, (4, 4)));
    takes.change(&changed(8.0, 48.0, (3, 4)));
    takes.add(&played(12.0, 62, 1.0));
    let again: Takes = serde_json::from_str(&serde_json::to_string(&takes).unwrap()).unwrap();
    let start = again.list().next().unwrap().start;
    assert_eq!(again.version, 3);
    assert_eq!(
        [4.0, 6.5, 8.0].map(|beats| start.time_at(ticks(beats))),
        [(96.0, (4, 4)), (48.0, (4, 4)), (48.0, (3, 4))]
    );
    // Bars of 4/4 from beat 4, of 3/4 from beat 8.
    assert_eq!([0, 1, 2, 3].map(|bar| start.bar_start(bar) / 960), [4, 8, 11, 14]);
    assert_eq!([3.9, 4.0, 7.9, 8.0, 10.9, 11.0].map(|beats| start.bar_of(ticks(beats))), [-1, 0, 0, 1, 1, 2]);
    assert_eq!(start.bar_start(-1) / 960, 0);
}

#[test]
fn a_bar_that_a_time_signature_cuts_short_counts_as_a_bar() {
    let mut takes = Takes::default();
    takes.begin(&beginning(0.0, 0.0));
    takes.change(&changed(6.0, 96.0, (2, 4)));
    takes.add(&played(7.0, 60, 1.0));
    let start = takes.list().next().unwrap().start;
    assert_eq!([0, 1, 2, 3].map(|bar| start.bar_start(bar) / 960), [0, 4, 6, 8]);
    assert_eq!([5.9, 6.0, 8.0].map(|beats| start.bar_of(ticks(beats))), [1, 2, 3]);
}

#[test]
fn a_running_take_is_available_up_to_now() {
    let mut takes = Takes::default();
    takes.begin(&beginning(0.0, 0.0));
    takes.add(&played(0.0, 60, 1.0));
    takes.add(&played(1.0, 60, 0.0));
    takes.begin(&beginning(8.0, 2.0));
    takes.add(&played(8.0, 62, 1.0));
    let (start, notes) = takes.ended_at(2, 9.5).unwrap();
    assert_eq!((start.number, notes), (2, vec![note(1, 62, 127, 7680, 1440)]));
    assert_eq!(takes.ended_at(1, 9.5).unwrap().1, [note(1, 60, 127, 0, 960)]);
    assert!(takes.ended_at(3, 9.5).is_none());
}

#[test]
fn notes_of_the_network_and_of_the_player_are_told_apart() {
    let mut takes = Takes::default();
    takes.begin(&beginning(0.0, 0.0));
    takes.add(&Played { generated: true, ..played(0.0, 60, 1.0) });
    takes.add(&played(0.0, 67, 1.0));
    let owners: Vec<_> = takes.notes.iter().map(|note| (note.lane, note.generated)).collect();
    assert_eq!(owners, [(1, true), (1, false)]);
    // A note-off may lack the owner.
    takes.add(&played(1.0, 60, 0.0));
    assert_eq!(takes.notes[0].length, 960);
}

/// A take that starts on beat 4 of the song, with a loop over beats 4 to 8 that wraps at beats 8 and 12 of the take.
fn looped() -> Takes {
    let mut takes = Takes::default();
    takes.begin(&beginning(4.0, 0.0));
    let generated = |take_beats, key, velocity| Played { generated: true, ..played(take_beats, key, velocity) };
    let mut note = |start, end, key| {
        takes.add(&generated(start, key, 0.5));
        takes.add(&generated(end, key, 0.0));
    };
    note(4.0, 6.0, 60);
    note(7.0, 8.0, 62);
    // The second pass. Its last note answers one that the player played early for the third.
    note(8.0, 10.0, 64);
    note(11.0, 12.0, 65);
    note(11.95, 12.5, 67);
    for take_beats in [8.0, 12.0] {
        takes.wrap_loop(&Looped { take_beats, song_beats: 4.0 });
    }
    takes
}

#[test]
fn the_last_pass_of_a_loop_counts() {
    let takes = looped();
    let take = takes.list().next().unwrap();
    let words = |bars: std::ops::Range<i64>| {
        let notes = take.in_song(bars, ticks(12.5));
        let word = |n: &TakeNote| {
            format!("{} {}+{}", n.key, n.start as f64 / TICKS_PER_BEAT, f64::from(n.length) / TICKS_PER_BEAT)
        };
        notes.iter().map(word).collect::<Vec<_>>()
    };
    assert_eq!(take.bars(), 0..3);
    // The third pass ended after half a beat.
    assert_eq!(words(0..3), ["65 7+1", "67 4+0.5"]);
    assert_eq!(words(0..2), ["64 4+2", "65 7+1"]);
    assert_eq!(words(0..1), ["60 4+2", "62 7+1"]);
    assert_eq!(words(1..2), ["64 4+2", "65 7+1"]);
}

#[test]
fn passes_with_a_forgotten_song_position_are_left_out() {
    let mut takes = looped();
    let keys = |takes: &Takes, bars| -> Vec<u8> {
        let take = takes.list().next().unwrap();
        take.in_song(bars, ticks(16.0)).iter().map(|note| note.key).collect()
    };
    // Passes without notes do not count, however many.
    for n in 0..2 * MAX_LOOP_ENDS {
        takes.wrap_loop(&Looped { take_beats: 16.0 + n as f64, song_beats: 4.0 });
    }
    assert_eq!((keys(&takes, 0..1), keys(&takes, 1..2)), (vec![60, 62], vec![64, 65]));
    for n in 0..MAX_LOOP_ENDS {
        let take_beats = 2000.0 + n as f64;
        takes.wrap_loop(&Looped { take_beats, song_beats: 4.0 });
        takes.add(&Played { generated: true, ..played(take_beats, 70, 0.5) });
        takes.add(&played(take_beats + 0.5, 70, 0.0));
    }
    assert_eq!((keys(&takes, 0..1), keys(&takes, 1..2)), (vec![], vec![]));
    assert!(!keys(&takes, 0..10_000).is_empty());
}

#[test]
fn notes_held_into_the_chosen_bars_are_included() {
    let mut takes = Takes::default();
    takes.begin(&beginning(0.0, 0.0));
    takes.add(&Played { generated: true, ..played(2.0, 60, 0.5) });
    takes.add(&played(6.0, 60, 0.0));
    let take = takes.list().next().unwrap();
    assert_eq!(take.in_song(1..2, ticks(6.0)), [note(17, 60, 64, 3840, 1920)]);
}

#[test]
fn a_complete_last_pass_replaces_all_earlier_ones() {
    let mut takes = looped();
    // The rest of the third pass was silent, and the take ended with the pass.
    takes.begin(&beginning(40.0, 16.0));
    takes.add(&played(40.0, 60, 1.0));
    let take = takes.list().next().unwrap();
    let keys: Vec<u8> = take.in_song(take.bars(), 0).iter().map(|note| note.key).collect();
    assert_eq!(keys, [67]);
}

#[test]
fn a_damaged_project_does_no_harm() {
    let text = r#"{"version":3,"starts":[
        {"first_note":99999,"number":4294967295,"bar_start_ticks":9223372036854775807,"tempo_bpm":-3.0,
         "time_signature":[0,0],"rng_seed":7,
         "changes":[[-9223372036854775808,0,7,0],[5,0,0,3]],
         "seams":[[9223372036854775807,-9223372036854775808,3],[0,0,0]]},
        {"first_note":0,"number":1,"bar_start_ticks":0,"tempo_bpm":1e300,"time_signature":[4,3],"rng_seed":7,
         "kept_from_ticks":-9223372036854775808}],
        "notes":[[255,255,255,-9223372036854775808,4294967295],[1,60,127,9223372036854775807,4294967295]]}"#;
    let mut takes: Takes = serde_json::from_str(text).unwrap();
    for take in takes.list() {
        let bars = take.bars();
        take.in_song(bars, i64::MAX);
    }
    takes.add(&played(1.0, 62, 0.5));
    takes.begin(&beginning(0.0, 0.0));
    takes.add(&played(1.0, 62, 0.5));
    assert_eq!(takes.list().count(), 2);
    assert!(takes.list().all(|take| take.start.time_signature == (4, 4) && take.start.tempo_bpm < 1000.0));
}

/// A note-on or note-off of the network, with its positions on the grid and in sound.
fn generated(take_beats: f64, heard_beats: f64, key: u8, velocity: f32) -> Played {
    Played { take_beats, heard_beats, channel: 1, key, velocity, generated: true }
}

#[test]
fn a_note_recorded_late_is_inserted_at_its_start() {
    let mut takes = Takes::default();
    takes.begin(&beginning(0.0, 0.0));
    takes.add(&played(0.0, 60, 0.5));
    takes.begin(&beginning(4.0, 4.0));
    takes.add(&generated(4.0, 4.0, 50, 0.5));
    takes.add(&generated(4.25, 4.25, 52, 0.5));
    // The first notes still sound. The chord's notes are recorded when the chord is complete.
    takes.add(&played(4.2, 62, 0.5));
    takes.add(&played(3.99, 64, 0.5));
    for (end, key) in [(5.0, 50), (6.0, 52), (7.0, 62), (8.0, 64)] {
        takes.add(&played(end, key, 0.0));
    }
    let keys = |take: TakeView| take.notes.iter().map(|n| (n.key, n.end() / 960)).collect::<Vec<_>>();
    let takes: Vec<_> = takes.list().map(keys).collect();
    assert_eq!(takes, [vec![(60, 4)], vec![(64, 8), (50, 5), (62, 7), (52, 6)]]);
}

#[test]
fn generated_notes_are_on_the_grid_and_keep_their_sounding_times() {
    let mut takes = Takes::default();
    takes.begin(&beginning(0.0, 0.0));
    takes.add(&generated(1.0, 1.05, 60, 0.5));
    takes.add(&generated(2.0, 2.05, 60, 0.0));
    let text = serde_json::to_string(&takes).unwrap();
    assert!(text.contains("[17,60,64,960,960,48,0]"), "{text}");
    let again: Takes = serde_json::from_str(&text).unwrap();
    let heard = |take: TakeView| (take.notes[0].heard_start(), take.notes[0].heard_end());
    assert_eq!(again.list().map(heard).collect::<Vec<_>>(), [(1008, 1968)]);
}

#[test]
fn an_incomplete_take_is_saved_as_such() {
    let mut takes = Takes::default();
    takes.begin(&beginning(0.0, 0.0));
    takes.add(&played(0.0, 60, 0.5));
    takes.mark_incomplete();
    takes.begin(&beginning(8.0, 4.0));
    takes.add(&played(8.0, 60, 0.5));
    let again: Takes = serde_json::from_str(&serde_json::to_string(&takes).unwrap()).unwrap();
    assert_eq!(again.list().map(|take| take.start.incomplete).collect::<Vec<_>>(), [true, false]);
}
