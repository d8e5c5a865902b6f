//! Standard output: with colour only on a terminal that wants it.

use std::io::{self, IsTerminal, Write};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::time::Timespec;

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

    /// Waits, but not for a reader that is gone: that is [`io::ErrorKind::BrokenPipe`] as soon as it goes,
    /// as if something had been written.
    pub fn pause_until(&self, end: Instant) -> io::Result<()> {
        let out = io::stdout();
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            let timeout = Timespec::try_from(left).map_err(io::Error::other)?;
            // Of no event but those that nobody has to ask for: an error, the other end closed.
            match poll(&mut [PollFd::new(&out, PollFlags::empty())], Some(&timeout)) {
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => return Err(io::ErrorKind::BrokenPipe.into()),
                Err(error) => return Err(error.into()),
            }
        }
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
