//! `imblock demo`: the whole thing on a throw-away network, in a few seconds.
//!
//! Invariant: it shows nothing that it does not check. It runs its own executable as an operator
//! would, asks real ports with real connections, holds every answer and every counter against what
//! the step promises, and fails if one differs. It leaves nothing behind, after a Ctrl-C neither.

mod counters;
mod interrupt;
mod matrix;
mod operator;
mod report;
mod screen;
mod story;

use std::path::PathBuf;
use std::{io, time::Instant};

use crate::exit::Exit;
use crate::lab::{Lab, LabError, Wiring};

use interrupt::Interrupt;
use operator::Operator;
use screen::Screen;
use story::Story;

/// What can be asked of the demo.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct DemoArgs {
    /// Go on when something is not as it should be, and fail at the end
    #[arg(long)]
    pub keep_going: bool,
    /// Print one JSON document at the end instead of the story
    #[arg(long)]
    pub json: bool,
}

/// Why the demo could not be shown. An expectation that was not met is no error but
/// [`Exit::Failed`], with the story told.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The network could not be made.
    #[error(transparent)]
    Lab(#[from] LabError),
    /// A command of the demo failed.
    #[error("`imblock {command}` failed with exit code {code}: {stderr}")]
    Command {
        /// What was run.
        command: String,
        /// How it ended.
        code: u8,
        /// What it said.
        stderr: String,
    },
    /// A command was killed.
    #[error("`imblock {command}` was killed: {status}")]
    Killed {
        /// What was run.
        command: String,
        /// By what.
        status: std::process::ExitStatus,
    },
    /// The output of a command with `--json` is not what `docs/` promises.
    #[error("`imblock {command}` printed JSON that the demo does not understand")]
    Json {
        /// What was run.
        command: String,
        /// Where it went wrong.
        source: serde_json::Error,
    },
    /// No service of the catalogue has a port that the demo shows.
    #[error("no messenger of the catalogue has the port {0}, which the demo shows")]
    NoService(String),
    /// The demo's own files.
    #[error("cannot {what} {path}")]
    File {
        /// The verb.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// Somebody pressed Ctrl-C, or asked the process to end.
    #[error("interrupted; the network is gone")]
    Interrupted,
}

impl DemoError {
    /// The number to end with: one of [`Exit`], or 130 after an interruption, as shells have it.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Lab(LabError::NoPermission { .. }) => Exit::NoPermission as u8,
            Self::Lab(LabError::KernelLacks { .. }) => Exit::KernelLacks as u8,
            Self::Command { code, .. } => *code,
            Self::Interrupted => 130,
            _ => Exit::Failed as u8,
        }
    }
}

/// Shows it. [`Exit::Ok`] if everything was as it should be, else [`Exit::Failed`].
///
/// # Errors
///
/// [`DemoError`], whose [`DemoError::exit_code`] says how to end.
pub fn demo(args: &DemoArgs) -> Result<Exit, DemoError> {
    let begin = Instant::now();
    let interrupt = Interrupt::listen()?;
    let lab = Lab::new(Wiring::Plain)?;
    let mut screen = Screen::new(args.json);
    let operator = Operator::new(&lab.router.namespace)?;
    let mut story = Story::new(&lab, &operator, &interrupt, &mut screen, args.keep_going)?;
    story.tell()?;
    let report = story.into_report(begin.elapsed());
    drop(operator);
    screen.end(&report);
    Ok(if report.ok { Exit::Ok } else { Exit::Failed })
}
