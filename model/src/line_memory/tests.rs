//! Events from rows, silences and loops.

use super::*;

/// The memory after rows from step 0 on. Voices are joined by commas: a pitch, `-` hold, `.` rest; `|` is an undecided
/// step.
fn heard(rows: &str, melody: bool) -> LineMemory {
    let mut memory = LineMemory::new();
    for (step_idx, row) in rows.split(' ').enumerate().filter(|(_, row)| *row != "|") {
        let mut words = row.split(',');
        let row = std::array::from_fn(|_| match words.next().unwrap_or(".") {
            "-" => Symbol::Hold,
            "." => Symbol::Rest,
            pitch => Symbol::Pitch(pitch.parse().unwrap()),
        });
        memory.push(step_idx as i64, row, true, melody);
    }
    memory
}

/// Each event as pitches joined by dots (`r` is a rest), a colon and the steps.
fn words(events: &Events) -> String {
    let word = |event: &Event| {
        let pitches = event
            .pitches
            .map_or("r".into(), |chord| chord.as_slice().iter().map(u8::to_string).collect::<Vec<_>>().join("."));
        format!("{pitches}:{}", event.steps)
    };
    events.last(CAPACITY, |_| true).map(word).collect::<Vec<_>>().join(" ")
}

#[test]
fn rows_become_events() {
    let check = |rows, melody, expect: &str| assert_eq!(words(&heard(rows, melody).events), expect, "{rows}");
    check("60 - - 62 -", false, "60:3 62:2");
    check("72,64,60 -,-,- -,65,-", false, "60.64.72:2 65:1");
    check("72,64,60 -,-,- -,65,- 71,-,-", true, "72:3 71:1");
    check("60 . . 62", false, "60:1 r:2 62:1");
    check(". . 60", false, "60:1"); // no event comes before the silence
    check("60 | 62 | | | 64", false, "60:2 62:1 r:3 64:1"); // articulation, then a rest
}

#[test]
fn a_phrase_ends_with_its_last_note() {
    let taken_over = |rows: &str, at: i64| {
        let mut memory = heard(rows, false);
        memory.take_over(at, None);
        words(&memory.seed_phrase)
    };
    assert_eq!(taken_over("60 - 62", 4), "60:2 62:2");
    assert_eq!(taken_over("60 - 62", 11), "60:2 62:9");
    assert_eq!(taken_over("60 - 62", 13), "60:2 62:1 r:10");
    assert_eq!(taken_over("60 - 62 . .", 5), "60:2 62:3");
    assert_eq!(taken_over("60 - 62", 500), "60:2 62:1");
}

#[test]
fn the_key_is_the_control_or_an_estimate() {
    let mut memory = heard("62 66 69 74 73 76 74 -", false);
    memory.take_over(8, None);
    assert_eq!(memory.key, Some(2));
    memory.take_over(8, Some(7));
    assert_eq!(memory.key, Some(7));
    let mut memory = LineMemory::new();
    memory.take_over(0, None);
    assert_eq!(memory.key, None);
}

#[test]
fn a_pattern_is_stuck_after_at_least_twelve_events() {
    let stuck = |pattern: &str, times: usize, drawn: usize| {
        heard(vec![pattern; times].join(" ").as_str(), false).events.repeats(drawn, usize::MAX)
    };
    assert!(!stuck("60 62", 5, 64) && stuck("60 62", 6, 64));
    assert!(!stuck("60 62", 6, 11), "the player's events do not count as the network's loop");
    assert!(!stuck("60 62 64 65", 2, 64) && stuck("60 62 64 65", 3, 64));
    assert!(!stuck("60", 7, 64) && stuck("60", 8, 64));
    assert!(stuck("60 61 62 63 64 65 66 67 68 69 70 71 72 73 74 75", 3, 64));
    assert!(!stuck("60 61 62 63 64 65 66 67 68 69 70 71 72 73 74 75 76", 3, 64));
}

/// Whether music of which the network drew all events is stuck.
fn is_stuck(rows: &str) -> bool {
    let mut memory = heard(rows, true);
    memory.drawn = usize::MAX;
    memory.is_stuck(false)
}

#[test]
fn a_part_of_a_tune_may_come_again() {
    // Eight bars of 3/4, two notes a bar.
    let part =
        "60 - - - - - - - 62 - - - 64 - - - - - - - 65 - - - 67 - - - - - - - 69 - - - 71 - - - - - - - 72 - - -";
    let tune = [part, &part.replace("60", "74")].join(" ");
    assert!(!is_stuck(&[tune.as_str(); 3].join(" ")) && !is_stuck(&[tune.as_str(); 4].join(" ")));
    assert!(heard(&[tune.as_str(); 4].join(" "), true).events.repeats(64, usize::MAX), "it was stuck before");
    assert!(is_stuck(&[part; 3].join(" ")), "four bars are");
}

#[test]
fn a_single_pitch_is_stuck_in_any_rhythm() {
    let rhythm =
        ["60", "60 -", "60 - -", "60 - - -", "60 - -", "60", "60 -", "60", "60 - - -", "60 - -", "60 -"].join(" ");
    assert!(is_stuck(&format!("60 - - - {rhythm}")));
    assert!(!is_stuck(&format!("62 - - - {rhythm}")));
    let mut memory = heard(&format!("60 - - - {rhythm}"), true);
    memory.drawn = 11;
    assert!(!memory.is_stuck(false), "the player's events do not count");
}

#[test]
fn a_rhythm_on_few_pitches_is_stuck() {
    let wander = |pitches: [u8; 4], rhythms: [&str; 2]| -> String {
        let order = [0, 1, 0, 2, 1, 0, 0, 2, 2, 1, 3, 0, 1, 1, 2, 0, 3, 2, 0, 1, 2, 1, 0, 3];
        let note = |(n, idx): (usize, &usize)| format!("{} {}", pitches[*idx], rhythms[n % 2]);
        order.iter().enumerate().map(note).collect::<Vec<_>>().join(" ")
    };
    assert!(is_stuck(&wander([60, 62, 64, 60], ["-", "- - -"])));
    assert!(is_stuck(&wander([60, 62, 64, 60], ["-", "-"])));
    assert!(!is_stuck(&wander([60, 62, 64, 65], ["-", "-"])), "four pitches");
    assert!(!is_stuck(&wander([60, 62, 64, 60], ["-", "-"]).replacen("62 -", "62", 1)), "another duration");
}

#[test]
fn an_endless_note_is_stuck() {
    let hold = |steps: usize| format!("62 60{}", " -".repeat(steps - 1));
    assert!(is_stuck(&hold(64)) && !is_stuck(&hold(63)));
    assert!(is_stuck(&format!("60{}", " .".repeat(65))));
    let mut memory = heard(&hold(64), true);
    memory.drawn = 0;
    assert!(!memory.is_stuck(false), "the note began before the restart");
}

#[test]
fn memory_is_bounded() {
    let rows: Vec<String> = (0..200).map(|n| (40 + n % 50).to_string()).collect();
    let memory = heard(&rows.join(" "), false);
    assert_eq!(memory.events.last(CAPACITY + 9, |_| true).count(), CAPACITY);
    assert_eq!(memory.events.last(3, |event| event.pitches.unwrap().top() % 2 == 0).count(), 3);
    assert_eq!(memory.events.back(0).unwrap().pitches, Chord::new(&[40 + 199 % 50]));
    assert_eq!(memory.events.back(CAPACITY), None);
}
