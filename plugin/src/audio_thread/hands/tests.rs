//! How hands are heard, as timelines: keys that go down and up, and the notes that belong to each step.

use super::*;
use continuo_model::decision::{ANY_LANE, Edge};
use continuo_model::generate::symbols_of;
use continuo_model::vocabulary::Symbol;

const SAMPLE_RATE: f64 = 48_000.0;
/// A step at 120 bpm, in samples.
const STEP: f64 = 6000.0;
/// 25 ms in samples.
const WINDOW: u64 = 1200;

/// Sample `at` and its position in steps.
fn now(at: u64) -> (Sample, StepPosition) {
    (Sample::default() + at, StepPosition::new(at as f64 / STEP))
}

/// Plays hands from a timeline in milliseconds.
struct Player {
    hands: Hands,
}

impl Player {
    fn new(voice: usize) -> Self {
        let mut hands = Hands::new(SAMPLE_RATE);
        hands.set_by(ByVoice::Dealt(voice));
        Self { hands }
    }

    /// Plays events such as `0 on 72, 500 off 72, 600 pedal, 700 up`, in order of time, and fires the timer between
    /// them until `until_ms`.
    fn play(&mut self, words: &str, until_ms: f64) -> &mut Self {
        for word in words.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            let parts: Vec<&str> = word.split_whitespace().collect();
            let at = (parts[0].parse::<f64>().unwrap() * 48.0).round() as u64;
            self.wait(at);
            let (now, key) = (now(at), parts.get(2).map(|key| key.parse().unwrap()));
            match (parts[1], key) {
                ("on", Some(key)) => {
                    let voice_id = VoiceID::Wildcard;
                    let struck = Struck { channel: 0, key, voice_id, velocity: 0.5, heard: true };
                    self.hands.strike(struck, now, WINDOW, None);
                    self.hands.deal_held();
                }
                ("off", Some(key)) => {
                    let slot = self.hands.note_of(0, key, VoiceID::Wildcard).expect("it is down");
                    self.hands.lift(slot, now);
                }
                ("pedal", None) => assert!(!self.hands.pedal(0, true, now)),
                ("up", None) => {
                    self.hands.pedal(0, false, now);
                }
                other => panic!("{other:?}"),
            }
        }
        self.wait((until_ms * 48.0).round() as u64);
        self
    }

    fn wait(&mut self, until: u64) {
        while let Some(at) = self.hands.timer().filter(|at| *at <= Sample::default() + until) {
            self.hands.on_timer(at);
        }
    }

    /// The symbols of a step: `.` for a free voice, `-` for a hold, else a pitch.
    fn step(&mut self, step: i64) -> String {
        let word = |symbol| match symbol {
            None => ".".to_string(),
            Some(Symbol::Hold) => "-".into(),
            Some(Symbol::Pitch(pitch)) => pitch.to_string(),
            Some(Symbol::Rest) => "rest".into(),
        };
        let played = self.hands.played_in(CountedStep::new(step));
        played.map_or("nothing".into(), |played| symbols_of(&played.given).map(word).join(" "))
    }
}

/// Plays until `until_ms` and compares what belongs to each of `steps`.
fn check(voice: usize, words: &str, until_ms: f64, steps: &[(i64, &str)]) {
    let mut player = Player::new(voice);
    player.play(words, until_ms);
    for (step, expect) in steps {
        // The audio thread reads the earlier steps first, too.
        (0..*step).for_each(|step| {
            player.step(step);
        });
        assert_eq!(player.step(*step), *expect, "step {step} of {words}");
    }
}

#[test]
fn a_second_run_is_as_loud_as_the_first() {
    let mut player = Player::new(0);
    let first = player.hands.velocity();
    player.play("0 on 60", 10.0);
    assert!(player.hands.velocity() < first);
    player.hands.clear();
    assert_eq!(player.hands.velocity(), first);
}

#[test]
fn notes_belong_to_the_nearest_step() {
    let steps = [(3, "nothing"), (4, "67 . . ."), (5, "- . . ."), (6, "nothing"), (7, "nothing")];
    check(0, "450 on 67, 800 off 67", 900.0, &steps);
    assert_eq!(
        [3.5 - 1e-4, 3.5, 3.5 + 1e-4].map(|steps| StepPosition::new(steps).nearest_step()),
        [CountedStep::new(4); 3],
        "halfway is the later step, whatever the rounding"
    );
}

#[test]
fn a_short_note_fills_its_step() {
    check(3, "250 on 60, 262 off 60", 270.0, &[(2, ". . . 60"), (3, "nothing")]);
}

