//! The worker, with and without its thread.

use continuo_model::decision::{Edge, Given, Lanes, Sounding};
use continuo_model::expression::{Expression, Swing, SwungNotes};
use continuo_model::generate::{self, Step, StepSettings};
use continuo_model::lexicon::Lexicon;
use continuo_model::weights_file::{Description, Weights};

use super::*;
use crate::bridge;

fn request(id: u64, step_idx: i64) -> Request {
    let step = Step {
        step_idx,
        step_in_beat: step_idx.rem_euclid(4) as usize,
        settings: StepSettings { rng_seed: 5, ..StepSettings::default() },
        ..Step::default()
    };
    let begins_bar = step_idx.rem_euclid(16) == 0;
    Request {
        id,
        origin: Origin::PreviousStep,
        count: step_idx,
        undo_from: step_idx,
        step,
        expression: Expression::NONE,
        begins_bar,
        requested_at: None,
    }
}

/// Full dynamics and deviations, and a swing.
fn expressive() -> Expression {
    let swing = Some(Swing::new(SwungNotes::Eighths, 0.66));
    Expression { dynamics: 1.0, humanise: 1.0, level: 0.5, swing, ..Expression::NONE }
}

fn performance() -> Performance {
    shipped("bach")
}

fn shipped(name: &str) -> Performance {
    let shipped = SHIPPED.iter().find(|shipped| shipped.name == name).unwrap();
    let weights = Weights::parse(&shipped.source(), shipped.bytes).unwrap();
    Performance::new(generate::network(&weights).unwrap())
}

/// An untrained melody model, which plays nevertheless.
fn line_weights() -> Weights {
    let words: String = (48..84).map(|pitch| format!(" {pitch}")).collect();
    let lexicon = Lexicon::parse(&format!("/ r _{words}")).unwrap();
    let config = format!(
        r#"{{"kind": "line", "vocab_size": {}, "embedding": 8, "features": ["beat"], "lstm": [16], "context_events": 12,
            "home_key": "c_major_a_minor"}}"#,
        lexicon.len()
    );
    let description = Description {
        name: "Lines".into(),
        config: serde_json::from_str(&config).unwrap(),
        vocabulary: lexicon.hash().to_string(),
        lexicon: Some(lexicon.spelling()),
        ..Weights::parse(&SHIPPED[0].source(), SHIPPED[0].bytes).unwrap().description
    };
    Weights::untrained(description, 1).unwrap()
}

fn line_performance() -> Performance {
    Performance::new(generate::network(&line_weights()).unwrap())
}

#[test]
fn a_repeated_request_undoes_its_step_and_all_after() {
    request_again(performance());
    request_again(line_performance());
    request_again(shipped("performed-piano"));
}

fn request_again(mut performance: Performance) {
    let mut decide = |steps: &mut dyn Iterator<Item = i64>| -> Vec<_> {
        steps.map(|step| performance.decide(&request(0, step)).decision).collect()
    };
    let first = decide(&mut (0..100));
    assert_eq!(decide(&mut (60..100)), first[60..]);
    assert_eq!(decide(&mut (99..100)), first[99..]);
    // Steps before the oldest checkpoint: it restores that one, and nothing breaks.
    decide(&mut (0..10));
}

#[test]
fn a_jump_continues_from_the_music_there_and_a_start_begins_anew() {
    jump(performance());
    jump(line_performance());
}

fn jump(mut performance: Performance) {
    let mut count = -1;
    let mut decide = |origin: Origin, steps: std::ops::Range<i64>, pass: u64| -> Vec<_> {
        let start = steps.start;
        let decisions = steps.map(|step_idx| {
            count += 1;
            let mut request = Request {
                count,
                undo_from: count,
                origin: if step_idx == start { origin } else { Origin::PreviousStep },
                ..request(0, step_idx)
            };
            request.step.settings.pass = pass;
            performance.decide(&request).decision
        });
        decisions.collect()
    };
    let first = decide(Origin::PieceStart, 0..80, 0);
    assert_eq!(decide(Origin::SongMemory, 32..64, 0), first[32..64], "from a bar line");
    assert_eq!(decide(Origin::SongMemory, 32..64, 0), first[32..64], "and again");
    assert_eq!(decide(Origin::SongMemory, 37..64, 0), first[37..64], "from the middle of a bar");
    assert_ne!(decide(Origin::SongMemory, 32..64, 1), first[32..64], "in another pass of the loop");
    decide(Origin::SongMemory, 500..510, 0);
    assert_eq!(decide(Origin::PieceStart, 0..80, 0), first);
}

