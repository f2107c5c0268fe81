//! The status line: the style, the figures and the problems. Runs on the host's window thread.

use std::path::Path;
use std::sync::atomic::Ordering;

use egui::{RichText, Ui};
use nice_plug::prelude::Param;

use super::control_rects;
use super::theme::Theme;
use crate::bridge::{Shared, TEMPO_RANGE_BPM};
use crate::params::{ContinuoParams, Mode};
use crate::worker::{Shipped, Status};

/// Suggested reply delays are multiples of this, milliseconds.
const DELAY_STEP_MS: f32 = 5.0;
/// The names of two figures, which turn to the colour of a warning.
const LATE: &str = "late";
const MISSED: &str = "missed";

/// The line and its memory of late answers.
#[derive(Default)]
pub struct StatusLine {
    lateness: Lateness,
}

impl StatusLine {
    /// Shows the line, and a further line for each problem.
    pub fn show(&mut self, ui: &mut Ui, theme: &Theme, status: &Status, params: &ContinuoParams, shared: &Shared) {
        let mode = params.mode.value();
        let delay = &params.reply_delay_ms;
        self.lateness.follow(shared, delay.unmodulated_plain_value());
        let line = ui.horizontal(|ui| {
            ui.spacing_mut().item_spacing.x = 18.0;
            let style = match (status.style.as_str(), status.problem.is_empty()) {
                ("", true) => "Not active yet",
                ("", false) => "No weights: notes pass through",
                (style, _) => style,
            };
            ui.label(RichText::new(style).color(theme.ink).strong());
            for (name, value) in facts(status, shared) {
                ui.horizontal(|ui| {
                    ui.spacing_mut().item_spacing.x = 5.0;
                    ui.label(RichText::new(name).color(theme.faint_ink));
                    let alarming = [LATE, MISSED].contains(&name) && !value.starts_with('0');
                    ui.label(RichText::new(value).color(if alarming { theme.warning } else { theme.ink }));
                })
                .response
                .on_hover_text(meaning(name));
            }
            // It comes and goes with each chord, so it stays in this line.
            if mode.plays_along() && shared.plays_all_voices.load(Ordering::Relaxed) {
                let text = RichText::new("You play all four voices: Continuo adds none").color(theme.accent);
                let rect = ui.label(text).rect;
                control_rects::record(ui.ctx(), || "All four voices".into(), rect);
            }
        });
        control_rects::record(ui.ctx(), || "Figures".into(), line.response.rect);
        if !status.notice.is_empty() {
            ui.label(RichText::new(&status.notice).color(theme.faint_ink));
        }
        let longest_ms = delay.preview_plain(1.0);
        let advice = self.lateness.advice(shared, mode, delay.unmodulated_plain_value(), longest_ms);
        for problem in problems(status, mode, shared).into_iter().chain(advice) {
            ui.label(RichText::new(problem).color(theme.warning));
        }
    }
}

fn facts(status: &Status, shared: &Shared) -> [(&'static str, String); 6] {
    let (late, due) = (shared.late.load(Ordering::Relaxed), shared.due.load(Ordering::Relaxed));
    [
        ("weights", source(&status.path)),
        ("runs on", if status.device.is_empty() { "–".into() } else { status.device.clone() }),
        ("a 16th takes", microseconds(shared.step_p50_us.load(Ordering::Relaxed))),
        ("an answer takes", microseconds(shared.reply_p99_us.load(Ordering::Relaxed))),
        (LATE, if late == 0 { "0".into() } else { format!("{late} of {due}") }),
        (MISSED, shared.misses.load(Ordering::Relaxed).to_string()),
    ]
}

fn meaning(name: &str) -> &'static str {
    match name {
        "weights" => "The weights file of the network.",
        "runs on" => "The device on which the network runs. Choose another on the Weights tab.",
        "a 16th takes" => "The median time to decide a 16th for all voices.",
        "an answer takes" => "The time from your note to the decision of its answer. 99 of 100 answers are faster.",
        LATE => "Steps that were decided a little late and played at once.",
        _ => "Steps that were decided too late or never. The notes before were held.",
    }
}

