//! The worker without its thread, and with it.

use continuo_model::generate::{Given, Step, StepSettings};
use continuo_model::sampling::Sampler;

use super::*;
use crate::bridge;

fn request(id: u64, step_idx: i64) -> Request {
    let step = Step {
        step_idx,
        step_in_beat: step_idx.rem_euclid(4) as usize,
        given: [Given::Free; 4],
        attack: false,
        settings: StepSettings { sampler: Sampler::default(), rng_seed: 5, pass: 0 },
    };
    Request { id, from: From::Here, count: step_idx, step, begins_bar: step_idx.rem_euclid(16) == 0, asked: None }
}

fn ensemble() -> Ensemble {
    let weights = Weights::parse(SHIPPED.0, SHIPPED.1).unwrap();
    Ensemble::new(Performer::new(StreamingNetwork::new(weights).unwrap()))
}

#[test]
fn asking_again_for_a_step_undoes_it_and_all_after() {
    let mut ensemble = ensemble();
    let mut decide = |steps: &mut dyn Iterator<Item = i64>| -> Vec<_> {
        steps.map(|step| ensemble.decide(&request(0, step)).row).collect()
    };
    let first = decide(&mut (0..100));
    assert_eq!(decide(&mut (60..100)), first[60..]);
    assert_eq!(decide(&mut (99..100)), first[99..]);
    // Further back than the checkpoints reach: the oldest is where it goes back to, and nothing breaks.
    decide(&mut (0..10));
}

#[test]
fn a_jump_goes_on_from_what_stood_there_and_a_start_begins_anew() {
    let mut ensemble = ensemble();
    let mut count = -1;
    let mut decide = |from: From, steps: std::ops::Range<i64>, pass: u64| -> Vec<_> {
        let start = steps.start;
        let rows = steps.map(|step_idx| {
            count += 1;
            let mut request =
                Request { count, from: if step_idx == start { from } else { From::Here }, ..request(0, step_idx) };
            request.step.settings.pass = pass;
            ensemble.decide(&request).row
        });
        rows.collect()
    };
    let first = decide(From::Nothing, 0..80, 0);
    assert_eq!(decide(From::Elsewhere, 32..64, 0), first[32..64], "from a bar line");
    assert_eq!(decide(From::Elsewhere, 32..64, 0), first[32..64], "and again");
    assert_eq!(decide(From::Elsewhere, 37..64, 0), first[37..64], "from the middle of a bar");
    assert_ne!(decide(From::Elsewhere, 32..64, 1), first[32..64], "another time round");
    decide(From::Elsewhere, 500..510, 0);
    assert_eq!(decide(From::Nothing, 0..80, 0), first);
}

#[test]
fn a_running_worker_answers_in_order_and_ends_when_dropped() {
    let (mut audio, end) = bridge::new();
    let status = Arc::new(Mutex::new(Status::default()));
    let worker = Worker::start(end, None, status.clone(), Arc::default());
    assert_eq!(status.lock().unwrap().problem, "");
    for id in 0..100 {
        assert!(audio.ask(request(id, id as i64)));
    }
    let mut answered = 0;
    while answered < 100 {
        assert!(audio.can_answer());
        if let Some(answer) = audio.answer() {
            assert_eq!(answer.id, answered);
            answered += 1;
        }
    }
    drop(worker);
    assert!(!audio.can_answer());
}

#[test]
fn a_bad_file_is_named_and_the_shipped_weights_play() {
    let (mut audio, end) = bridge::new();
    let status = Arc::new(Mutex::new(Status::default()));
    let _worker = Worker::start(end, Some("no/such.safetensors".into()), status.clone(), Arc::default());
    let status = status.lock().unwrap().clone();
    assert!(status.problem.starts_with("no/such.safetensors: cannot be opened"), "{}", status.problem);
    assert_eq!(status.style, "Chorale");
    audio.ask(request(1, 0));
    while audio.answer().is_none() {
        assert!(audio.can_answer());
    }
}
