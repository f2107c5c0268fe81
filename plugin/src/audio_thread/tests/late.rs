//! Late answers, and renders without answers.

use super::*;
use crate::bridge::{Told, microseconds};

thread_local! {
    static CLOCK: std::cell::Cell<Option<Instant>> = const { std::cell::Cell::new(None) };
    /// How far each reading advances the clock.
    static TICK: std::cell::Cell<Duration> = const { std::cell::Cell::new(Duration::from_millis(1)) };
}

fn watch() -> Instant {
    let now = CLOCK.get().expect("a test sets it") + TICK.get();
    CLOCK.set(Some(now));
    now
}

/// Live blocks of 10 ms, with a worker that answers when the test says so.
struct Late {
    audio: AudioThread,
    end: WorkerEnd,
    shared: Arc<Shared>,
    began: Instant,
    n: u64,
}

impl Late {
    fn new() -> Self {
        let began = Instant::now();
        CLOCK.set(Some(began));
        let (audio_end, end, _) = bridge::new();
        audio_end.shared.worker_runs.store(true, Ordering::Release);
        let shared = audio_end.shared.clone();
        let audio = AudioThread::new(audio_end, SAMPLE_RATE, 4096, watch).with_own_budget();
        Self { audio, end, shared, began, n: 0 }
    }

    /// Plays a block. Returns the note-ons sent except the soprano's, as (sample, true, key), and whether the block is
    /// complete.
    fn block(&mut self, input: &[NoteEvent<()>], says_offline: bool) -> (Vec<(u32, bool, u8)>, bool) {
        let mut block = block(Mode::Harmonise, self.n, self.began);
        block.settings.reply_delay_samples = 240;
        block.says_offline = says_offline;
        CLOCK.set(Some(block.now.max(CLOCK.get().expect("it is set"))));
        input.iter().for_each(|event| self.audio.hear(*event));
        let mut sent = Vec::new();
        let is_complete = self.audio.process(&block, &mut (), |event| {
            if let NoteEvent::NoteOn { timing, channel: Channel::Number(1..), key, .. } = event {
                sent.push((timing, true, key.number().unwrap()));
            }
            true
        });
        self.n += 1;
        (sent, is_complete)
    }

    fn counts(&self) -> (u64, u64) {
        (self.shared.late.load(Ordering::Relaxed), self.shared.misses.load(Ordering::Relaxed))
    }
}

#[test]
fn an_answer_that_is_late_by_less_than_60_ms_is_played_at_once() {
    for (blocks_late, expect) in [(1, true), (3, true), (5, true), (7, false)] {
        let mut late = Late::new();
        late.block(&[], false);
        // The answer is due 5 ms after the note.
        assert_eq!(late.block(&[note(0, 72, true)], false), (Vec::new(), true));
        let mut sent = Vec::new();
        for n in 1..10 {
            if n == blocks_late {
                answer_all(&mut late.end);
            }
            sent.extend(late.block(&[], false).0.into_iter().map(|(timing, ..)| (n, timing)));
        }
        let (counted, misses) = late.counts();
        if expect {
            assert_eq!(sent[..3], [(blocks_late, 0); 3], "{blocks_late} blocks late");
            assert_eq!((counted, misses), (1, 0));
        } else {
            assert!(sent.is_empty() && counted == 0 && misses > 0, "{blocks_late} blocks late: {sent:?}");
        }
        let told: Vec<_> = std::iter::from_fn(|| late.end.told())
            .filter_map(|told| match told {
                Told::Played(played) if played.generated => Some((played.take_beats, played.heard_beats)),
                _ => None,
            })
            .collect();
        // The take has the answer at its nominal position, and 5 ms later as it was due.
        let near = |(nominal, heard): &(f64, f64)| (nominal - 0.0).abs() < 1e-9 && (heard - 0.03).abs() < 1e-9;
        assert!(told.iter().take(3).all(near) && told.is_empty() != expect, "{told:?}");
    }
}

#[test]
fn what_is_late_when_the_last_key_comes_up_does_not_start() {
    let mut late = Late::new();
    late.block(&[note(0, 72, true)], false);
    late.block(&[note(0, 72, false)], false);
    answer_all(&mut late.end);
    let sent: Vec<_> = (0..9).flat_map(|_| late.block(&[], false).0).collect();
    assert_eq!((sent, late.counts()), (Vec::new(), (0, 0)));
}

#[test]
fn a_render_that_gets_no_answers_fails_and_the_take_says_so() {
    let mut late = Late::new();
    TICK.set(Duration::from_millis(100));
    late.block(&[], true);
    let before = microseconds(CLOCK.get().unwrap());
    assert!(!late.block(&[note(0, 72, true)], true).1, "the block lacks its answer");
    let waited = microseconds(CLOCK.get().unwrap()) - before;
    assert!((2_000_000..60_000_000).contains(&waited), "it waited for {waited} us");
    assert!(std::iter::from_fn(|| late.end.told()).any(|told| told == Told::Incomplete));
    assert!(late.shared.render_failed.load(Ordering::Relaxed));
    // The block does not wait again for a worker that has made no progress.
    let before = CLOCK.get().unwrap();
    for _ in 0..20 {
        late.block(&[], true);
    }
    assert!(CLOCK.get().unwrap() - before < Duration::from_secs(2));
    TICK.set(Duration::from_millis(1));
}

#[test]
fn after_a_panic_notes_pass_and_what_sounds_ends() {
    let mut late = Late::new();
    late.audio.fail_in(Some(3));
    let mut sent = Vec::new();
    for n in 0..8_u64 {
        let block = block(Mode::Harmonise, n, late.began);
        let input = match n {
            0 => vec![note(0, 72, true)],
            3 => vec![note(7, 60, true)],
            6 => vec![note(9, 60, false)],
            _ => Vec::new(),
        };
        input.iter().for_each(|event| late.audio.hear(*event));
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| ()));
        let is_complete = late.audio.process_or_pass(&block, |event| {
            sent.push((n, event.timing(), matches!(event, NoteEvent::NoteOn { .. })));
            true
        });
        std::panic::set_hook(hook);
        assert!(is_complete);
        answer_all(&mut late.end);
        if n == 1 {
            assert_eq!(sent.iter().filter(|sent| sent.2).count(), 4, "the note and its answer: {sent:?}");
        }
    }
    assert!(late.shared.has_failed.load(Ordering::Relaxed));
    let after: Vec<_> = sent.iter().filter(|sent| sent.0 >= 3).copied().collect();
    assert_eq!(after[..4], [(3, 0, false); 4], "what sounds ends");
    assert_eq!(after[4..], [(3, 7, true), (6, 9, false)], "notes pass");
}
