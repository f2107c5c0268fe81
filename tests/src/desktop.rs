//! A screen without a monitor: an X server in memory, with a mouse, a keyboard and pictures of its windows. There is
//! one in the process; tests use it on their own threads, one at a time.

mod clipboard;
mod keys;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use x11rb::COPY_DEPTH_FROM_PARENT;
use x11rb::connection::Connection;
use x11rb::protocol::xproto::{ConfigureWindowAux, ConnectionExt, CreateWindowAux, ImageFormat, Window, WindowClass};
use x11rb::protocol::xtest::ConnectionExt as _;
use x11rb::rust_connection::RustConnection;

use crate::picture::Picture;
use keys::Keyboard;

/// Large enough for the editor at twice its size.
const SCREEN: (u16, u16) = (2400, 1600);
/// How long the mouse rests at the end of a drag.
const REST: Duration = Duration::from_millis(250);
/// The time between two actions: no hand is faster, and a window that draws 60 frames a second sees each of them.
const HAND: Duration = Duration::from_millis(50);

// Event types of the XTEST extension's fake input.
const KEY_PRESS: u8 = 2;
const KEY_RELEASE: u8 = 3;
const BUTTON_PRESS: u8 = 4;
const BUTTON_RELEASE: u8 = 5;
const MOTION: u8 = 6;

/// The display of this process, or why there is none.
static DISPLAY: OnceLock<Result<Display, String>> = OnceLock::new();
/// There is one mouse: tests take turns.
static TURN: Mutex<()> = Mutex::new(());

struct Display {
    name: String,
    /// The server ends with its last client, and this one lives as long as the process.
    _keeper: RustConnection,
}

/// The screen, for one test at a time.
pub struct Desktop {
    connection: RustConnection,
    root: Window,
    keyboard: Keyboard,
    _turn: MutexGuard<'static, ()>,
}

/// The mouse's buttons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are enough")]
pub enum Button {
    Left = 1,
    Right = 3,
    WheelUp = 4,
    WheelDown = 5,
}

impl Desktop {
    /// Waits until the screen is free. The first call starts it and sets `variables` for the process.
    ///
    /// # Errors
    /// If no X server can be started.
    pub fn open(variables: &[(&str, &str)]) -> Result<Self> {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let display = DISPLAY.get_or_init(|| Display::start(variables).map_err(|error| format!("{error:#}")));
        let display = display.as_ref().map_err(|error| anyhow::anyhow!("{error}"))?;
        let (connection, screen) = x11rb::connect(Some(&display.name)).context("connecting to the X server")?;
        let root = connection.setup().roots[screen].root;
        let keyboard = Keyboard::of(&connection)?;
        Ok(Self { connection, root, keyboard, _turn: turn })
    }

    /// An empty window at the top left of the screen.
    ///
    /// # Errors
    /// If the server refuses.
    pub fn window(&self, (width, height): (u32, u32)) -> Result<Window> {
        let window = self.connection.generate_id()?;
        let (width, height) = (u16::try_from(width)?, u16::try_from(height)?);
        let class = WindowClass::INPUT_OUTPUT;
        let aux = CreateWindowAux::new().background_pixel(0);
        let depth = COPY_DEPTH_FROM_PARENT;
        self.connection.create_window(depth, window, self.root, 0, 0, width, height, 0, class, 0, &aux)?.check()?;
        self.connection.map_window(window)?.check()?;
        Ok(window)
    }

    /// Gives a window another size.
    ///
    /// # Errors
    /// If the server refuses.
    pub fn resize(&self, window: Window, (width, height): (u32, u32)) -> Result<()> {
        let size = ConfigureWindowAux::new().width(width).height(height);
        Ok(self.connection.configure_window(window, &size)?.check()?)
    }

    /// Closes a window.
    ///
    /// # Errors
    /// If the server refuses.
    pub fn close(&self, window: Window) -> Result<()> {
        Ok(self.connection.destroy_window(window)?.check()?)
    }

    /// The number of windows inside a window, or on the screen.
    ///
    /// # Errors
    /// If the server refuses.
    pub fn num_windows(&self, inside: Option<Window>) -> Result<usize> {
        Ok(self.connection.query_tree(inside.unwrap_or(self.root))?.reply()?.children.len())
    }

    /// A window's width and height, pixels.
    ///
    /// # Errors
    /// If the server refuses.
    pub fn size(&self, window: Window) -> Result<(u32, u32)> {
        let size = self.connection.get_geometry(window)?.reply()?;
        Ok((size.width.into(), size.height.into()))
    }

