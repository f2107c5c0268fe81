//! `cargo xtask test`: runs everything that CI runs, step by step, up to the first failure.

use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::workspace::{Workspace, cargo, run_to_success};
use crate::{bundle, dependencies, programs, system_packages, tidy};

/// The cargo profile of the bundles and the tests: as fast as `release`, with every assertion on.
const PROFILE: &str = "checked";

struct Step<'a> {
    name: &'static str,
    /// Returns what it could not check here, if anything.
    run: Box<dyn Fn() -> Result<Option<String>> + 'a>,
}

impl<'a> Step<'a> {
    /// A step that checks all it has to.
    fn whole(name: &'static str, run: impl Fn() -> Result<()> + 'a) -> Self {
        Self { name, run: Box::new(move || run().map(|()| None)) }
    }
}

/// How a step that was run went.
struct Outcome {
    time: Duration,
    /// What it could not check, or the error.
    left_out: Result<Option<String>>,
}

/// Runs the steps up to the first that fails, whose failure is the exit code. `bless` stores the editor's pictures
/// instead of comparing them.
pub fn run(workspace: &Workspace, install_packages: bool, bless: bool) -> Result<ExitCode> {
    let in_ci = std::env::var_os("CI").is_some_and(|value| value == "true" || value == "1");
    let steps = steps(workspace, install_packages || in_ci, bless);
    let mut outcomes: Vec<Outcome> = Vec::new();
    for (idx, step) in steps.iter().enumerate() {
        println!("== {}/{} {}", idx + 1, steps.len(), step.name);
        let start = Instant::now();
        let left_out = (step.run)();
        if let Ok(Some(left_out)) = &left_out {
            println!("! {left_out}");
        }
        outcomes.push(Outcome { time: start.elapsed(), left_out });
        if outcomes[idx].left_out.is_err() {
            break;
        }
    }

    println!("\n{}", summary(&steps, &outcomes));
    let failed = |(step, outcome): (&Step<'_>, &Outcome)| {
        outcome.left_out.as_ref().err().map(|error| format!("error: step `{}` failed: {error:#}", step.name))
    };
    let Some(error) = steps.iter().zip(&outcomes).find_map(failed) else {
        return Ok(ExitCode::SUCCESS);
    };
    eprintln!("{error}");
    Ok(ExitCode::FAILURE)
}

fn steps(workspace: &Workspace, may_install: bool, bless: bool) -> Vec<Step<'_>> {
    let plain = |name, args: &'static [&'static str]| {
        Step::whole(name, move || run_to_success(cargo_in_root(workspace).args(args)))
    };
    vec![
        Step::whole("needed programs", move || {
            system_packages::require(system_packages::TO_BUILD, may_install)?;
            system_packages::require(system_packages::TO_TEST, may_install)?;
            system_packages::require_components()
        }),
        Step::whole("tidy", || tidy::run(workspace)),
        Step { name: "dependencies", run: Box::new(move || dependencies::check(workspace, may_install)) },
        plain("format", &["fmt", "--all", "--", "--check"]),
        plain("clippy", &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]),
        Step::whole("documentation", || {
            let mut command = cargo_in_root(workspace);
            command.args(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings");
            run_to_success(&mut command)
        }),
        Step::whole("bundle", || bundle::run_for_tests(workspace, PROFILE).map(|_| ())),
        Step::whole("tests", move || {
            let mut command = cargo_in_root(workspace);
            // It has no tests, and its dependencies take minutes to compile; clippy has checked that it does.
            let without = ["--exclude", programs::PEERS];
            command.args(["test", "--workspace", "--profile", PROFILE]).args(without);
            command.env("CONTINUO_BUNDLES", workspace.bundle_dir());
            if bless {
                command.env("CONTINUO_BLESS", "1");
            }
            run_to_success(&mut command)
        }),
    ]
}

fn cargo_in_root(workspace: &Workspace) -> Command {
    let mut command = cargo();
    command.current_dir(&workspace.root);
    command
}

/// A line for each step, and under it what it could not check.
fn summary(steps: &[Step<'_>], outcomes: &[Outcome]) -> String {
    let mut lines = Vec::new();
    for (idx, step) in steps.iter().enumerate() {
        let Some(Outcome { time, left_out }) = outcomes.get(idx) else {
            lines.push(format!("{:>8}  {}", "not run", step.name));
            continue;
        };
        let verdict = if left_out.is_err() { "FAILED" } else { "ok" };
        lines.push(format!("{verdict:>8}  {:<16} {:7.1} s", step.name, time.as_secs_f64()));
        if let Ok(Some(left_out)) = left_out {
            lines.push(format!("{:>8}  {left_out}", "!"));
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_names_what_failed_what_was_left_out_and_what_did_not_run() {
        let steps = ["tidy", "dependencies", "clippy", "tests"].map(|name| Step::whole(name, || Ok(())));
        let outcome = |ms, left_out| Outcome { time: Duration::from_millis(ms), left_out };
        let outcomes = [
            outcome(100, Ok(None)),
            outcome(200, Ok(Some("advisories not checked".to_string()))),
            outcome(2000, Err(anyhow::anyhow!("a warning"))),
        ];
        let text = summary(&steps, &outcomes);
        let lines: Vec<String> =
            text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        let expected = [
            "ok tidy 0.1 s",
            "ok dependencies 0.2 s",
            "! advisories not checked",
            "FAILED clippy 2.0 s",
            "not run tests",
        ];
        assert_eq!(lines, expected);
    }
}
