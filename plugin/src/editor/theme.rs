//! The two themes, with every colour of the editor. Runs on the host's window thread.

use egui::{Color32, CornerRadius, Stroke, Visuals, vec2};

/// Colours by purpose.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Theme {
    /// Whether text is light on a dark background.
    pub dark: bool,
    /// Background of the piano roll.
    pub ground: Color32,
    /// Background of its black keys' rows.
    pub black_row: Color32,
    /// Background of panels.
    pub panel: Color32,
    /// Background of a control.
    pub control: Color32,
    /// Background of a control under the pointer.
    pub control_hot: Color32,
    /// The filled part of a value bar.
    pub fill: Color32,
    /// Frames and beat lines.
    pub line: Color32,
    /// Bar lines.
    pub bar_line: Color32,
    /// Text.
    pub ink: Color32,
    /// Secondary text.
    pub faint_ink: Color32,
    /// Selections and highlights.
    pub accent: Color32,
    /// Text on `accent`.
    pub on_accent: Color32,
    /// Problems.
    pub warning: Color32,
    /// The softest notes of soprano, alto, tenor, bass and other channels. People with any colour vision can tell them
    /// apart.
    pub quiet: [Color32; 5],
    /// The loudest notes, likewise.
    pub loud: [Color32; 5],
}

const fn rgb(hex: u32) -> Color32 {
    Color32::from_rgb((hex >> 16) as u8, (hex >> 8) as u8, hex as u8)
}

/// Light on dark.
pub const DARK: Theme = Theme {
    dark: true,
    ground: rgb(0x14171C),
    black_row: rgb(0x101317),
    panel: rgb(0x1C2027),
    control: rgb(0x2A3039),
    control_hot: rgb(0x343C47),
    fill: rgb(0x443C6A),
    line: rgb(0x262C35),
    bar_line: rgb(0x434C59),
    ink: rgb(0xECEFF3),
    faint_ink: rgb(0xA9B2BF),
    accent: rgb(0xB09CF5),
    on_accent: rgb(0x14171C),
    warning: rgb(0xFFB86B),
    quiet: [rgb(0xA24D27), rgb(0xB79D44), rgb(0x1C7E63), rgb(0x5393B8), rgb(0xAA6A92)],
    loud: [rgb(0xE8703A), rgb(0xF7D154), rgb(0x1FA67E), rgb(0x6CC3F5), rgb(0xE48AC0)],
};

/// Dark on light.
pub const LIGHT: Theme = Theme {
    dark: false,
    ground: rgb(0xFFFFFF),
    black_row: rgb(0xF4F5F7),
    panel: rgb(0xF0F1F4),
    control: rgb(0xFFFFFF),
    control_hot: rgb(0xE6E8EC),
    fill: rgb(0xD5CDF7),
    line: rgb(0xE3E6EA),
    bar_line: rgb(0xB4BAC4),
    ink: rgb(0x1C2027),
    faint_ink: rgb(0x525A66),
    accent: rgb(0x5B3FC4),
    on_accent: rgb(0xFFFFFF),
    warning: rgb(0x9A3E00),
    quiet: [rgb(0xBA501F), rgb(0xB9820E), rgb(0x157D5C), rgb(0x197EEA), rgb(0xC0508F)],
    loud: [rgb(0x9D2905), rgb(0x94710F), rgb(0x106252), rgb(0x236AC3), rgb(0x8A2065)],
};

impl Theme {
    /// The dark or the light theme.
    pub const fn of(dark: bool) -> &'static Self {
        if dark { &DARK } else { &LIGHT }
    }

    /// The colour of a note. Louder notes have more contrast to the background.
    pub fn note(&self, channel: u8, velocity: u8) -> Color32 {
        let voice = usize::from(channel).min(self.quiet.len() - 1);
        mix(self.quiet[voice], self.loud[voice], f32::from(velocity.min(127)) / 127.0)
    }

    /// Sets the colours and spacing of egui's own widgets.
    pub fn apply(&self, ctx: &egui::Context) {
        ctx.set_theme(if self.dark { egui::Theme::Dark } else { egui::Theme::Light });
        ctx.set_visuals(self.visuals());
        ctx.all_styles_mut(|style| {
            style.spacing.item_spacing = vec2(6.0, 6.0);
            style.spacing.button_padding = vec2(10.0, 4.0);
            style.spacing.interact_size.y = 26.0;
            style.interaction.tooltip_delay = 0.6;
            style.interaction.selectable_labels = false;
        });
    }

    fn visuals(&self) -> Visuals {
        let mut visuals = if self.dark { Visuals::dark() } else { Visuals::light() };
        visuals.override_text_color = None;
        visuals.weak_text_color = Some(self.faint_ink);
        visuals.panel_fill = self.panel;
        visuals.window_fill = self.panel;
        visuals.window_stroke = Stroke::new(1.0, self.bar_line);
        visuals.extreme_bg_color = self.ground;
        visuals.faint_bg_color = self.control;
        visuals.warn_fg_color = self.warning;
        visuals.selection.bg_fill = self.accent;
        visuals.selection.stroke = Stroke::new(1.0, self.on_accent);
        let widgets = &mut visuals.widgets;
        for (state, fill, ink) in [
            (&mut widgets.noninteractive, self.panel, self.ink),
            (&mut widgets.inactive, self.control, self.ink),
            (&mut widgets.hovered, self.control_hot, self.ink),
            (&mut widgets.active, self.control_hot, self.ink),
            (&mut widgets.open, self.control_hot, self.ink),
        ] {
            (state.bg_fill, state.weak_bg_fill) = (fill, fill);
            state.bg_stroke = Stroke::new(1.0, self.line);
            state.fg_stroke = Stroke::new(1.0, ink);
            state.corner_radius = CornerRadius::same(4);
            state.expansion = 0.0;
        }
        visuals
    }
}

/// A mixture of two colours: `from` at share 0, `to` at share 1.
pub fn mix(from: Color32, to: Color32, share: f32) -> Color32 {
    let channel = |a: u8, b: u8| (f32::from(a) + (f32::from(b) - f32::from(a)) * share).round() as u8;
    Color32::from_rgb(channel(from.r(), to.r()), channel(from.g(), to.g()), channel(from.b(), to.b()))
}

#[cfg(test)]
mod tests;
