//! The state from which the first steps after a start continue.

use super::*;

#[test]
fn what_is_tried_out_before_the_start_changes_nothing_after_it() {
    let run = |tries: bool| {
        let (audio_end, mut end, _) = bridge::new();
        audio_end.shared.worker_runs.store(true, Ordering::Release);
        let mut audio = AudioThread::new(audio_end, SAMPLE_RATE, 4096, Instant::now);
        let mut requests = Vec::new();
        for n in 0..300_u64 {
            let mut block = block(Mode::Continue, n.saturating_sub(100), Instant::now());
            block.settings.enter_on_beat = true;
            block.now = Instant::now();
            block.host.playing = n >= 100;
            if tries && (n == 80 || n == 90) {
                audio.hear(note(0, 72, n == 80));
            }
            if n == 120 || n == 140 {
                audio.hear(note(0, 67, n == 120));
            }
            audio.process(&block, &mut (), |_| true);
            while let Some(request) = end.request() {
                if n >= 100 {
                    requests.push((n, request.origin, request.step.step_idx, request.step.given));
                }
                let keys = [72, 67, 60, 48];
                end.answer(Answer {
                    id: request.id,
                    decision: decision_of(keys.map(Symbol::Pitch), [None; 4], keys.map(Some)),
                });
            }
        }
        requests
    };
    let plain = run(false);
    assert!(plain.len() > 4 && plain[0].0 > 120);
    assert_eq!(run(true), plain);
}