#[test]
fn legato_is_one_line_whatever_the_overlap() {
    // Overlaps of one sample and of 5, 20 and 80 ms; upwards and downwards; for both outer voices.
    for (voice, symbols) in [(0, "{} . . ."), (3, ". . . {}")] {
        for overlap in [0.02, 5.0, 20.0, 80.0] {
            for (first, second) in [(60, 62), (62, 60), (60, 72), (72, 60), (65, 64)] {
                let expect = symbols.replace("{}", &second.to_string());
                let words = format!("0 on {first}, 500 on {second}, {} off {first}", 500.0 + overlap);
                for until in [500.0, 500.0 + overlap, 600.0] {
                    let mut player = Player::new(voice);
                    let now: Vec<&str> = words.split(", ").take(if until < 500.0 + overlap { 2 } else { 3 }).collect();
                    player.play(&now.join(", "), until);
                    assert_eq!(player.step(4), expect, "{words} at {until}");
                    assert_eq!(player.step(5), symbols.replace("{}", "-"), "{words} at {until}");
                }
            }
        }
    }
}

#[test]
fn a_key_that_stays_down_becomes_a_voice_of_its_own() {
    check(0, "0 on 72, 500 on 67", 599.0, &[(5, "- . . .")]);
    check(0, "0 on 72, 500 on 67", 601.0, &[(5, "- - . .")]);
    // The same upwards.
    check(0, "0 on 67, 500 on 72", 601.0, &[(5, "- - . .")]);
    // The key starts its own voice with the next step: the steps before have been requested.
    let mut player = Player::new(0);
    player.play("0 on 72, 500 on 67", 550.0);
    let before = [3, 4, 5].map(|step| player.step(step));
    player.play("", 601.0);
    assert_eq!(
        [before, [6, 7, 8].map(|step| player.step(step))].concat(),
        ["72 . . .", "67 . . .", "- . . .", "72 67 . .", "- - . .", "- - . ."]
    );
}

#[test]
fn notes_within_25_ms_are_one_chord_in_any_order() {
    for order in [[72, 67, 60, 48], [48, 60, 67, 72], [60, 72, 48, 67], [67, 48, 72, 60]] {
        for gap in [0.0, 3.0, 8.0] {
            let words: Vec<_> =
                order.iter().enumerate().map(|(n, key)| format!("{} on {key}", 500.0 + gap * n as f64)).collect();
            check(0, &words.join(", "), 524.9, &[(4, "72 67 60 48"), (5, "- - - -")]);
        }
    }
}

#[test]
fn a_chord_that_follows_legato_takes_over_the_voices() {
    let words = "0 on 72, 0 on 67, 0 on 64, 500 on 71, 503 on 67, 506 on 62, 510 off 72, 510 off 67, 510 off 64";
    check(0, words, 530.0, &[(4, "71 67 62 ."), (5, "- - - .")]);
    // A held key stays in its voice.
    let words = "0 on 72, 0 on 67, 0 on 64, 500 on 74, 510 off 72";
    check(0, words, 700.0, &[(4, "74 - - ."), (5, "- - - .")]);
}

#[test]
fn two_hands_are_soprano_and_bass_and_a_drone_stays_below() {
    check(0, "0 on 72, 10 on 48, 490 off 72, 500 on 74", 510.0, &[(0, "72 . . 48"), (4, "74 . . -")]);
    // Detached and legato notes above a drone.
    for off in [450, 505] {
        let words = if off < 500 {
            "0 on 48, 0 on 72, 450 off 72, 500 on 74, 950 off 74, 1000 on 76"
        } else {
            "0 on 48, 0 on 72, 500 on 74, 505 off 72, 1000 on 76, 1005 off 74"
        };
        check(0, words, 1010.0, &[(8, "76 . . -"), (9, "- . . -")]);
    }
    // A moving bass under a held tune.
    check(0, "0 on 48, 0 on 72, 500 on 50, 510 off 48", 520.0, &[(4, "- . . 50")]);
}

#[test]
fn thirty_seconds_are_one_line() {
    let keys = [72, 74, 76, 74, 72, 71, 69, 71];
    let mut words = Vec::new();
    for (n, key) in keys.iter().enumerate() {
        words.push(format!("{} on {key}", n as f64 * 62.5));
        if n > 0 {
            words.push(format!("{} off {}", n as f64 * 62.5 + 10.0, keys[n - 1]));
        }
    }
    let mut player = Player::new(0);
    player.play(&words.join(", "), 500.0);
    for step in 0..4 {
        let symbols = player.step(step);
        assert!(symbols.ends_with(" . . .") && !symbols.starts_with('.'), "step {step}: {symbols}");
    }
}