/// The notes that sound before a step as the performer heard them: those that sound on if all lanes hold.
fn sounding(performance: &mut Performance, step_idx: i64) -> Sounding {
    let mut state = performance.performer.checkpoint();
    performance.performer.save(&mut state);
    let mut given = Given { lanes: Lanes::ALL, ..Given::NOTHING };
    (0..4).for_each(|lane| given.hold(lane, 0));
    let held = performance.performer.decide(&Step { given, ..request(0, step_idx).step });
    performance.performer.restore(&state);
    held.sounding
}

#[test]
fn grid_and_line_models_hand_over_to_each_other() {
    let play = |performance: &mut Performance, steps: std::ops::Range<i64>| -> Vec<_> {
        steps.map(|step| performance.decide(&request(0, step))).collect()
    };
    let run = || {
        let mut performance = performance();
        let chorale = play(&mut performance, 0..32);
        let before = performance.hand_over_to(line_performance(), 32);
        assert_eq!(
            sounding(&mut performance, 32),
            chorale[31].decision.sounding,
            "the line model has heard the sounding notes"
        );
        assert_eq!(before.performer.network().description().name, "Bach chorales");
        let tune = play(&mut performance, 32..64);
        let lanes = |answer: &Answer| Lanes::from_fn(|lane| !answer.decision.sounding.is_silent(lane));
        assert!(tune.iter().all(|answer| (lanes(answer) & !Lanes::first(1)).is_empty()), "a melody is one voice");
        assert!(tune.iter().filter(|answer| answer.decision.starts(0).count() > 0).count() > 2);
        performance.hand_over_to(before, 64);
        assert_eq!(
            sounding(&mut performance, 64),
            tune[31].decision.sounding,
            "the grid model has heard the sounding notes"
        );
        [chorale, tune, play(&mut performance, 64..96)]
            .concat()
            .into_iter()
            .map(|answer| answer.decision)
            .collect::<Vec<_>>()
    };
    let first = run();
    assert_eq!(run(), first);
    let deaf = play(&mut line_performance(), 32..64);
    assert!(
        deaf.iter().zip(&first[32..]).any(|(deaf, heard)| deaf.decision != *heard),
        "the line model ignored the chorale"
    );
}

/// Deciding a step neither allocates nor frees, with any kind of model, as a host may wait for it.
#[cfg(debug_assertions)]
#[test]
fn expression_changes_velocities_and_ticks_and_nothing_else() {
    for performance in [performance, line_performance] {
        let played = |expression: Expression| -> Vec<Answer> {
            let mut performance = performance();
            // A jump back, and a step that is decided twice.
            let steps = (0..40).map(|step| (step, step)).chain([(40, 16), (41, 17), (41, 17), (42, 18)]);
            let decide = |(count, step_idx): (i64, i64)| {
                let origin = if count == 40 { Origin::SongMemory } else { Origin::PreviousStep };
                performance.decide(&Request { count, undo_from: count, origin, expression, ..request(0, step_idx) })
            };
            steps.map(decide).collect()
        };
        let (plain, shaped) = (played(Expression::NONE), played(expressive()));
        let notes = |answers: &[Answer]| -> Vec<Vec<(u8, u8, bool)>> {
            let note = |edge: &Edge| (edge.lane(), edge.key(), matches!(edge, Edge::On { .. }));
            let sorted = |answer: &Answer| {
                let mut notes: Vec<_> = answer.decision.edges().iter().map(note).collect();
                notes.sort_unstable();
                notes
            };
            answers.iter().map(sorted).collect()
        };
        assert!(notes(&plain) == notes(&shaped) && plain != shaped);
        assert!(plain.iter().zip(&shaped).all(|(a, b)| a.decision.sounding == b.decision.sounding));
        assert_eq!(shaped[40].decision, shaped[16].decision, "a jump back plays the same");
        assert_eq!(shaped[41].decision, shaped[42].decision, "and so does a step that is decided again");
    }
}

#[test]
fn deciding_allocates_nothing() {
    for mut performance in [performance(), line_performance(), shipped("performed-piano")] {
        for count in 0..200 {
            let mut request = Request {
                origin: if count == 150 { Origin::SongMemory } else { Origin::PreviousStep },
                ..request(0, if count < 150 { count } else { count - 53 })
            };
            request.count = count;
            if count % 50 < 20 {
                request.step.given.strike(1, 60 + (count % 7) as u8, 90);
            }
            request.step.settings.snap = count % 3 == 0;
            request.expression = expressive();
            nice_assert_no_alloc::assert_no_alloc(|| performance.decide(&request));
        }
    }
}