fn source(weights_path: &str) -> String {
    if let Ok(Some(_)) = Shipped::of_path(weights_path) {
        return "shipped".into();
    }
    let name = Path::new(weights_path).file_name().map(|name| name.to_string_lossy().into_owned());
    name.unwrap_or_else(|| weights_path.into())
}

fn microseconds(us: f32) -> String {
    match us {
        0.0 => "–".into(),
        us if us < 1000.0 => format!("{us:.0} µs"),
        us => format!("{:.1} ms", us / 1000.0),
    }
}

fn problems(status: &Status, mode: Mode, shared: &Shared) -> Vec<String> {
    let refused = shared.refused.load(Ordering::Relaxed);
    let problem = status.problem_in(mode);
    let is_on = |flag: &std::sync::atomic::AtomicBool| flag.load(Ordering::Relaxed);
    let problems = [
        (!problem.is_empty()).then_some(problem),
        is_on(&shared.has_failed).then(|| {
            "The plugin has failed. Your notes pass through. Save the project and load the plugin again.".into()
        }),
        is_on(&shared.render_failed).then(|| {
            "The render lacks notes: the network decided nothing for two seconds. Close other programs and render \
             again."
                .into()
        }),
        (refused > 0).then(|| format!("The host has refused {refused} events: its queue is full.")),
        is_on(&shared.host_without_time).then(|| {
            let (slowest, fastest) = (TEMPO_RANGE_BPM.start(), TEMPO_RANGE_BPM.end());
            format!(
                "The host gives no tempo from {slowest} to {fastest} bpm or no moving position. Time starts with your \
                 notes."
            )
        }),
    ];
    problems.into_iter().flatten().collect()
}

/// Late answers, and the reply delay with which they would have been in time.
#[derive(Default)]
struct Lateness {
    /// The counters of the last frame.
    late: u64,
    latest_ms: f32,
    /// A reply delay that would probably have sufficed.
    enough_ms: f32,
}

impl Lateness {
    /// Reads the counters. `delay_ms` is the current reply delay.
    fn follow(&mut self, shared: &Shared, delay_ms: f32) {
        let (late, latest_ms) = (shared.late.load(Ordering::Relaxed), shared.latest_ms.load(Ordering::Relaxed));
        if late > self.late {
            // Only the largest delay of all is known. If it has not grown, a little more reply delay should be enough.
            let by = if latest_ms > self.latest_ms { latest_ms } else { 1.0 };
            let enough = ((delay_ms + by) / DELAY_STEP_MS).ceil() * DELAY_STEP_MS;
            self.enough_ms = self.enough_ms.max(enough);
        }
        (self.late, self.latest_ms) = (late, latest_ms);
    }

