//! The host's time in all the ways in which hosts report it.

use super::*;
use crate::audio_thread::positions::{CountedStep, Sample, SongStep, StepPosition};

fn step(number: i64) -> CountedStep {
    CountedStep::new(number)
}

fn host(playing: bool, pos_beats: f64) -> HostTime {
    HostTime { playing, tempo_bpm: Some(120.0), pos_beats: Some(pos_beats), ..Default::default() }
}

fn begin(clock: &mut Clock, host: &HostTime, frames: usize) -> BlockTime {
    let host_runs = clock.host_runs(host);
    clock.begin_block(host, host_runs, frames)
}

#[test]
fn motions_are_told_apart() {
    let mut clock = Clock::new(48_000.0, 4096);
    let beats = 480.0 / 24_000.0;
    let script =
        [(false, 0.0), (true, 0.0), (true, beats), (true, 7.0), (true, 7.0 + beats), (false, 9.0), (false, 9.0)];
    let motions = script.map(|(playing, pos)| begin(&mut clock, &host(playing, pos), 480).motion);
    use Motion::*;
    assert_eq!(motions, [Stopped, Started, Continued, Jumped, Continued, Halted, Stopped]);
}

#[test]
fn a_position_that_stands_still_is_no_transport() {
    let mut clock = Clock::new(48_000.0, 4096);
    let mut motion = || begin(&mut clock, &host(true, 3.0), 480).motion;
    assert_eq!(motion(), Motion::Started);
    // For a tenth of a second the host may be repeating one position for several blocks.
    assert_eq!([(); 10].map(|()| motion()), [Motion::Continued; 10]);
    assert_eq!([(); 3].map(|()| motion()), [Motion::Halted, Motion::Stopped, Motion::Stopped]);
}

#[test]
fn a_position_told_once_for_several_blocks_goes_on_between() {
    let mut clock = Clock::new(48_000.0, 4096);
    for n in 0..40_usize {
        let told = (n / 4 * 4) as f64 * 480.0 / 24_000.0;
        let block = begin(&mut clock, &host(true, told), 480);
        assert_eq!(block.motion, if n == 0 { Motion::Started } else { Motion::Continued });
        assert!((block.position.steps() - n as f64 * 0.08).abs() < 1e-9, "block {n}: {:?}", block.position);
    }
}

#[test]
fn a_tempo_that_changes_anywhere_in_a_block_is_no_jump() {
    for (before, after) in [(60.0, 240.0), (240.0, 60.0), (120.0, 121.0)] {
        for changed_at in 0..=4096 {
            let mut clock = Clock::new(48_000.0, 4096);
            let beats = |tempo: f64, samples: usize| samples as f64 * tempo / 60.0 / 48_000.0;
            let at = |tempo, pos| HostTime { tempo_bpm: Some(tempo), ..host(true, pos) };
            begin(&mut clock, &at(before, 0.0), 4096);
            let pos = beats(before, changed_at) + beats(after, 4096 - changed_at);
            let motions = [pos, pos + beats(after, 4096)].map(|pos| begin(&mut clock, &at(after, pos), 4096).motion);
            assert_eq!(motions, [Motion::Continued; 2], "from {before} to {after} at sample {changed_at}");
        }
    }
}

#[test]
fn a_position_told_twice_within_a_block_is_not_believed() {
    let mut clock = Clock::new(48_000.0, 4096);
    let beats = |samples: f64| samples / 24_000.0;
    // A block of 4096 samples in three parts. In the last two, the positions are ahead by as much as the parts start
    // after the block does.
    let told = [0.0, 2.0 * 1000.0, 2.0 * 3000.0, 4096.0].map(beats);
    let blocks: Vec<_> = told
        .into_iter()
        .zip([1000, 2000, 1096, 4096])
        .map(|(pos, frames)| begin(&mut clock, &host(true, pos), frames))
        .collect();
    let places: Vec<_> = blocks.iter().map(|block| (block.position.steps() * 6000.0).round()).collect();
    assert_eq!(places, [0.0, 1000.0, 3000.0, 4096.0]);
    assert!(blocks[1..].iter().all(|block| block.motion == Motion::Continued));
    // A position that is ahead by any other amount is a jump.
    assert_eq!(begin(&mut clock, &host(true, beats(2.0 * 4096.0 + 3500.0)), 480).motion, Motion::Jumped);
}