#[test]
fn the_pedal_holds_keys_and_a_line_moves_on_under_it() {
    let words = "0 pedal, 10 on 72, 400 off 72";
    check(0, words, 450.0, &[(5, "- . . .")]);
    check(0, &format!("{words}, 500 on 74"), 700.0, &[(4, "74 . . ."), (7, "- . . .")]);
    check(0, &format!("{words}, 500 on 74, 900 off 74, 1000 up"), 1010.0, &[(7, "- . . ."), (8, "nothing")]);
    // The pedal holds the bass.
    check(0, "0 pedal, 10 on 48, 12 on 72, 200 off 48, 490 off 72, 500 on 74", 700.0, &[(4, "74 . . -")]);
}

#[test]
fn of_more_than_four_keys_the_three_highest_and_the_lowest_are_heard() {
    check(0, "0 on 48, 0 on 60, 0 on 64, 0 on 67, 0 on 72", 10.0, &[(0, "72 67 64 48")]);
}

#[test]
fn each_note_off_ends_its_own_note() {
    let mut player = Player::new(0);
    player.play("0 on 60, 500 on 60", 500.0);
    let first = player.hands.note_of(0, 60, VoiceID::Wildcard).unwrap();
    assert_eq!(player.hands.key(first).unwrap().at, Sample::default(), "the oldest first");
    player.play("505 off 60", 900.0);
    assert!(player.hands.is_holding());
    player.play("1000 off 60", 1000.0);
    assert!(!player.hands.is_holding());
}

#[test]
fn a_hail_of_keys_never_fills_the_hands() {
    let mut hands = Hands::new(SAMPLE_RATE);
    let mut gone = 0;
    for n in 0..5000_u64 {
        let (key, voice_id) = ((n * 37 % 128) as u8, VoiceID::Wildcard);
        let struck = Struck { channel: (n % 16) as u8, key, voice_id, velocity: 0.5, heard: true };
        let (slot, before) = hands.strike(struck, now(n), WINDOW, None);
        gone += u64::from(before.is_some());
        assert!(hands.key(slot).is_some_and(|held| held.key == key));
    }
    assert_eq!(gone, 5000 - Hands::num_slots() as u64, "each that gives way is handed out to be ended");
    assert!(hands.played_in(CountedStep::new(1)).is_some());
}

#[test]
fn channels_are_voices_where_that_is_chosen() {
    let mut hands = Hands::new(SAMPLE_RATE);
    hands.set_by(ByVoice::Channel(3));
    for (channel, key) in [(3, 72), (0, 48)] {
        let struck = Struck { channel, key, voice_id: VoiceID::Wildcard, velocity: 0.5, heard: true };
        hands.strike(struck, now(0), WINDOW, None);
    }
    assert_eq!(
        hands.played_in(CountedStep::default()).unwrap().keys.map(|key| key.map(|(key, _)| key)),
        [Some(48), None, None, Some(72)]
    );
}

#[test]
fn models_that_hear_notes_get_ticks_lengths_and_every_key() {
    let mut player = Player::new(0);
    // Six keys; a step is 125 ms. 130 ms is near the step at 125; 200 ms is tick 14 of that step.
    player.play(
        "0 on 40, 0 on 52, 0 on 60, 0 on 64, 0 on 67, 0 on 72, 130 off 72, 200 on 74, 300 off 40, 400 off 74",
        1000.0,
    );
    let step = |n: i64| {
        let given = player.hands.notes_in(CountedStep::new(n)).expect("something sounds");
        let edges = given.notes.edges().iter().map(|edge| match *edge {
            Edge::On { key, velocity, tick, .. } => format!("{tick} on {key} {velocity}"),
            Edge::Off { key, tick, .. } => format!("{tick} off {key}"),
        });
        let sounding: Vec<u8> = given.notes.sounding.keys(ANY_LANE).collect();
        (edges.collect::<Vec<_>>().join(", "), sounding)
    };
    let struck = ["72", "67", "64", "60", "52", "40"].map(|key| format!("0 on {key} 64")).join(", ");
    assert_eq!(step(0), (struck, vec![72, 67, 64, 60, 52, 40]));
    assert_eq!(step(1), ("0 off 72, 14 on 74 64".into(), vec![74, 67, 64, 60, 52, 40]));
    assert_eq!(step(2), ("9 off 40".into(), vec![74, 67, 64, 60, 52]));
    assert_eq!(step(3), ("4 off 74".into(), vec![67, 64, 60, 52]));
    assert_eq!(step(7), (String::new(), vec![67, 64, 60, 52]));
    assert!(Player::new(0).hands.notes_in(CountedStep::new(0)).is_none());
}
