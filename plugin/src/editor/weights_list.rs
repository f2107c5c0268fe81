//! The weights: the shipped ones and those in a folder, each with its card, and which of them plays. Runs on the host's window thread.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use egui::{Align2, CornerRadius, FontId, RichText, Sense, Ui, vec2};

use super::folder::FolderReader;
use super::places;
use super::styles;
use super::theme::Theme;
use super::widgets::{self, button};
use crate::folders;
use crate::state::ChosenWeights;
use crate::worker;

const ROW_HEIGHT: f32 = 26.0;

/// Height of the list of shipped weights, points: four of them and a bit.
const SHIPPED_HEIGHT: f32 = 134.0;

/// The folder that is looked at and the weights that are.
pub struct WeightsList {
    reader: FolderReader,
    /// A path that is being typed or pasted.
    typed: String,
    /// Weights whose card is shown; those that play if it is none.
    looked_at: Option<PathBuf>,
    opened: bool,
}

/// What was done in the list.
enum Deed {
    Look(PathBuf),
    /// To a folder.
    Go(PathBuf),
    /// To what was typed, be it a folder or a file.
    Enter(PathBuf),
}

impl WeightsList {
    /// Nothing has been looked at.
    pub fn new() -> Self {
        Self { reader: FolderReader::default(), typed: String::new(), looked_at: None, opened: false }
    }

    /// The list at the left, the card at the right. `plays` is the path of what plays, if anything does.
    pub fn show(&mut self, ui: &mut Ui, theme: &Theme, weights: &Mutex<ChosenWeights>, plays: Option<&str>) {
        let chosen = weights.lock().map(|weights| canonical(&weights.path)).unwrap_or_default();
        let plays = plays.map(canonical);
        if !std::mem::replace(&mut self.opened, true) {
            self.reader.open(first_folder(&chosen));
        }
        self.reader.look();
        let shown = self.looked_at.clone().or_else(|| plays.clone()).unwrap_or_else(|| chosen.clone());
        let mut deed = None;
        let list_width = (ui.available_width() * 0.5).min(560.0);
        ui.horizontal_top(|ui| {
            ui.vertical(|ui| {
                ui.set_width(list_width);
                deed = self.list(ui, theme, plays.as_deref(), &shown);
            });
            ui.add_space(18.0);
            ui.vertical(|ui| {
                self.card(ui, theme, &shown);
                if shown != chosen && button(ui, theme, "Play these", 110.0, "They take over at the next bar.") {
                    choose(weights, &shown);
                }
            });
        });
        match deed {
            Some(Deed::Look(path)) => self.looked_at = Some(path),
            Some(Deed::Go(path)) => self.reader.open(path),
            Some(Deed::Enter(path)) => self.enter(path, weights),
            None => {}
        }
    }

    /// Goes to a folder, or plays a weights file, as its name says.
    fn enter(&mut self, path: PathBuf, weights: &Mutex<ChosenWeights>) {
        if path.extension().is_some_and(|extension| extension == worker::EXTENSION) {
            choose(weights, &path);
            self.looked_at = Some(path.clone());
            if let Some(folder) = path.parent().filter(|folder| folder.is_absolute()) {
                self.reader.open(folder.to_path_buf());
            }
        } else {
            self.reader.open(path);
        }
    }

    fn list(&mut self, ui: &mut Ui, theme: &Theme, plays: Option<&Path>, shown: &Path) -> Option<Deed> {
        let mut deed = None;
        ui.spacing_mut().item_spacing.y = 4.0;
        // Room is left for the player's own.
        let shipped = egui::ScrollArea::vertical().id_salt("shipped").max_height(SHIPPED_HEIGHT);
        shipped.auto_shrink([false, true]).show(ui, |ui| {
            for (path, card) in styles::shipped() {
                let text = card.as_ref().map_or_else(|_| name(path), |card| format!("{} (shipped)", card.name));
                if row(ui, theme, &text, Some(path.as_path()) == plays, path == shown) {
                    deed = Some(Deed::Look(path.clone()));
                }
            }
        });
        ui.horizontal(|ui| {
            let folder = self.reader.folder.path.clone();
            if button(ui, theme, "Up", 40.0, "The folder that this one is in.")
                && let Some(up) = folder.parent()
            {
                deed = Some(Deed::Go(up.to_path_buf()));
            }
            let hint =
                if folder.as_os_str().is_empty() { "a folder or a file".into() } else { folder.display().to_string() };
            let field = egui::TextEdit::singleline(&mut self.typed).hint_text(hint).margin(vec2(8.0, 4.0));
            let response = ui.add_sized(vec2(ui.available_width() - 78.0, 26.0), field);
            places::note(ui.ctx(), || "Weights path".into(), response.rect);
            let entered = response.lost_focus() && ui.input(|input| input.key_pressed(egui::Key::Enter));
            let text = "Goes to the folder, or plays the file.";
            if (button(ui, theme, "Open", 64.0, text) || entered) && !self.typed.trim().is_empty() {
                deed = Some(Deed::Enter(PathBuf::from(self.typed.trim())));
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
                    deed = Some(Deed::Look(path.clone()));
                }
            }
            for path in &folder.folders {
                if row(ui, theme, &format!("{}/", name(path)), false, false) {
                    deed = Some(Deed::Go(path.clone()));
                }
            }
            if folder.files.is_empty() && folder.problem.is_empty() {
                ui.label(RichText::new("No weights files here.").color(theme.faint_ink));
            }
        });
        deed
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

/// What a file is called, without its folder.
pub fn name(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

/// The path by which lists know weights: shipped ones have one alone.
pub fn canonical(path: &str) -> PathBuf {
    let shipped = worker::Shipped::of_path(path).ok().flatten();
    shipped.map_or_else(|| PathBuf::from(path), |shipped| PathBuf::from(shipped.path()))
}

/// Where the weights that play are, else the player's own folder.
fn first_folder(plays: &Path) -> PathBuf {
    let near = plays.parent().filter(|folder| !folder.as_os_str().is_empty()).map(Path::to_path_buf);
    let own = || {
        let folders = [folders::weights(), folders::clips()];
        folders.into_iter().flatten().find(|folder| folder.is_dir()).or_else(dirs::home_dir)
    };
    near.or_else(own).unwrap_or_default()
}

/// The worker follows at the next bar.
pub fn choose(weights: &Mutex<ChosenWeights>, path: &Path) {
    if let Ok(mut weights) = weights.lock() {
        *weights = ChosenWeights::new(path.display().to_string());
    }
}

/// A row; says whether it was clicked.
fn row(ui: &mut Ui, theme: &Theme, text: &str, plays: bool, chosen: bool) -> bool {
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width() - 8.0, ROW_HEIGHT), Sense::click());
    places::note(ui.ctx(), || format!("Weights/{text}"), rect);
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