    /// What the player can do about late answers; `None` if nothing is left to do.
    fn advice(&self, shared: &Shared, mode: Mode, delay_ms: f32, longest_ms: f32) -> Option<String> {
        if self.late == 0 || delay_ms >= self.enough_ms {
            return None;
        }
        let (due, block_ms) = (shared.due.load(Ordering::Relaxed), shared.block_ms.load(Ordering::Relaxed));
        let Self { late, latest_ms, enough_ms } = self;
        let answers = if *late == 1 { "answer" } else { "answers" };
        let what = format!("{late} of {due} {answers} came late, by up to {:.0} ms", latest_ms.max(1.0));
        let smaller = match block_ms {
            0.0 => "a smaller buffer".into(),
            block_ms => format!("a buffer of less than {block_ms:.0} ms"),
        };
        Some(match mode {
            mode if mode.plays_along() && *enough_ms <= longest_ms => {
                format!("{what}: choose a Reply delay of {enough_ms:.0} ms, or {smaller}")
            }
            mode if mode.plays_along() => format!("{what}: choose {smaller}, and a Reply delay of {longest_ms:.0} ms"),
            _ => format!("{what}: choose a longer Lookahead, or {smaller}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_units() {
        assert_eq!([0.0, 41.3, 2345.0].map(microseconds), ["–", "41 µs", "2.3 ms"]);
        assert_eq!(
            ["", "shipped:chorale", "folder/folk.safetensors"].map(source),
            ["shipped", "shipped", "folk.safetensors"]
        );
    }

    #[test]
    fn the_line_shows_the_counters() {
        let shared = Shared::default();
        shared.misses.store(7, Ordering::Relaxed);
        shared.step_p50_us.store(41.3, Ordering::Relaxed);
        let status = Status { path: "folder/folk.safetensors".into(), device: "CPU".into(), ..Status::default() };
        let values = || facts(&status, &shared).map(|(_, value)| value);
        assert_eq!(values(), ["folk.safetensors", "CPU", "41 µs", "–", "0", "7"]);
        shared.late.store(12, Ordering::Relaxed);
        shared.due.store(240, Ordering::Relaxed);
        assert_eq!(values()[4], "12 of 240");
    }

    #[test]
    fn late_answers_come_with_advice() {
        let shared = Shared::default();
        let mut lateness = Lateness::default();
        let mut advice = |late: u64, latest_ms: f32, mode: Mode, delay_ms: f32| {
            shared.late.store(late, Ordering::Relaxed);
            shared.due.store(240, Ordering::Relaxed);
            shared.latest_ms.store(latest_ms, Ordering::Relaxed);
            lateness.follow(&shared, delay_ms);
            lateness.advice(&shared, mode, delay_ms, 50.0).unwrap_or_default()
        };
        assert_eq!(advice(0, 0.0, Mode::Harmonise, 25.0), "");
        let expect = "12 of 240 answers came late, by up to 18 ms: choose a Reply delay of 45 ms, or a smaller buffer";
        assert_eq!(advice(12, 18.0, Mode::Harmonise, 25.0), expect);
        assert_eq!(
            advice(12, 18.0, Mode::Continue, 25.0).split(": ").nth(1),
            Some("choose a longer Lookahead, or a smaller buffer")
        );
        // The player has followed the advice.
        assert_eq!(advice(12, 18.0, Mode::Harmonise, 45.0), "");
        // An answer was late again, though by less than the latest of all.
        assert!(advice(13, 18.0, Mode::Harmonise, 45.0).contains("a Reply delay of 50 ms"));
        shared.block_ms.store(42.7, Ordering::Relaxed);
        let words = advice(14, 30.0, Mode::Harmonise, 50.0);
        assert!(words.ends_with("choose a buffer of less than 43 ms, and a Reply delay of 50 ms"), "{words}");
    }

    #[test]
    fn every_problem_is_shown() {
        let shared = Shared::default();
        assert!(problems(&Status::default(), Mode::Harmonise, &shared).is_empty());
        shared.refused.store(3, Ordering::Relaxed);
        for flag in [&shared.host_without_time, &shared.has_failed, &shared.render_failed] {
            flag.store(true, Ordering::Relaxed);
        }
        let status =
            Status { style: "Chorale".into(), problem: "a.safetensors: cut short".into(), ..Status::default() };
        let words = problems(&status, Mode::Harmonise, &shared).join("\n");
        for word in
            ["a.safetensors: cut short", "refused 3 events", "tempo from 1 to 999 bpm", "has failed", "lacks notes"]
        {
            assert!(words.contains(word), "{words}");
        }
    }

    #[test]
    fn a_line_model_in_harmonise_is_a_problem() {
        let status = Status { style: "Folk tunes".into(), plays_alone: true, ..Status::default() };
        let words = |mode| problems(&status, mode, &Shared::default());
        let expect = "Folk tunes: plays Continue, Respond and Free, and cannot harmonise or accompany; choose another \
                      mode or style";
        assert_eq!([Mode::Harmonise, Mode::Accompany].map(words), [[expect], [expect]]);
        assert!([Mode::Continue, Mode::Respond, Mode::Free].into_iter().all(|mode| words(mode).is_empty()));
    }
}
