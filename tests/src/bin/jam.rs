//! The program behind `cargo xtask jam`: options in, files and a line of figures out.

use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::Parser;

use continuo_tests::jam::{self, Options};

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<ExitCode> {
    if let Some(weights) = &options.weights {
        let path = std::path::absolute(weights).with_context(|| weights.display().to_string())?;
        ensure!(
            path.is_file(),
            "--weights {}: expected a weights file there, got nothing; check the path",
            weights.display()
        );
        // SAFETY: no other thread runs yet: the plugin, which starts some and reads this, is loaded later.
        unsafe { std::env::set_var("CONTINUO_WEIGHTS", path) };
    }
    let report = jam::run(options)?;
    for path in &report.files {
        println!("wrote {}", path.display());
    }
    for remark in &report.remarks {
        println!("{remark}");
    }
    for fault in &report.faults {
        eprintln!("error: {fault}");
    }
    println!("{}", report.line);
    Ok(if report.faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
