//! What can go wrong with the state directory.

use std::io;
use std::path::PathBuf;

use super::STATE_VARIABLE;
use super::document::VERSION;
use crate::exit::Exit;

/// Trouble with the state directory.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// A file or directory could not be used.
    #[error("the state {path} {what} ({source}); {STATE_VARIABLE} can name another directory")]
    Io {
        /// Which.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// The file isn't what was written.
    #[error(
        "{path} is not what imblock wrote ({source}): repair it, or remove it to forget what was set \
         by hand"
    )]
    Broken {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: serde_json::Error,
    },
    /// The file is of a later version.
    #[error(
        "{path} was written by a later imblock (format {found}, this one reads {VERSION}): update \
         this one, or move the file away to go on without what was set by hand"
    )]
    Later {
        /// Which.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// Another controller holds the instance.
    #[error(
        "a controller of this instance is at work already{}: stop it first, or choose another \
         instance with --instance", process(*.pid)
    )]
    Controlled {
        /// Its process id; none if it has not said yet.
        pid: Option<u32>,
    },
}

impl StateError {
    /// The exit code for this kind of trouble.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Exit::NoPermission
            }
            Self::Io { .. } | Self::Broken { .. } | Self::Later { .. } => Exit::Failed,
            Self::Controlled { .. } => Exit::Busy,
        }
    }
}

fn process(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" (process {pid})"))
        .unwrap_or_default()
}
