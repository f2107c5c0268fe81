//! The bridge between two threads, and its limits.

use super::*;
use continuo_model::decision::Edge;
use continuo_model::expression::Expression;
use continuo_model::generate::StepSettings;

fn request(id: u64) -> Request {
    let settings = StepSettings { rng_seed: id, pass: id, ..StepSettings::default() };
    let step = Step { step_idx: id as i64, settings, ..Step::default() };
    let count = id as i64;
    Request {
        id,
        origin: Origin::PreviousStep,
        count,
        undo_from: count,
        step,
        expression: Expression::NONE,
        begins_bar: false,
        requested_at: None,
    }
}

/// A bridge whose worker counts as running.
fn running() -> (AudioEnd, WorkerEnd, EditorEnd) {
    let ends = new();
    ends.1.shared.worker_runs.store(true, Ordering::Release);
    ends
}

#[test]
fn without_a_worker_requests_are_refused() {
    let (mut audio, mut worker, _) = new();
    assert_eq!((audio.ask(request(0)), worker.request().is_none()), (None, true));
}

#[test]
fn nothing_is_lost_torn_or_out_of_order_between_two_threads() {
    const COUNT: u64 = 200_000;
    let (mut audio, mut worker, _) = running();
    let answering = std::thread::spawn(move || {
        worker.register();
        for expected in 1..=COUNT {
            let request = loop {
                match worker.request() {
                    Some(request) => break request,
                    None => std::thread::park_timeout(std::time::Duration::from_millis(1)),
                }
            };
            assert_eq!((request.id, request.count), (expected, expected as i64));
            assert_eq!((request.step.settings.rng_seed, request.step.settings.pass), (expected, expected));
            let key = (expected % 128) as u8;
            let mut decision = Decision::SILENCE;
            decision.push(Edge::On { lane: 3, key, velocity: 0, tick: 0 });
            worker.answer(Answer { id: expected, decision });
        }
    });
    let (mut asked, mut answered) = (0, 0);
    while answered < COUNT {
        let ended = answering.is_finished();
        // A refused request is sent again once there is room.
        if asked < COUNT && audio.ask(request(asked + 1)).is_some() {
            asked += 1;
        }
        audio.wake();
        while let Some(answer) = audio.answer() {
            answered += 1;
            let key = (answered % 128) as u8;
            let started: Vec<u8> = answer.decision.starts(3).collect();
            let sounds = answer.decision.sounding.contains(3, key);
            assert_eq!((answer.id, started, sounds), (answered, vec![key], true));
        }
        assert!(!ended || answered == COUNT, "the worker's end gave up after {answered} answers");
    }
    answering.join().unwrap();
}

#[test]
fn a_full_bridge_refuses_and_keeps_what_it_has() {
    let (mut audio, mut worker, _) = running();
    let mut fill = || (0..CAPACITY as u64 + 10).filter_map(|id| audio.ask(request(id))).count();
    assert_eq!(fill(), CAPACITY);
    let requests: Vec<Request> = std::iter::from_fn(|| worker.request()).collect();
    assert_eq!(requests.len(), CAPACITY);
    for request in &requests {
        worker.answer(Answer { id: request.id, decision: Decision::SILENCE });
    }
    // The ring of requests is empty, but the answers fill theirs: a further request could not be answered.
    assert_eq!(fill(), 0);
    let answers: Vec<u64> = std::iter::from_fn(|| audio.answer()).map(|answer| answer.id).collect();
    assert!(answers.iter().copied().eq(1..=CAPACITY as u64), "answers were lost: {}", answers.len());
    assert_eq!(audio.ask(request(0)), Some(CAPACITY as u64 + 1));
}

#[test]
fn requests_without_an_answer_give_their_room_back() {
    let (mut audio, mut worker, _) = running();
    for _ in 0..10 {
        while audio.ask(request(0)).is_some() {}
        // Of many requests that undo each other the worker answers only the last.
        let last = std::iter::from_fn(|| worker.request()).last().expect("a request");
        worker.answer(Answer { id: last.id, decision: Decision::SILENCE });
        assert!(audio.answer().is_some());
    }
}
