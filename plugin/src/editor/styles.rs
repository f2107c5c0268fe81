//! The style menu at the top of the window, with the shipped weights and the player's own. Runs on the host's window
//! thread.

use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex};

use egui::{CornerRadius, RichText, Sense, Shape, Stroke, StrokeKind, Ui, vec2};

use super::card::Card;
use super::folder::FolderReader;
use super::theme::Theme;
use super::{control_rects, weights_list, widgets};
use crate::folders;
use crate::state::ChosenWeights;
use crate::worker::SHIPPED;

const WIDTH: f32 = 200.0;

/// The shipped weights, each with its path in a project and its card. The first call reads the cards.
pub fn shipped() -> &'static [(PathBuf, Result<Card, String>)] {
    static CARDS: LazyLock<Vec<(PathBuf, Result<Card, String>)>> = LazyLock::new(|| {
        SHIPPED.iter().map(|shipped| (PathBuf::from(shipped.path()), Card::of_bytes(shipped.bytes))).collect()
    });
    &CARDS
}

/// The menu.
pub struct Styles {
    own: FolderReader,
    was_open: bool,
    /// Whether to open the folder in the system's file browser once it exists.
    shows_folder: bool,
    /// Why the folder could not be opened; empty if there is no problem.
    problem: String,
}

impl Styles {
    /// A closed menu.
    pub fn new() -> Self {
        Self { own: FolderReader::new(), was_open: false, shows_folder: false, problem: String::new() }
    }

    /// Shows the menu. `plays` is the name of the weights that play; empty if none do. Returns the path of the style
    /// that the player chooses.
    pub fn show(&mut self, ui: &mut Ui, theme: &Theme, weights: &Mutex<ChosenWeights>, plays: &str) -> Option<PathBuf> {
        let chosen = weights.lock().map(|weights| weights_list::canonical(&weights.path)).unwrap_or_default();
        let name = if plays.is_empty() { self.name_of(&chosen) } else { plays.into() };
        let reads = self.own.look();
        if self.shows_folder && !reads {
            self.shows_folder = false;
            let folder = &self.own.folder;
            if folder.problem.is_empty() {
                ui.ctx().open_url(egui::OpenUrl::new_tab(folder.path.display().to_string()));
                egui::Popup::close_all(ui.ctx());
            } else {
                self.problem = format!("{}: {}", folder.path.display(), folder.problem);
            }
        }
        let response = head(ui, theme, &name);
        let mut taken = None;
        let shown = egui::Popup::menu(&response)
            .close_behavior(egui::PopupCloseBehavior::CloseOnClickOutside)
            .width(WIDTH)
            .gap(2.0)
            .show(|ui| taken = self.entries(ui, theme, &chosen));
        let open = shown.is_some();
        if open && !self.was_open {
            self.problem.clear();
            self.read();
        }
        self.was_open = open;
        if let Some(path) = &taken {
            weights_list::choose(weights, path);
        }
        taken
    }

    /// The card of weights, if the menu lists them.
    pub fn card_of(&self, path: &Path) -> Option<&Card> {
        let all = shipped().iter().chain(&self.own.folder.files);
        all.into_iter().find(|(listed, _)| listed == path)?.1.as_ref().ok()
    }

    fn name_of(&self, path: &Path) -> String {
        let shown = shipped().iter().find(|(shipped, _)| shipped == path);
        match shown {
            Some((_, Ok(card))) => card.name.clone(),
            _ => weights_list::name(path),
        }
    }

    /// Begins to read the player's folder.
    fn read(&mut self) {
        if let Some(folder) = folders::weights() {
            self.own.open(folder);
        }
    }

    /// The entries. Returns the path of the one that the player chooses.
    fn entries(&mut self, ui: &mut Ui, theme: &Theme, chosen: &Path) -> Option<PathBuf> {
        let mut taken = None;
        ui.set_min_width(WIDTH - 12.0);
        ui.spacing_mut().button_padding = vec2(10.0, 4.0);
        let mut entry = |ui: &mut Ui, path: &Path, name: &str| {
            let response = ui.selectable_label(path == chosen, name);
            control_rects::record(ui.ctx(), || format!("Style/{name}"), response.rect);
            if response.clicked() {
                ui.close();
                taken = Some(path.to_path_buf());
            }
        };
        for (path, card) in shipped() {
            let name = card.as_ref().map_or_else(|_| weights_list::name(path), |card| card.name.clone());
            entry(ui, path, &name);
        }
        ui.separator();
        let faint = |text: &str| RichText::new(text).size(12.0).color(theme.faint_ink);
        ui.label(faint("  Your weights"));
        for (path, card) in &self.own.folder.files {
            if let Ok(card) = card {
                entry(ui, path, &format!("{} ({})", card.name, path.file_stem().unwrap_or_default().to_string_lossy()));
            }
        }
        if !self.own.folder.files.iter().any(|(_, card)| card.is_ok()) {
            ui.label(faint("  none yet"));
        }
        let response = ui
            .selectable_label(false, "Open folder …")
            .on_hover_text("This menu lists the weights files in the folder.");
        control_rects::record(ui.ctx(), || "Style/Open folder".into(), response.rect);
        // The menu stays open, to show a problem.
        if response.clicked() {
            match folders::weights() {
                Some(folder) => {
                    self.own.create(folder);
                    self.shows_folder = true;
                }
                None => self.problem = folders::MISSING.into(),
            }
        }
        if !self.problem.is_empty() {
            ui.label(RichText::new(&self.problem).size(12.0).color(theme.warning));
        }
        taken
    }
}

/// Whether a parameter takes the default of a new style: it is at the default of the style before, which is another.
pub fn follows(value: f32, before: f32, after: f32) -> bool {
    // Values come in steps of 0.01.
    (value - before).abs() < 0.005 && (after - before).abs() >= 0.005
}

/// The button that opens the menu.
fn head(ui: &mut Ui, theme: &Theme, name: &str) -> egui::Response {
    let (rect, response) = ui.allocate_exact_size(vec2(WIDTH, widgets::HEIGHT), Sense::click());
    control_rects::record(ui.ctx(), || "Style".into(), rect);
    let ground = if response.hovered() { theme.control_hot } else { theme.control };
    ui.painter().rect(rect, CornerRadius::same(4), ground, Stroke::new(1.0, theme.line), StrokeKind::Inside);
    let galley = widgets::fitted(ui, name, WIDTH - 44.0, theme.ink);
    ui.painter().galley(rect.left_center() + vec2(10.0, -galley.size().y / 2.0), galley, theme.ink);
    let tip = rect.right_center() - vec2(15.0, -3.0);
    let triangle = vec![tip, tip + vec2(-5.0, -7.0), tip + vec2(5.0, -7.0)];
    ui.painter().add(Shape::convex_polygon(triangle, theme.ink, Stroke::NONE));
    response.on_hover_text("The style that Continuo has learnt. A new choice plays from the next bar.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_that_the_player_has_moved_stays() {
        assert!(follows(0.6, 0.6, 0.9) && follows(0.600_01, 0.6, 0.9));
        assert!(!follows(0.61, 0.6, 0.9), "the player has moved it");
        assert!(!follows(0.6, 0.6, 0.6), "nothing to do, so no automation is written");
    }
}