#[test]
fn bars_do_not_shift_while_time_goes_straight_on() {
    let mut clock = Clock::new(48_000.0, 4096);
    let at =
        |pos, bar_start| HostTime { time_signature: Some((7, 8)), bar_start_beats: Some(bar_start), ..host(true, pos) };
    // Bars of 3.5 beats that begin at 1. A report of a bar at 0 is ignored.
    let bars = [(1.0, 1.0), (1.02, 0.0), (1.04, 1.0)];
    let starts = bars.map(|(pos, bar_start)| begin(&mut clock, &at(pos, bar_start), 480).bar_start().beats());
    assert_eq!(starts, [1.0, 1.0, 1.0]);
    // After a jump such a report counts.
    assert_eq!(begin(&mut clock, &at(9.0, 7.0), 480).bar_start().beats(), 7.0);
}

#[test]
fn a_tempo_of_nothing_is_120() {
    for tempo_bpm in [None, Some(0.0), Some(-5.0), Some(f64::NAN), Some(1e9)] {
        let time = HostTime { tempo_bpm, ..host(true, 1.0) };
        let block = begin(&mut Clock::new(48_000.0, 4096), &time, 64);
        assert_eq!((block.samples_per_step, block.motion), (6000.0, Motion::Stopped), "{tempo_bpm:?}");
    }
}

#[test]
fn steps_fall_on_the_same_sample_whatever_the_rounding() {
    let mut clock = Clock::new(48_000.0, 4096);
    let exact = begin(&mut clock, &host(true, 0.0), 64);
    assert_eq!(exact.timing_of(step(1).position()), 6000);
    for rounding in [-2e-9, 2e-9] {
        let near = BlockTime { position: StepPosition::new(0.5 + rounding), ..exact };
        assert_eq!(near.timing_of(step(1).position()), 3000);
    }
    assert_eq!(exact.position_at(Sample::default() + 3000_u64), StepPosition::new(0.5));
    let seven_eights = BlockTime { bar_start_step: SongStep::new(14), bar_steps: 14, bar: 1, ..exact };
    assert_eq!([13, 14, 17, 27, 28].map(|step| seven_eights.step_in_beat(SongStep::new(step))), [1, 0, 3, 1, 0]);
    assert_eq!([13, 14, 28].map(|step| seven_eights.bar_of(SongStep::new(step))), [0, 1, 2]);
}

#[test]
fn free_running_time_starts_at_0_and_yields_to_the_host() {
    let mut clock = Clock::new(48_000.0, 4096);
    clock.start_free_running(600, &host(false, 3.0));
    assert_eq!(begin(&mut clock, &host(false, 3.0), 6600).timing_of(step(0).position()), 600);
    let second = begin(&mut clock, &host(false, 3.0), 6000);
    assert_eq!((second.position.steps(), second.motion), (1.0, Motion::Continued));
    assert_eq!(begin(&mut clock, &host(true, 3.0), 6000).motion, Motion::Started);
    assert!(!clock.is_free_running());
}

