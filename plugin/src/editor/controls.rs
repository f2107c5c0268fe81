//! The controls of the Play tab, in four columns. Runs on the host's window thread.

use egui::{Ui, vec2};
use nice_plug::prelude::*;

use super::freezing;
use super::seeds::Seeds;
use super::theme::Theme;
use super::widgets::{bar, button, choice, menu, menu_showing, momentary, switch, switches};
use crate::params::controls::Key;
use crate::params::{ContinuoParams, Scale};
use crate::takes::Takes;

/// Space between columns, points.
const GAP: f32 = 18.0;
/// The names of the pitch classes, from C up, on narrow switches.
const CLASS_SIGNS: [&str; 12] = ["C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B"];

/// All parameters, in four columns. `at_beats` is the current position in the take, `heard_key` the key that the player
/// plays in.
#[allow(clippy::too_many_arguments, reason = "what the tab shows")]
pub fn show(
    ui: &mut Ui,
    theme: &Theme,
    setter: &ParamSetter,
    p: &ContinuoParams,
    seeds: &mut Seeds,
    takes: &Takes,
    at_beats: f64,
    heard_key: Option<u8>,
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
        column("WHERE IT GOES", &mut |ui| where_it_goes(ui, theme, setter, p, seeds, heard_key));
        column("WHEN AND WHERE TO", &mut |ui| when_and_where_to(ui, theme, setter, p));
    });
}

fn you_play(ui: &mut Ui, theme: &Theme, setter: &ParamSetter, p: &ContinuoParams) {
    choice(
        ui,
        theme,
        setter,
        &p.mode,
        "Harmonise: you play one voice, and the other voices answer. Continue: you play a phrase and stop, and \
         Continuo continues it. Respond: you and Continuo take turns of some bars. Free: Continuo plays whenever you \
         do not. Accompany: you play one part, and Continuo plays the others along with you, on through your rests.",
    );
    choice(
        ui,
        theme,
        setter,
        &p.your_voice,
        "The voice that you play. If you play a chord, its notes become several voices, from the top.",
    );
    choice(
        ui,
        theme,
        setter,
        &p.input,
        "Where your notes go out. As voice: on the channel of the voice that they become. As it is: unchanged. Drop: \
         nowhere. By channel: you play soprano to bass on channels 1 to 4, and each note stays on its channel.",
    );
    bar(ui, theme, setter, &p.respond_bars, "The length of each turn in Respond.");
    ui.columns(2, |halves| {
        let outside = "Other keys pass through unchanged.";
        bar(&mut halves[0], theme, setter, &p.hear_from, &format!("The lowest key that Continuo hears. {outside}"));
        bar(&mut halves[1], theme, setter, &p.hear_to, &format!("The highest key that Continuo hears. {outside}"));
    });
    let text = "The input channel that Continuo hears. Other channels pass through unchanged.";
    menu(ui, theme, setter, &p.hear_channel, text);
}

fn it_plays(ui: &mut Ui, theme: &Theme, setter: &ParamSetter, p: &ContinuoParams) {
    choice(
        ui,
        theme,
        setter,
        &p.density,
        "How often notes start, from long chords to running eighths. Auto: the network decides.",
    );
    choice(ui, theme, setter, &p.register, "How high the voices are together. Auto: the network decides.");
    ui.columns(2, |halves| {
        let text = "How adventurous the music is. 0: always the most likely note. 1: as varied as the music that the \
                    network learnt from.";
        bar(&mut halves[0], theme, setter, &p.temperature, text);
        let text = "Draws only from the most likely notes, which together reach this probability. Lower is safer.";
        bar(&mut halves[1], theme, setter, &p.top_p, text);
    });
    bar(
        ui,
        theme,
        setter,
        &p.entropy,
        "Adapts the temperature to the network's confidence: lower when many notes are likely, higher when one is \
         nearly certain. 0: off.",
    );
    ui.columns(2, |halves| {
        bar(&mut halves[0], theme, setter, &p.rests, "How often Continuo rests. 1: as the network learnt. 0: never.");
        let text = "How long Continuo holds notes. 1: as the network learnt. Lower: shorter notes.";
        bar(&mut halves[1], theme, setter, &p.holds, text);
    });
    how_it_plays(ui, theme, setter, p);
}

