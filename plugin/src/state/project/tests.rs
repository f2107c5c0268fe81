//! Projects and presets, loaded into new and used instances.

use super::*;
use crate::bridge::{Beginning, Played};
use crate::state::WINDOW;
use crate::takes::TakeView;

/// Plays takes of one note each.
fn play(project: &Project, keys: &[u8]) {
    let mut takes = lock(&project.takes);
    for &key in keys {
        takes.begin(&Beginning { tempo_bpm: 96.0, time_signature: (4, 4), ..Beginning::default() });
        for (beats, velocity) in [(0.0, 0.5), (1.0, 0.0)] {
            let note = Played { take_beats: beats, heard_beats: beats, channel: 0, key, velocity, generated: false };
            takes.add(&note);
        }
    }
}

/// The takes as `number: key`, the rng seeds, the frozen take, the window's width and the weights.
fn words(project: &Project) -> String {
    let take = |take: TakeView| format!("{}: {}", take.start.number, take.notes[0].key);
    let takes: Vec<String> = lock(&project.takes).list().map(take).collect();
    let (seeds, frozen) = (lock(&project.seeds).clone(), lock(&project.frozen).number);
    let (width, path) = (lock(&project.look).window.0, lock(&project.weights).path.clone());
    format!("{} | {seeds:?} {frozen} {width} {path}", takes.join(", "))
}

fn own() -> Project {
    let project = Project::default();
    play(&project, &[60, 62]);
    *lock(&project.seeds) = vec![1, 7];
    lock(&project.frozen).number = 2;
    lock(&project.look).window.0 = 1300.0;
    lock(&project.weights).path = "own".into();
    project
}

fn loaded(into: &Project, state: &BTreeMap<String, String>) -> String {
    into.deserialize_fields(state);
    words(into)
}

#[test]
fn a_new_instance_takes_the_whole_project() {
    let state = own().serialize_fields();
    let project = Project::default();
    // The editor has added the current rng seed to the history, and the transport has run.
    lock(&project.seeds).push(5);
    lock(&project.takes).begin(&Beginning { tempo_bpm: 96.0, time_signature: (4, 4), ..Beginning::default() });
    assert_eq!(loaded(&project, &state), "1: 60, 2: 62 | [1, 7] 2 1300 own");
    assert_eq!(project.serialize_fields()["recording"], state["recording"]);
    // The next take gets the next number.
    play(&project, &[64]);
    assert_eq!(words(&project), "1: 60, 2: 62, 3: 64 | [1, 7] 2 1300 own");
}

#[test]
fn a_preset_changes_only_settings() {
    let preset = own();
    lock(&preset.weights).path = "preset".into();
    let project = own();
    let before = project.serialize_fields();
    assert_eq!(loaded(&project, &preset.serialize_fields()), "1: 60, 2: 62 | [1, 7] 2 1300 preset");
    assert_eq!(project.serialize_fields()["recording"], before["recording"]);
    // One kind of recording is enough to keep all.
    for part in 0..3 {
        let project = Project::default();
        match part {
            0 => play(&project, &[70]),
            1 => lock(&project.frozen).number = 9,
            _ => *lock(&project.seeds) = vec![3, 4],
        }
        let expected = ["1: 70 | [] 0 1120 preset", " | [] 9 1120 preset", " | [3, 4] 0 1120 preset"][part];
        assert_eq!(loaded(&project, &preset.serialize_fields()), expected);
    }
}

#[test]
fn a_host_s_undo_keeps_what_was_played_since() {
    let project = own();
    let before = project.serialize_fields();
    play(&project, &[64]);
    lock(&project.weights).path = "other".into();
    lock(&project.seeds).push(9);
    lock(&project.frozen).number = 3;
    let after = project.serialize_fields();
    assert_eq!(loaded(&project, &before), "1: 60, 2: 62, 3: 64 | [1, 7, 9] 3 1300 own");
    assert_eq!(loaded(&project, &after), "1: 60, 2: 62, 3: 64 | [1, 7, 9] 3 1300 other");
}

#[test]
fn takes_of_one_recording_come_together_again() {
    let first = own();
    let copy = Project::default();
    copy.deserialize_fields(&first.serialize_fields());
    play(&first, &[64, 65]);
    play(&copy, &[71]);
    // Its own third take stays, and remains the current one.
    assert_eq!(loaded(&copy, &first.serialize_fields()), "1: 60, 2: 62, 4: 65, 3: 71 | [1, 7] 2 1300 own");
    play(&copy, &[72]);
    assert_eq!(words(&copy), "1: 60, 2: 62, 4: 65, 3: 71, 5: 72 | [1, 7] 2 1300 own");
}

#[test]
fn a_preset_without_recordings_has_no_id() {
    let preset = Project::default().serialize_fields();
    let projects = [Project::default(), Project::default()];
    projects.iter().for_each(|project| project.deserialize_fields(&preset));
    play(&projects[0], &[60]);
    play(&projects[1], &[70]);
    play(&projects[0], &[62]);
    assert_eq!(loaded(&projects[1], &projects[0].serialize_fields()), "1: 70 | [] 0 1120 ");
}

#[test]
fn a_project_of_version_0_1_0_is_read() {
    let field = |key: &str, text: &str| (key.to_string(), text.to_string());
    let old: BTreeMap<String, String> = [
        field("frozen", r#"{"version":1,"number":1,"notes":[[17,60,100,3840,960]]}"#),
        field("look", r#"{"dark":false,"size_percent":125,"window":[1000.0,700.0]}"#),
        field("seeds", "[1,4]"),
        field(
            "take",
            r#"{"version":3,"starts":[{"first_note":0,"number":1,"bar_start_ticks":3840,"tempo_bpm":96.0,
            "time_signature":[4,4],"rng_seed":7}],"notes":[[17,60,127,3840,960]]}"#,
        ),
        field("weights", r#"{"path":"shipped:folk","hash":"0123456789abcdef"}"#),
    ]
    .into();
    let project = Project::default();
    assert_eq!(loaded(&project, &old), "1: 60 | [1, 4] 1 1000 shipped:folk");
    let again = project.serialize_fields();
    assert_eq!((again["behaviour"].as_str(), again["seeds"].as_str()), ("1", "[1,4]"));
    assert!(old.keys().all(|key| again.contains_key(key)));
    assert_eq!(loaded(&own(), &old), "1: 60, 2: 62 | [1, 7] 2 1300 shipped:folk");
}

#[test]
fn what_is_missing_or_damaged_is_the_default() {
    let project = own();
    assert_eq!(loaded(&project, &BTreeMap::new()), "1: 60, 2: 62 | [1, 7] 2 1300 ");
    let bad: BTreeMap<String, String> =
        ["take", "seeds", "frozen", "look", "weights", "recording", "behaviour"].map(|k| (k.into(), "[".into())).into();
    let project = Project::default();
    assert_eq!(loaded(&project, &bad), format!(" | [] 0 {} ", WINDOW.0));
}