    /// What a window shows.
    ///
    /// # Errors
    /// If the server refuses.
    pub fn picture(&self, window: Window) -> Result<Picture> {
        let size = self.connection.get_geometry(window)?.reply()?;
        let format = ImageFormat::Z_PIXMAP;
        let image = self.connection.get_image(format, window, 0, 0, size.width, size.height, u32::MAX)?.reply()?;
        Picture::from_bgrx(u32::from(size.width), u32::from(size.height), &image.data)
    }

    /// Moves the mouse to a place on the screen.
    ///
    /// # Errors
    /// If the server refuses.
    pub fn move_to(&self, (x, y): (i16, i16)) -> Result<()> {
        self.fake(MOTION, 0, (x, y))
    }

    /// Presses or releases a button.
    ///
    /// # Errors
    /// If the server refuses.
    pub fn button(&self, button: Button, down: bool) -> Result<()> {
        self.fake(if down { BUTTON_PRESS } else { BUTTON_RELEASE }, button as u8, (0, 0))
    }

    /// Clicks at a place.
    ///
    /// # Errors
    /// If the server refuses.
    pub fn click(&self, place: (i16, i16), button: Button) -> Result<()> {
        self.move_to(place)?;
        self.button(button, true)?;
        self.button(button, false)
    }

    /// Drags from a place to another.
    ///
    /// # Errors
    /// If the server refuses.
    pub fn drag(&self, from: (i16, i16), to: (i16, i16)) -> Result<()> {
        self.move_to(from)?;
        self.button(Button::Left, true)?;
        for part in 1..=4 {
            let between = |a: i16, b: i16| a + (b - a) * part / 4;
            self.move_to((between(from.0, to.0), between(from.1, to.1)))?;
        }
        // A window that draws rarely must still see the end of the drag.
        std::thread::sleep(REST);
        self.button(Button::Left, false)
    }

    /// Types characters that have a key of their own: digits, small letters, `.`, `\n` for Enter.
    ///
    /// # Errors
    /// If there is no such key.
    pub fn type_text(&self, text: &str) -> Result<()> {
        for letter in text.chars() {
            let key =
                self.keyboard.key_of(letter).with_context(|| format!("expected a key for {letter:?}, got none"))?;
            self.fake(KEY_PRESS, key, (0, 0))?;
            self.fake(KEY_RELEASE, key, (0, 0))?;
        }
        Ok(())
    }

    /// Holds or releases shift.
    ///
    /// # Errors
    /// If the keyboard has none.
    pub fn shift(&self, down: bool) -> Result<()> {
        let key = self.keyboard.shift().context("expected a shift key, got none")?;
        self.fake(if down { KEY_PRESS } else { KEY_RELEASE }, key, (0, 0))
    }

    /// Holds or releases control.
    ///
    /// # Errors
    /// If the keyboard has none.
    pub fn control(&self, down: bool) -> Result<()> {
        let key = self.keyboard.control().context("expected a control key, got none")?;
        self.fake(if down { KEY_PRESS } else { KEY_RELEASE }, key, (0, 0))
    }

    fn fake(&self, event: u8, detail: u8, (x, y): (i16, i16)) -> Result<()> {
        self.connection.xtest_fake_input(event, detail, 0, self.root, x, y, 0)?.check()?;
        std::thread::sleep(HAND);
        Ok(())
    }
}

impl Display {
    fn start(variables: &[(&str, &str)]) -> Result<Self> {
        let screen = format!("{}x{}x24", SCREEN.0, SCREEN.1);
        let mut server = Command::new("Xvfb")
            .args(["-displayfd", "1", "-screen", "0", &screen, "-nolisten", "tcp", "-terminate"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("expected the program `Xvfb`, which shows windows to tests; install the package xvfb")?;
        let stdout = server.stdout.take().context("Xvfb has an output")?;
        let mut number = String::new();
        BufReader::new(stdout).read_line(&mut number)?;
        ensure!(!number.trim().is_empty(), "expected Xvfb to start, got {}", server.wait()?);
        let name = format!(":{}", number.trim());
        let (keeper, _) = x11rb::connect(Some(&name)).context("connecting to Xvfb")?;
        for (variable, value) in [("DISPLAY", name.as_str()), ("LIBGL_ALWAYS_SOFTWARE", "1")].iter().chain(variables) {
            // SAFETY: every test of the process waits for this before it loads a plugin or starts a thread of its own,
            // so that nobody reads the environment meanwhile.
            unsafe { std::env::set_var(variable, value) };
        }
        Ok(Self { name, _keeper: keeper })
    }
}
