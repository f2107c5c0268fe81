//! `cargo xtask test`: everything that CI runs, step by step, up to the first failure.

use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::workspace::{Workspace, cargo, run_to_success};
use crate::{bundle, system_packages, tidy};

/// The profile of the bundles and of the tests: as fast as `release`, with every assertion on.
const PROFILE: &str = "checked";

struct Step<'a> {
    name: &'static str,
    run: Box<dyn Fn() -> Result<()> + 'a>,
}

/// Runs all steps; the exit code is that of the first failure. With `bless` the editor's pictures are kept, not compared.
pub fn run(workspace: &Workspace, install_packages: bool, bless: bool) -> Result<ExitCode> {
    let in_ci = std::env::var_os("CI").is_some_and(|value| value == "true" || value == "1");
    let steps = steps(workspace, install_packages || in_ci, bless);
    let mut times = Vec::new();
    let mut failure = None;
    for (idx, step) in steps.iter().enumerate() {
        println!("== {}/{} {}", idx + 1, steps.len(), step.name);
        let start = Instant::now();
        let result = (step.run)();
        times.push(start.elapsed());
        if let Err(error) = result {
            failure = Some((idx, error));
            break;
        }
    }

    println!("\n{}", summary(&steps, &times, failure.as_ref().map(|f| f.0)));
    let Some((idx, error)) = failure else {
        return Ok(ExitCode::SUCCESS);
    };
    eprintln!("error: step `{}` failed: {error:#}", steps[idx].name);
    Ok(ExitCode::FAILURE)
}

fn steps(workspace: &Workspace, may_install: bool, bless: bool) -> Vec<Step<'_>> {
    let plain = |name, args: &'static [&'static str]| Step {
        name,
        run: Box::new(move || run_to_success(cargo_in_root(workspace).args(args))),
    };
    vec![
        Step {
            name: "needed programs",
            run: Box::new(move || {
                system_packages::require(system_packages::TO_BUILD, may_install)?;
                system_packages::require(system_packages::TO_TEST, may_install)?;
                system_packages::require_components()
            }),
        },
        Step { name: "tidy", run: Box::new(|| tidy::run(workspace)) },
        plain("format", &["fmt", "--all", "--", "--check"]),
        plain("clippy", &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]),
        Step {
            name: "documentation",
            run: Box::new(|| {
                run_to_success(
                    cargo_in_root(workspace)
                        .args(["doc", "--workspace", "--no-deps"])
                        .env("RUSTDOCFLAGS", "-D warnings"),
                )
            }),
        },
        Step { name: "bundle", run: Box::new(|| bundle::run(workspace, PROFILE).map(|_| ())) },
        Step {
            name: "tests",
            run: Box::new(move || {
                let mut command = cargo_in_root(workspace);
                command.args(["test", "--workspace", "--profile", PROFILE]);
                command.env("CONTINUO_BUNDLES", workspace.bundle_dir());
                if bless {
                    command.env("CONTINUO_BLESS", "1");
                }
                run_to_success(&mut command)
            }),
        },
    ]
}

fn cargo_in_root(workspace: &Workspace) -> Command {
    let mut command = cargo();
    command.current_dir(&workspace.root);
    command
}

/// A line a step.
fn summary(steps: &[Step<'_>], times: &[Duration], failed: Option<usize>) -> String {
    let lines: Vec<String> = steps
        .iter()
        .enumerate()
        .map(|(idx, step)| match times.get(idx) {
            Some(time) => {
                let verdict = if failed == Some(idx) { "FAILED" } else { "ok" };
                format!("{verdict:>8}  {:<16} {:7.1} s", step.name, time.as_secs_f64())
            }
            None => format!("{:>8}  {}", "not run", step.name),
        })
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_names_what_failed_and_what_did_not_run() {
        let step = |name| Step { name, run: Box::new(|| Ok(())) };
        let text = summary(
            &[step("tidy"), step("clippy"), step("tests")],
            &[Duration::from_millis(100), Duration::from_secs(2)],
            Some(1),
        );
        let lines: Vec<String> =
            text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(lines, ["ok tidy 0.1 s", "FAILED clippy 2.0 s", "not run tests"]);
    }
}
