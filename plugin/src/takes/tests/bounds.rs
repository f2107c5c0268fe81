//! Takes stay bounded, however much is played and however long keys are held.

use super::*;

#[test]
fn sixty_four_bars_of_music_are_kept_over_all_takes() {
    let mut takes = Takes::default();
    for take in 0..10 {
        // Takes of 100 beats each, far apart in the song.
        takes.begin(&beginning(f64::from(take) * 1000.0, 0.0));
        for beat in 0..=100 {
            let at = f64::from(take * 1000 + beat);
            takes.add(&played(at, 60, 0.5));
            takes.add(&played(at + 0.5, 60, 0.0));
        }
    }
    let kept: Vec<_> = takes.list().map(|take| (take.start.number, take.notes.len())).collect();
    assert_eq!(kept, [(8, 57), (9, 101), (10, 101)]);
    // Forgotten bars are not in the range.
    let bars: Vec<_> = takes.list().map(|take| take.bars()).collect();
    assert_eq!(bars, [11..26, 0..26, 0..26]);
}

#[test]
fn a_project_stays_small_however_much_is_played() {
    let takes = much_played(30_000, 200);
    assert_eq!(takes.notes.len(), MAX_NOTES);
    let takes = much_played(6000, 10);
    assert_eq!((takes.notes.len(), takes.starts.len()), (10 * MAX_STARTS, MAX_STARTS));
}

fn much_played(num_notes: u32, notes_in_take: u32) -> Takes {
    let mut takes = Takes::default();
    for n in 0..num_notes {
        if n % notes_in_take == 0 {
            takes.begin(&beginning(1e5, 1e5));
        }
        takes.wrap_loop(&Looped { take_beats: 1e5 + f64::from(n) / 128.0, song_beats: 123_456.0 });
        let (tempo_bpm, beats) = (3.123_456 + f64::from(n % 2), if n % 4 == 0 { 13 } else { 15 });
        takes.change(&changed(1e5 + f64::from(n) / 128.0, tempo_bpm, (beats, 16)));
        let note = Played { channel: 15, generated: true, ..played(1e5 + f64::from(n) / 128.0, 127, 1.0) };
        takes.add(&note);
    }
    assert_eq!(takes.starts.iter().map(|start| start.loop_ends.len()).sum::<usize>(), MAX_LOOP_ENDS);
    assert_eq!(takes.starts.iter().map(|start| start.changes.len()).sum::<usize>(), MAX_CHANGES);
    // nice-plug saves JSON inside JSON.
    let text = serde_json::to_string(&serde_json::to_string(&takes).unwrap()).unwrap();
    assert!(text.len() < 250_000, "{} bytes", text.len());
    takes
}

/// Half an hour at 120 beats per minute with some keys held throughout, and either four short notes on each 16th or
/// none. Returns the takes before and after the keys are released.
fn long_held(num_held: u8, plays: bool) -> [Takes; 2] {
    let mut takes = Takes::default();
    takes.begin(&beginning(0.0, 0.0));
    takes.add(&played(0.0, 1, 0.5));
    takes.add(&played(0.5, 1, 0.0));
    takes.begin(&beginning(0.0, 0.5));
    (0..num_held).for_each(|key| takes.add(&played(f64::from(key) / 64.0, key, 0.5)));
    for step in (0..if plays { 4 * 3599 } else { 0 }).map(|step| 1.0 + f64::from(step) / 4.0) {
        for key in 100..104 {
            takes.add(&generated(step, step + 0.05, key, 0.5));
            takes.add(&generated(step + 0.25, step + 0.3, key, 0.0));
        }
        let starts = takes.notes.iter().map(|note| note.start);
        assert!(takes.notes.len() <= MAX_NOTES && starts.is_sorted(), "at {step}");
        let held = |key: u8| takes.open.iter().filter(|open| takes.notes[**open].key == key).count();
        assert!((0..num_held).all(|key| held(key) == 1), "at {step}");
    }
    let before = takes.clone();
    (0..num_held).for_each(|key| takes.add(&played(3600.0, key, 0.0)));
    [before, takes]
}