fn how_it_plays(ui: &mut Ui, theme: &Theme, setter: &ParamSetter, p: &ContinuoParams) {
    ui.columns(2, |halves| {
        let text = "How much the loudness follows the bar, the phrase, the voice and your accents. 0: every note is as \
                    loud as you play.";
        bar(&mut halves[0], theme, setter, &p.dynamics, text);
        let text = "How much timing and loudness vary, as hands vary them. 0: exactly on the grid.";
        bar(&mut halves[1], theme, setter, &p.humanise, text);
    });
    ui.horizontal_top(|ui| {
        let width = ui.available_width();
        let text = "Auto: Continuo swings as you do. 8ths, 16ths: it swings these by the amount. Off: it plays \
                    straight, and hears your notes as if you did.";
        ui.vertical(|ui| {
            ui.set_width(0.36 * width);
            menu(ui, theme, setter, &p.swing, text);
        });
        let text = "How late offbeats are if Swing is set to 8ths or 16ths. 50 %: straight. 67 %: as in triplets.";
        ui.vertical(|ui| {
            // Level with the menu, which has its name above.
            ui.spacing_mut().item_spacing.y = 0.0;
            ui.add_space(16.0);
            bar(ui, theme, setter, &p.swing_amount, text);
        });
    });
}

fn where_it_goes(
    ui: &mut Ui,
    theme: &Theme,
    setter: &ParamSetter,
    p: &ContinuoParams,
    seeds: &mut Seeds,
    heard_key: Option<u8>,
) {
    ui.columns(2, |halves| {
        let shown = heard_key.filter(|_| p.key.unmodulated_plain_value() == Key::Auto).map(|key| {
            let name = Key::variants()[1 + usize::from(key)];
            format!("Auto: {name}")
        });
        let text = "The key to play in. Auto: the key that you play in, as Continuo hears it.";
        menu_showing(&mut halves[0], theme, setter, &p.key, shown.as_deref(), text);
        let text =
            "The scale on the key's tonic. Major or minor: as the key says. Custom: the notes that you switch on.";
        menu(&mut halves[1], theme, setter, &p.scale, text);
    });
    if p.scale.unmodulated_plain_value() == Scale::Custom {
        let notes = p.custom.each_ref().map(|note| &note.on);
        switches(ui, theme, setter, &notes, &CLASS_SIGNS, "Whether the note belongs to the custom scale.");
    }
    switch(
        ui,
        theme,
        setter,
        &p.key_snap,
        "Continuo plays only notes of the scale. With Key on Auto: in the key that it hears.",
    );
    switch(ui, theme, setter, &p.strict, "Forbids parallel fifths and octaves, and notes outside a voice's range.");
    choice(
        ui,
        theme,
        setter,
        &p.looping,
        "What happens when the host loops. Repeat: each pass is the same. Evolve: each pass is new.",
    );
    ui.horizontal(|ui| {
        let (gap, all) = (ui.spacing().item_spacing.x, ui.available_width());
        let width = (all - gap) / 2.0;
        let half = (width - gap) / 2.0;
        let text = "Ends the phrase with a cadence, on the next strong beat that leaves time to lead up to it. While \
                    you play (except in Harmonise): in the next turn of the network's.";
        momentary(ui, theme, setter, &p.cadence, half, text);
        let text = "Ends the music: it closes on the tonic, after a bar or two, and is silent until you play again (in \
                    Harmonise: release all keys first), the transport starts or jumps, or the mode changes. While you \
                    play (except in Harmonise): in the next turn of the network's.";
        momentary(ui, theme, setter, &p.end, half, text);
        let text = "Sets the next rng seed, so that all music after the lookahead is new. A host that records \
                    automation plays the change back.";
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
        "The voices that Continuo sends. For a track for each voice, use four instances with the same settings, and \
         send one voice from each.",
    );
    bar(ui, theme, setter, &p.lookahead_steps, "How far ahead Continuo decides its music, in 16ths.");
    bar(
        ui,
        theme,
        setter,
        &p.reply_delay_ms,
        "The time from your note to its answer. It is the same for every note, so the answers keep the rhythm.",
    );
    choice(
        ui,
        theme,
        setter,
        &p.enter_on,
        "Where Continuo may begin its turn in Continue, Respond and Free: on a bar line, or on any beat.",
    );
    let text =
        "How long Continuo's phrases are, in the host's bars. They close on held chords. Auto: at least eight beats.";
    choice(ui, theme, setter, &p.phrases, text);
    switch(
        ui,
        theme,
        setter,
        &p.preview,
        "Plays the notes on a soft organ. The note effect Continuo Notes has no sound.",
    );
    switch(ui, theme, setter, &p.bypass, "Your notes pass through unchanged, and Continuo adds none.");
}
