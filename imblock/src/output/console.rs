//! Standard output: with colour only on a terminal that wants it.

use std::io::{self, IsTerminal, Write};

/// Standard output. Colour is dropped on pipes and files, and where `NO_COLOR` is set.
#[derive(Debug)]
pub struct Console {
    out: anstream::Stdout,
    terminal: bool,
}

/// Cursor home, erase the screen (ECMA-48 CUP and ED). What has scrolled off is the reader's: kept.
const CLEAR: &[u8] = b"\x1b[H\x1b[2J";

impl Console {
    /// Standard output of this process.
    pub fn new() -> Self {
        Self {
            out: anstream::stdout(),
            terminal: io::stdout().is_terminal(),
        }
    }

    /// Whether somebody watches, rather than a pipe or a file.
    pub fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Begins a new picture: clears a terminal, does nothing to a pipe, where pictures follow one
    /// another.
    pub fn begin_picture(&mut self) -> io::Result<()> {
        if !self.terminal {
            return Ok(());
        }
        self.out.flush()?;
        // Past the colour filter, which would take this for colour under NO_COLOR.
        io::stdout().write_all(CLEAR)
    }
}

impl Default for Console {
    fn default() -> Self {
        Self::new()
    }
}

impl Write for Console {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
