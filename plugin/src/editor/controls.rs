//! The controls, laid out by what a player does: what you play, how it plays, where it goes, when and where to. Runs on the host's
//! window thread.

use egui::{Ui, vec2};
use nice_plug::prelude::*;

use super::freezing;
use super::seeds::Seeds;
use super::theme::Theme;
use super::widgets::{bar, button, choice, menu, momentary, switch};
use crate::params::ContinuoParams;
use crate::takes::Takes;

/// Space between columns, points.
const GAP: f32 = 18.0;

/// All parameters, in four columns. `at_beats` is where in its take the music is.
pub fn show(
    ui: &mut Ui,
    theme: &Theme,
    setter: &ParamSetter,
    p: &ContinuoParams,
    seeds: &mut Seeds,
    takes: &Takes,
    at_beats: f64,
) {
    ui.spacing_mut().item_spacing = vec2(6.0, 8.0);
    let width = (ui.available_width() - 3.0 * GAP) / 4.0;
    ui.horizontal_top(|ui| {
        ui.spacing_mut().item_spacing.x = GAP;
        let mut column = |title: &str, contents: &mut dyn FnMut(&mut Ui)| {
            ui.vertical(|ui| {
                ui.set_width(width);
                ui.spacing_mut().item_spacing.x = 6.0;
                ui.label(egui::RichText::new(title).size(13.0).strong().color(theme.accent));
                contents(ui);
            });
        };
        column("YOU PLAY", &mut |ui| you_play(ui, theme, setter, p));
        column("IT PLAYS", &mut |ui| {
            it_plays(ui, theme, setter, p);
            freezing::show(ui, theme, setter, p, takes, at_beats);
        });
        column("WHERE IT GOES", &mut |ui| where_it_goes(ui, theme, setter, p, seeds));
        column("WHEN AND WHERE TO", &mut |ui| when_and_where_to(ui, theme, setter, p));
    });
}

fn you_play(ui: &mut Ui, theme: &Theme, setter: &ParamSetter, p: &ContinuoParams) {
    choice(
        ui,
        theme,
        setter,
        &p.mode,
        "Harmonise: play one voice, the others answer. Continue: play a phrase and stop, it goes on. Respond: you and it take turns \
         of some bars. Free: it plays whenever you do not.",
    );
    choice(
        ui,
        theme,
        setter,
        &p.your_voice,
        "The voice that you play. A chord's notes are dealt to the voices from the top.",
    );
    choice(
        ui,
        theme,
        setter,
        &p.input,
        "What becomes of your notes. As voice: out on the channel of the voice that they are. As it is: out as they came in. Drop: \
         not out at all. By channel: channels 1 to 4 are soprano to bass, and stay.",
    );
    bar(ui, theme, setter, &p.respond_bars, "How many bars each of you has in Respond.");
    ui.columns(2, |halves| {
        let outside = "Notes outside pass through untouched.";
        bar(&mut halves[0], theme, setter, &p.hear_from, &format!("The lowest key that it hears. {outside}"));
        bar(&mut halves[1], theme, setter, &p.hear_to, &format!("The highest key that it hears. {outside}"));
    });
    menu(ui, theme, setter, &p.hear_channel, "The input channel that it hears. The others pass through untouched.");
}

fn it_plays(ui: &mut Ui, theme: &Theme, setter: &ParamSetter, p: &ContinuoParams) {
    choice(
        ui,
        theme,
        setter,
        &p.density,
        "How many notes start, from long chords to running eighths. Auto: as it comes.",
    );
    choice(ui, theme, setter, &p.register, "How high the voices lie together. Auto: as it comes.");
    bar(
        ui,
        theme,
        setter,
        &p.temperature,
        "How adventurous it is: 1 is as the network learnt it, 0 always takes the likeliest note.",
    );
    bar(
        ui,
        theme,
        setter,
        &p.entropy,
        "How much the temperature goes by what the network is sure of: it falls where all is possible, and rises where one \
         note is all but certain. 0: it stays as it is set.",
    );
    bar(ui, theme, setter, &p.top_p, "The share of likely notes that it draws from; less is safer.");
    ui.columns(2, |halves| {
        bar(&mut halves[0], theme, setter, &p.rests, "How often it rests: 1 is as the network learnt it, 0 never.");
        bar(
            &mut halves[1],
            theme,
            setter,
            &p.holds,
            "How long it holds notes: 1 is as the network learnt it, less is shorter.",
        );
    });
}

fn where_it_goes(ui: &mut Ui, theme: &Theme, setter: &ParamSetter, p: &ContinuoParams, seeds: &mut Seeds) {
    menu(ui, theme, setter, &p.key, "The key to play in. Auto: it goes by what it hears.");
    switch(
        ui,
        theme,
        setter,
        &p.key_snap,
        "Notes outside of the key's scale are ruled out; on Auto, of the key that it hears.",
    );
    switch(
        ui,
        theme,
        setter,
        &p.strict,
        "Parallel fifths and octaves are ruled out, and notes that a voice cannot sing.",
    );
    choice(
        ui,
        theme,
        setter,
        &p.looping,
        "When the host's loop comes round. Repeat: the same bars. Evolve: others each time.",
    );
    ui.horizontal(|ui| {
        let width = (ui.available_width() - ui.spacing().item_spacing.x) / 2.0;
        momentary(ui, theme, setter, &p.cadence, width, "Press: the phrase ends on the next strong beat that can still be led up to.");
        let text = "Another rng seed from here on: what has not been decided yet, the coming bar first of all, comes out otherwise. \
                    It is a parameter like any other, so a host that records automation plays it back.";
        if button(ui, theme, "Regenerate", width, text) {
            let now = seeds.now(&p.rng_seed);
            seeds.ask(setter, &p.rng_seed, (now + 1) % 10_000);
        }
    });
    seeds.show(ui, theme, setter, &p.rng_seed);
}

fn when_and_where_to(ui: &mut Ui, theme: &Theme, setter: &ParamSetter, p: &ContinuoParams) {
    choice(
        ui,
        theme,
        setter,
        &p.emit,
        "The voices that go out: all, or one for each of four instances with the same settings that feed four tracks.",
    );
    bar(ui, theme, setter, &p.lookahead_steps, "How far ahead its music is decided, in 16ths.");
    bar(
        ui,
        theme,
        setter,
        &p.reply_delay_ms,
        "How long after a note of yours its answer sounds. It is constant, so that it grooves.",
    );
    choice(
        ui,
        theme,
        setter,
        &p.enter_on,
        "Where it may begin its turn in Continue, Respond and Free: on a bar line, or on any beat.",
    );
    switch(ui, theme, setter, &p.preview, "Whether the instrument sounds its soft organ.");
    switch(ui, theme, setter, &p.bypass, "Your notes go through as they are, and nothing is added.");
}