#[test]
fn takes_stay_small_while_keys_are_held_for_half_an_hour() {
    for (num_held, plays) in [(1, false), (60, false), (1, true), (60, true)] {
        let [before, after] = long_held(num_held, plays);
        let name = format!("{num_held} keys, {plays}");
        let text = serde_json::to_string(&serde_json::to_string(&after).unwrap()).unwrap();
        assert!(text.len() < 250_000, "{name}: {} bytes", text.len());
        let take = after.list().next_back().unwrap();
        assert_eq!((take.start.number, after.list().count()), (2, 1), "{name}: the first take is forgotten");
        let (first, last) = (take.notes[0].start, 3600 * 960);
        assert!(take.notes.iter().all(|note| (last - KEPT_TICKS..=last).contains(&note.start)), "{name}: from {first}");
        assert!(take.notes.iter().all(|note| i64::from(note.length) <= KEPT_TICKS), "{name}");
        let held = take.notes.iter().filter(|note| note.end() == last && note.key < 100);
        assert_eq!(held.count(), usize::from(num_held), "{name}: held notes remain, cut short");
        assert_eq!(take.bars(), 836..900, "{name}");
        assert!(before.notes.len() <= 4 * 1024 + 64, "{name}: {} notes", before.notes.len());
    }
}

#[test]
fn held_keys_stay_when_there_are_too_many_notes() {
    let mut takes = Takes::default();
    takes.begin(&beginning(0.0, 0.0));
    (0..60).for_each(|key| takes.add(&played(0.0, key, 0.5)));
    // So many notes that their number reaches its limit first.
    for n in 0..3 * MAX_NOTES {
        let beats = 1.0 + n as f64 / 256.0;
        takes.add(&generated(beats, beats, 100, 0.5));
    }
    assert!(takes.notes.len() <= MAX_NOTES && takes.notes.iter().map(|note| note.start).is_sorted());
    (0..60).for_each(|key| takes.add(&played(200.0, key, 0.0)));
    let held = takes.notes.iter().filter(|note| note.key < 60);
    assert_eq!(held.filter(|note| note.end() == 200 * 960).count(), 60);
}

#[test]
fn fewer_notes_with_long_numbers_are_kept() {
    let mut takes = Takes::default();
    takes.begin(&beginning(1e9, 0.0));
    for n in 0..10_000 {
        let beats = 1e9 + f64::from(n) / 128.0;
        takes.add(&generated(beats, beats - 12.5, 127, 1.0));
    }
    let text = serde_json::to_string(&takes).unwrap();
    assert!(takes.notes.len() > 4000 && text.len() < MAX_NOTE_BYTES + 1000, "{} {}", takes.notes.len(), text.len());
}

#[test]
fn merged_takes_keep_within_bounds() {
    let mut takes = much_played(6000, 10);
    let mut saved = much_played(6000, 10);
    saved.starts.iter_mut().for_each(|start| start.number += 1000);
    takes.add(&Played { velocity: 0.5, ..played(1e5 + 60.0, 50, 1.0) });
    let current = takes.current_start().unwrap().number;
    takes.add_missing(saved);
    assert_eq!((takes.starts.len(), takes.current_start().unwrap().number), (MAX_STARTS, current));
    assert!(
        takes.notes.len() <= MAX_NOTES
            && takes.starts.iter().map(|start| start.changes.len()).sum::<usize>() <= MAX_CHANGES
    );
    assert!(takes.starts.iter().map(|start| start.loop_ends.len()).sum::<usize>() <= MAX_LOOP_ENDS);
    // The sounding note can still end.
    takes.add(&played(1e5 + 61.0, 50, 0.0));
    assert_eq!(takes.list().next_back().unwrap().notes.last().map(|note| (note.key, note.length)), Some((50, 960)));
}