#[test]
fn a_line_model_is_chosen_like_any_other() {
    let path = std::env::temp_dir().join(format!("continuo-line-{}.safetensors", std::process::id()));
    line_weights().write(&path).unwrap();
    let (mut audio, end, _) = bridge::new();
    let worker_shared = WorkerShared::default();
    worker_shared.weights.lock().unwrap().path = path.to_string_lossy().into_owned();
    let worker = Worker::start(end, worker_shared.clone());
    let status = wait_for(&worker_shared, "Lines", || ());
    assert_eq!((status.style.as_str(), status.problem.as_str(), status.plays_alone), ("Lines", "", true));
    audio.ask(request(1, 0));
    while audio.answer().is_none() {
        assert!(audio.can_answer());
    }
    drop(worker);
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn a_running_worker_answers_in_order_and_ends_when_dropped() {
    let (mut audio, end, _) = bridge::new();
    let worker_shared = WorkerShared::default();
    let status = worker_shared.status.clone();
    let worker = Worker::start(end, worker_shared);
    assert_eq!(status.lock().unwrap().problem, "");
    for id in 0..100 {
        assert_eq!(audio.ask(request(id, id as i64)), Some(id + 1));
    }
    let mut answered = 0;
    while answered < 100 {
        assert!(audio.can_answer());
        if let Some(answer) = audio.answer() {
            answered += 1;
            assert_eq!(answer.id, answered);
        }
    }
    drop(worker);
    assert!(!audio.can_answer());
}

fn wait_for(worker_shared: &WorkerShared, style: &str, mut meanwhile: impl FnMut()) -> Status {
    let patience = Instant::now() + Duration::from_secs(60);
    loop {
        let status = worker_shared.status.lock().unwrap().clone();
        if status.style == style || Instant::now() > patience {
            return status;
        }
        meanwhile();
    }
}

#[test]
fn a_bad_file_is_named_and_the_shipped_weights_play() {
    let (mut audio, end, _) = bridge::new();
    let worker_shared = WorkerShared::default();
    worker_shared.weights.lock().unwrap().path = "no/such.safetensors".into();
    let _worker = Worker::start(end, worker_shared.clone());
    let status = wait_for(&worker_shared, "Bach chorales", || ());
    assert!(status.problem.starts_with("no/such.safetensors: cannot be opened"), "{}", status.problem);
    assert_eq!(status.style, "Bach chorales");
    audio.ask(request(1, 0));
    while audio.answer().is_none() {
        assert!(audio.can_answer());
    }
}

#[test]
fn weights_are_swapped_at_a_bar_while_playing() {
    let path = std::env::temp_dir().join(format!("continuo-swap-{}.safetensors", std::process::id()));
    let mut weights = Weights::parse(&SHIPPED[0].source(), SHIPPED[0].bytes).unwrap();
    weights.description.name = "Mine".into();
    weights.write(&path).unwrap();

    let (mut audio, end, _) = bridge::new();
    let worker_shared = WorkerShared::default();
    let worker = Worker::start(end, worker_shared.clone());
    let mut step = 0;
    let mut play = || {
        let asked = audio.ask(request(step as u64, step));
        let answer = loop {
            assert!(audio.can_answer());
            if let Some(answer) = audio.answer() {
                break answer;
            }
        };
        assert_eq!(Some(answer.id), asked, "every request is answered");
        step += 1;
    };
    (0..20).for_each(|_| play());
    let choose =
        |path: &str| *worker_shared.weights.lock().unwrap() = ChosenWeights { path: path.into(), hash: String::new() };
    choose(&path.to_string_lossy());
    assert_eq!(wait_for(&worker_shared, "Mine", &mut play).style, "Mine");
    (0..20).for_each(|_| play());
    let hash = worker_shared.weights.lock().unwrap().hash.clone();
    assert_eq!(hash.len(), 16, "the project keeps the hash: `{hash}`");

    // A missing file is reported while the current weights keep playing. A file that changed since the project was
    // saved is reported too.
    choose("no/such.safetensors");
    let patience = Instant::now() + Duration::from_secs(60);
    while worker_shared.status.lock().unwrap().problem.is_empty() && Instant::now() < patience {
        play();
    }
    let status = worker_shared.status.lock().unwrap().clone();
    assert!(status.problem.starts_with("no/such.safetensors") && status.style == "Mine", "{status:?}");
    drop(worker);
    let changed = load(&ChosenWeights { path: path.to_string_lossy().into_owned(), hash: "0123456789abcdef".into() });
    let problem = changed.map(|loaded| loaded.problem).unwrap();
    assert!(problem.contains("expected the file that the project was saved with (0123456789abcdef)"), "{problem}");
    std::fs::remove_file(&path).unwrap();
}