#[test]
fn a_loop_is_foreseen_and_counted_through() {
    let mut clock = Clock::new(48_000.0, 4096);
    let at = |pos_beats| HostTime { loop_range_beats: Some((2.0, 4.0)), ..host(true, pos_beats) };
    let position = |block: &BlockTime, number| {
        let position = block.song_position(step(number));
        (position.song_step.number(), position.pass, position.is_loop_start)
    };
    let first = begin(&mut clock, &at(3.0), 24_000);
    assert_eq!(position(&first, 15), (15, 0, false));
    assert_eq!(position(&first, 16), (8, 1, true));
    assert_eq!(position(&first, 25), (9, 2, false));
    let second = begin(&mut clock, &at(2.0), 24_000);
    assert_eq!((second.motion, second.position.steps()), (Motion::Continued, 16.0));
    assert_eq!(position(&second, 16), (8, 1, true));
    assert_eq!(position(&second, 17), (9, 1, false));
    assert_eq!(position(&second, 24), (8, 2, true));
    assert_eq!(second.song_beats_at(Sample::default() + 12_000_u64).beats(), 2.5);
    let jumped = begin(&mut clock, &at(0.5), 24_000);
    assert_eq!(jumped.motion, Motion::Jumped);
    assert!(jumped.position.steps() > 64.0, "a count never comes back");
    assert_eq!(jumped.song_position(jumped.position.step()).song_step, SongStep::new(2));
}

#[test]
fn a_block_that_runs_over_the_loops_end_is_the_same_however_it_is_split() {
    let at = |pos_beats| HostTime { loop_range_beats: Some((2.0, 4.0)), ..host(true, pos_beats) };
    let whole = [(3.5, 24_000)];
    let on_the_end = [(3.5, 12_000), (4.0, 12_000)];
    let behind_it = [(3.5, 18_000), (4.25, 3_000), (4.375, 3_000)];
    for splits in [&whole[..], &on_the_end, &behind_it] {
        let mut clock = Clock::new(48_000.0, 32_000);
        for (pos, frames) in splits {
            let block = begin(&mut clock, &at(*pos), *frames);
            let position = |number| {
                let position = block.song_position(step(number));
                (position.song_step.number(), position.pass, position.is_loop_start)
            };
            assert_eq!([16, 17].map(position), [(8, 1, true), (9, 1, false)], "{splits:?} at {pos}");
            assert_eq!(block.position.steps(), 14.0 + (pos - 3.5) * 4.0, "{splits:?} at {pos}");
        }
        let next = begin(&mut clock, &at(2.5), 6000);
        assert_eq!(
            (next.motion, next.position.steps(), next.song_position(step(18)).song_step.number()),
            (Motion::Continued, 18.0, 10),
            "{splits:?}"
        );
    }
}

#[test]
fn another_tempo_at_the_expected_sample_is_no_jump_wherever_its_beats_are() {
    // The host changes its tempo map while playing: from 120 to 90 bpm at 4 s, so that beat 8 becomes beat 6.
    for (told_samples, motion) in
        [(Some(192_000), Motion::Continued), (Some(96_000), Motion::Jumped), (None, Motion::Jumped)]
    {
        let mut clock = Clock::new(48_000.0, 4096);
        let at = |tempo: f64, pos_samples: i64| HostTime {
            tempo_bpm: Some(tempo),
            pos_samples: Some(pos_samples),
            ..host(true, pos_samples as f64 / 48_000.0 * tempo / 60.0)
        };
        let mut last = begin(&mut clock, &at(120.0, 0), 4000);
        for n in 1..48 {
            last = begin(&mut clock, &at(120.0, n * 4000), 4000);
            assert_eq!(last.motion, Motion::Continued);
        }
        let now = begin(&mut clock, &HostTime { pos_samples: told_samples, ..at(90.0, 192_000) }, 4000);
        assert_eq!(now.motion, motion, "{told_samples:?}");
        if motion == Motion::Continued {
            // The count moves by at most half a step, and agrees with the song.
            let expected = last.position.steps() + 4000.0 / 6000.0;
            assert!((now.position.steps() - expected).abs() <= 0.5, "{:?} for {expected}", now.position);
            assert!((now.song_beats_at(now.begin).beats() - 6.0).abs() < 1e-9);
            let next = begin(&mut clock, &at(90.0, 196_000), 4000);
            assert_eq!(next.motion, Motion::Continued);
        }
    }
}
