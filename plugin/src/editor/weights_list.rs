//! The Weights tab: the shipped weights and those of a folder, with their cards. Runs on the host's window thread.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use egui::{Align2, CornerRadius, FontId, RichText, Sense, Ui, vec2};
use nice_plug::prelude::ParamSetter;

use super::card::Card;
use super::control_rects;
use super::folder::FolderReader;
use super::styles;
use super::theme::Theme;
use super::widgets::{self, button};
use crate::folders;
use crate::params::ContinuoParams;
use crate::state::ChosenWeights;
use crate::worker::{self, Status};

const ROW_HEIGHT: f32 = 26.0;

/// The height of the list of shipped weights, points: a little over four rows, so that the cut row shows that it
/// scrolls.
const SHIPPED_HEIGHT: f32 = 134.0;

/// The open folder and the selected weights.
pub struct WeightsList {
    reader: FolderReader,
    /// The text of the path field.
    typed: String,
    /// The weights whose card is shown; `None` for those that play.
    selected: Option<PathBuf>,
    opened: bool,
}

/// An action of the player.
enum Action {
    /// Select weights.
    Select(PathBuf),
    /// Open a folder.
    Open(PathBuf),
    /// Enter the path of a folder or a file.
    Enter(PathBuf),
}

impl WeightsList {
    /// No folder has been read.
    pub fn new() -> Self {
        Self { reader: FolderReader::new(), typed: String::new(), selected: None, opened: false }
    }

    /// Shows the list on the left, the card and the choice of the device on the right. Returns the path
    /// of the weights that the player chooses.
    pub fn show(
        &mut self,
        ui: &mut Ui,
        theme: &Theme,
        setter: &ParamSetter,
        params: &ContinuoParams,
        status: &Status,
    ) -> Option<PathBuf> {
        let weights = &*params.project.weights;
        let chosen = weights.lock().map(|weights| canonical(&weights.path)).unwrap_or_default();
        let plays = Some(&status.path).filter(|_| !status.style.is_empty()).map(|path| canonical(path));
        if !std::mem::replace(&mut self.opened, true) {
            self.reader.open(first_folder(&chosen));
        }
        self.reader.look();
        let shown = self.selected.clone().or_else(|| plays.clone()).unwrap_or_else(|| chosen.clone());
        let (mut action, mut taken) = (None, None);
        let list_width = (ui.available_width() * 0.5).min(560.0);
        ui.horizontal_top(|ui| {
            ui.vertical(|ui| {
                ui.set_width(list_width);
                action = self.list(ui, theme, plays.as_deref(), &shown);
            });
            ui.add_space(18.0);
            ui.vertical(|ui| {
                self.card(ui, theme, &shown);
                if shown != chosen && button(ui, theme, "Play these", 110.0, "They play from the next bar.") {
                    choose(weights, &shown);
                    taken = Some(shown.clone());
                }
                ui.add_space(12.0);
                let text = "Where the network runs. Either plays the same notes. Auto: large networks on an NVIDIA \
                            GPU, if there is one.";
                widgets::choice(ui, theme, setter, &params.device, text);
                ui.label(RichText::new(&status.device_notice).color(theme.faint_ink));
            });
        });
        match action {
            Some(Action::Select(path)) => self.selected = Some(path),
            Some(Action::Open(path)) => self.reader.open(path),
            Some(Action::Enter(path)) => taken = self.enter(path, weights).or(taken),
            None => {}
        }
        taken
    }

    /// The card of weights in the open folder.
    pub fn card_of(&self, path: &Path) -> Option<&Card> {
        self.reader.folder.files.iter().find(|(listed, _)| listed == path)?.1.as_ref().ok()
    }

    /// Plays a weights file (by its extension) and returns its path, or opens a folder.
    fn enter(&mut self, path: PathBuf, weights: &Mutex<ChosenWeights>) -> Option<PathBuf> {
        if worker::is_weights_file(&path) {
            choose(weights, &path);
            self.selected = Some(path.clone());
            if let Some(folder) = path.parent().filter(|folder| folder.is_absolute()) {
                self.reader.open(folder.to_path_buf());
            }
            return Some(path);
        }
        self.reader.open(path);
        None
    }

