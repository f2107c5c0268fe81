//! Sets the plugin's parameters by the names and the texts that a player sees.

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;

use super::options::Options;
use crate::fake_host::{HostedPlugin, ParamInfo};
use crate::session::without_expression;

/// Sets the parameters that the options name and leaves the others alone.
pub fn set(host: &mut HostedPlugin, options: &Options) -> Result<()> {
    let values = [
        Some(("Mode", Target::Text(name_of(&options.mode)))),
        options.voice.map(|voice| ("Your voice", Target::Text(name_of(&voice)))),
        options.phrases.as_deref().map(|bars| ("Phrases", Target::Text(phrase_length(bars)))),
        options.rng_seed.map(|number| ("Rng seed", Target::Number(number))),
    ];
    for (name, target) in values.into_iter().flatten() {
        let param = host.param_by_name(name)?;
        let normalised = target.find(&param, |value| host.param_text(param.id, value))?;
        host.set_param_by_name(name, normalised)?;
    }
    if options.plain { without_expression(host) } else { Ok(()) }
}

fn phrase_length(bars: &str) -> String {
    if bars == "auto" { bars.into() } else { format!("{bars} bars") }
}

fn name_of(choice: &impl ValueEnum) -> String {
    let value = choice.to_possible_value();
    value.expect("no choice is hidden").get_name().to_string()
}

/// The text that a parameter should show.
enum Target {
    /// One of its choices, in upper or lower case.
    Text(String),
    /// A number in its range.
    Number(i64),
}

impl Target {
    /// The value of 0 to 1 at which the parameter shows it.
    fn find(&self, param: &ParamInfo, text: impl Fn(f64) -> Result<String>) -> Result<f64> {
        match self {
            Target::Text(wanted) => find_text(param, wanted, text),
            Target::Number(wanted) => find_number(param, *wanted, text),
        }
    }
}

fn find_text(param: &ParamInfo, wanted: &str, text: impl Fn(f64) -> Result<String>) -> Result<f64> {
    let mut choices = Vec::new();
    for step in 0..=param.num_steps {
        let normalised = f64::from(step) / f64::from(param.num_steps.max(1));
        let choice = text(normalised)?;
        if choice.trim().eq_ignore_ascii_case(wanted) {
            return Ok(normalised);
        }
        choices.push(choice);
    }
    anyhow::bail!(
        "the plugin's parameter `{}`: expected a choice `{wanted}`, got only {}",
        param.name,
        choices.join(", ")
    )
}

/// The range is too long to try every step, but its steps are even.
fn find_number(param: &ParamInfo, wanted: i64, text: impl Fn(f64) -> Result<String>) -> Result<f64> {
    let number = |normalised: f64| -> Result<i64> {
        let text = text(normalised)?;
        text.trim()
            .parse()
            .with_context(|| format!("the plugin's parameter `{}`: expected whole numbers, got `{text}`", param.name))
    };
    let (min, max) = (number(0.0)?, number(1.0)?);
    ensure!(
        (min..=max).contains(&wanted),
        "the plugin's parameter `{}`: expected {min} to {max}, got {wanted}",
        param.name
    );
    let normalised = (wanted - min) as f64 / (max - min).max(1) as f64;
    let shown = number(normalised)?;
    ensure!(
        shown == wanted,
        "the plugin's parameter `{}`: expected {wanted}, got {shown}; its steps are uneven or too fine",
        param.name
    );
    Ok(normalised)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(target: Target, texts: &[&str], expect: Result<f64, &str>) {
        let param = ParamInfo {
            id: 1,
            name: "Mode".into(),
            group: String::new(),
            default_normalised: 0.0,
            num_steps: texts.len() as u32 - 1,
            automatable: true,
        };
        let text = |value: f64| {
            let step = value * (texts.len() - 1) as f64;
            Ok(texts[step.round() as usize].to_string())
        };
        let found = target.find(&param, text).map_err(|error| error.to_string());
        assert_eq!(found, expect.map_err(String::from));
    }

    #[test]
    fn a_choice_is_found_by_its_text() {
        let modes = ["Continue", "Respond", "Harmonise"];
        check(Target::Text("continue".into()), &modes, Ok(0.0));
        check(Target::Text("harmonise".into()), &modes, Ok(1.0));
        check(
            Target::Text("respond".into()),
            &["Continue", "Harmonise"],
            Err("the plugin's parameter `Mode`: expected a choice `respond`, got only Continue, Harmonise"),
        );
        check(Target::Text("only".into()), &["Only"], Ok(0.0));
    }

    #[test]
    fn a_number_is_found_in_its_range() {
        let numbers = ["10", "11", "12", "13", "14"];
        check(Target::Number(10), &numbers, Ok(0.0));
        check(Target::Number(13), &numbers, Ok(0.75));
        check(Target::Number(15), &numbers, Err("the plugin's parameter `Mode`: expected 10 to 14, got 15"));
        check(
            Target::Number(2),
            &["0", "1", "20"],
            Err("the plugin's parameter `Mode`: expected 2, got 0; its steps are uneven or too fine"),
        );
        check(
            Target::Number(2),
            &["few", "many"],
            Err("the plugin's parameter `Mode`: expected whole numbers, got `few`"),
        );
    }
}
