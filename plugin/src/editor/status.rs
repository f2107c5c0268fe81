//! The status line: what plays, on what, how fast, and what is wrong, in words. Runs on the host's window thread.

use std::path::Path;
use std::sync::atomic::Ordering;

use egui::{RichText, Ui};

use super::places;
use super::theme::Theme;
use crate::bridge::Shared;
use crate::params::Mode;
use crate::worker::{Shipped, Status};

/// The line, and one more for each problem.
pub fn show(ui: &mut Ui, theme: &Theme, status: &Status, mode: Mode, shared: &Shared) {
    let line = ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 18.0;
        let style = match (status.style.as_str(), status.problem.is_empty()) {
            ("", true) => "Not active yet",
            ("", false) => "No weights: notes go through",
            (style, _) => style,
        };
        ui.label(RichText::new(style).color(theme.ink).strong());
        for (name, value) in facts(status, shared) {
            ui.horizontal(|ui| {
                ui.spacing_mut().item_spacing.x = 5.0;
                ui.label(RichText::new(name).color(theme.faint_ink));
                let alarming = name == "missed" && value != "0";
                ui.label(RichText::new(value).color(if alarming { theme.warning } else { theme.ink }));
            })
            .response
            .on_hover_text(meaning(name));
        }
    });
    places::note(ui.ctx(), || "Figures".into(), line.response.rect);
    for problem in problems(status, mode, shared) {
        ui.label(RichText::new(problem).color(theme.warning));
    }
}

fn facts(status: &Status, shared: &Shared) -> [(&'static str, String); 5] {
    [
        ("weights", source(&status.path)),
        ("device", "CPU".into()),
        ("step", microseconds(shared.step_p50_us.load(Ordering::Relaxed))),
        ("reply", microseconds(shared.reply_p99_us.load(Ordering::Relaxed))),
        ("missed", shared.misses.load(Ordering::Relaxed).to_string()),
    ]
}

fn meaning(name: &str) -> &'static str {
    match name {
        "weights" => "The file that the network was read from.",
        "device" => "What the network runs on.",
        "step" => "Time to decide one 16th for all voices, median.",
        "reply" => "Time from a note of yours to its decided answer; 99 of 100 are faster.",
        _ => "Steps that were not decided in time: what sounded was held.",
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
    let problems = [
        (!problem.is_empty()).then_some(problem),
        (refused > 0).then(|| format!("host: expected room for all events, got {refused} turned away")),
        shared.host_without_time.load(Ordering::Relaxed).then(|| {
            "host: expected a tempo of 1 to 999 bpm and a position that moves, got none; time starts with your notes".into()
        }),
    ];
    problems.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_in_words() {
        assert_eq!([0.0, 41.3, 2345.0].map(microseconds), ["–", "41 µs", "2.3 ms"]);
        assert_eq!(
            ["", "shipped:chorale", "folder/folk.safetensors"].map(source),
            ["shipped", "shipped", "folk.safetensors"]
        );
    }

    #[test]
    fn the_line_shows_what_is_counted() {
        let shared = Shared::default();
        shared.misses.store(7, Ordering::Relaxed);
        shared.step_p50_us.store(41.3, Ordering::Relaxed);
        let status = Status { path: "folder/folk.safetensors".into(), ..Status::default() };
        let values = facts(&status, &shared).map(|(_, value)| value);
        assert_eq!(values, ["folk.safetensors", "CPU", "41 µs", "–", "7"]);
    }

    #[test]
    fn every_problem_is_said() {
        let shared = Shared::default();
        assert!(problems(&Status::default(), Mode::Harmonise, &shared).is_empty());
        shared.refused.store(3, Ordering::Relaxed);
        shared.host_without_time.store(true, Ordering::Relaxed);
        let status =
            Status { style: "Chorale".into(), problem: "a.safetensors: cut short".into(), ..Status::default() };
        let words = problems(&status, Mode::Harmonise, &shared).join("\n");
        for word in ["a.safetensors: cut short", "3 turned away", "expected a tempo"] {
            assert!(words.contains(word), "{words}");
        }
    }

    #[test]
    fn a_line_model_says_that_it_does_not_harmonise() {
        let status =
            Status { style: "Folk tunes".into(), plays_alone: true, ..Status::default() };
        let words = |mode| problems(&status, mode, &Shared::default());
        let expect = "Folk tunes: plays Continue, Respond and Free, and cannot harmonise; choose another mode or style";
        assert_eq!(words(Mode::Harmonise), [expect]);
        assert!([Mode::Continue, Mode::Respond, Mode::Free].into_iter().all(|mode| words(mode).is_empty()));
    }
}