    fn list(&mut self, ui: &mut Ui, theme: &Theme, plays: Option<&Path>, shown: &Path) -> Option<Action> {
        let mut action = None;
        ui.spacing_mut().item_spacing.y = 4.0;
        // Its height leaves room for the player's own weights.
        let shipped = egui::ScrollArea::vertical().id_salt("shipped").max_height(SHIPPED_HEIGHT);
        shipped.auto_shrink([false, true]).show(ui, |ui| {
            for (path, card) in styles::shipped() {
                let text = card.as_ref().map_or_else(|_| name(path), |card| format!("{} (shipped)", card.name));
                if row(ui, theme, &text, Some(path.as_path()) == plays, path == shown) {
                    action = Some(Action::Select(path.clone()));
                }
            }
        });
        ui.horizontal(|ui| {
            let folder = self.reader.folder.path.clone();
            if button(ui, theme, "Up", 40.0, "Opens the parent folder.")
                && let Some(up) = folder.parent()
            {
                action = Some(Action::Open(up.to_path_buf()));
            }
            let hint =
                if folder.as_os_str().is_empty() { "a folder or a file".into() } else { folder.display().to_string() };
            let field = egui::TextEdit::singleline(&mut self.typed).hint_text(hint).margin(vec2(8.0, 4.0));
            let response = ui.add_sized(vec2(ui.available_width() - 78.0, 26.0), field);
            control_rects::record(ui.ctx(), || "Weights path".into(), response.rect);
            let entered = response.lost_focus() && ui.input(|input| input.key_pressed(egui::Key::Enter));
            let text = "Opens the folder, or plays the file.";
            if (button(ui, theme, "Open", 64.0, text) || entered) && !self.typed.trim().is_empty() {
                action = Some(Action::Enter(PathBuf::from(self.typed.trim())));
                self.typed.clear();
            }
        });
        let folder = &self.reader.folder;
        if !folder.problem.is_empty() {
            ui.label(RichText::new(format!("{}: {}", folder.path.display(), folder.problem)).color(theme.warning));
        }
        egui::ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            for (path, card) in &folder.files {
                let file = name(path);
                let text = card.as_ref().map_or_else(|_| file.clone(), |card| format!("{}   {file}", card.name));
                if row(ui, theme, &text, Some(path.as_path()) == plays, path == shown) {
                    action = Some(Action::Select(path.clone()));
                }
            }
            for path in &folder.folders {
                if row(ui, theme, &format!("{}/", name(path)), false, false) {
                    action = Some(Action::Open(path.clone()));
                }
            }
            if folder.files.is_empty() && folder.problem.is_empty() {
                ui.label(RichText::new("No weights files here.").color(theme.faint_ink));
            }
        });
        action
    }

    fn card(&self, ui: &mut Ui, theme: &Theme, shown: &Path) {
        let all = styles::shipped().iter().chain(&self.reader.folder.files);
        match all.into_iter().find(|(path, _)| path == shown).map(|(_, card)| card) {
            None => {
                ui.label(RichText::new(shown.display().to_string()).color(theme.ink));
            }
            Some(Err(problem)) => {
                ui.label(RichText::new(format!("{}: {problem}", name(shown))).color(theme.warning));
            }
            Some(Ok(card)) => {
                ui.label(RichText::new(&card.name).size(18.0).strong().color(theme.ink));
                for corpus in &card.corpora {
                    ui.label(RichText::new(format!("Trained on {corpus}")).color(theme.faint_ink));
                }
                egui::Grid::new("figures").spacing([24.0, 3.0]).show(ui, |ui| {
                    for (name, value) in &card.figures {
                        ui.label(RichText::new(name).color(theme.faint_ink));
                        ui.label(RichText::new(value).color(theme.ink));
                        ui.end_row();
                    }
                });
            }
        }
    }
}

/// The name of a file without its folder.
pub fn name(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

/// The path of weights in lists. All spellings of a shipped path become one.
pub fn canonical(path: &str) -> PathBuf {
    let shipped = worker::Shipped::of_path(path).ok().flatten();
    shipped.map_or_else(|| PathBuf::from(path), |shipped| PathBuf::from(shipped.path()))
}

/// The folder of the chosen weights, else the player's own.
fn first_folder(plays: &Path) -> PathBuf {
    let near = plays.parent().filter(|folder| !folder.as_os_str().is_empty()).map(Path::to_path_buf);
    let own = || {
        let folders = [folders::weights(), folders::clips()];
        folders.into_iter().flatten().find(|folder| folder.is_dir()).or_else(dirs::home_dir)
    };
    near.or_else(own).unwrap_or_default()
}

/// Chooses weights. The worker plays them from the next bar.
pub fn choose(weights: &Mutex<ChosenWeights>, path: &Path) {
    if let Ok(mut weights) = weights.lock() {
        *weights = ChosenWeights::new(path.display().to_string());
    }
}

/// A row of the list. Returns whether it was clicked.
fn row(ui: &mut Ui, theme: &Theme, text: &str, plays: bool, chosen: bool) -> bool {
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width() - 8.0, ROW_HEIGHT), Sense::click());
    control_rects::record(ui.ctx(), || format!("Weights/{text}"), rect);
    let (ground, ink) = match (chosen, response.hovered()) {
        (true, _) => (theme.accent, theme.on_accent),
        (_, true) => (theme.control_hot, theme.ink),
        _ => (theme.control, theme.ink),
    };
    ui.painter().rect_filled(rect, CornerRadius::same(4), ground);
    let font = FontId::proportional(13.0);
    let room = rect.width() - if plays { 70.0 } else { 20.0 };
    let galley = widgets::fitted(ui, text, room, ink);
    let inside = ui.painter().with_clip_rect(rect.with_max_x(rect.left() + 10.0 + room));
    inside.galley(rect.left_center() + vec2(10.0, -galley.size().y / 2.0), galley, ink);
    if plays {
        ui.painter().text(rect.right_center() - vec2(10.0, 0.0), Align2::RIGHT_CENTER, "plays", font, ink);
    }
    response.clicked()
}
