//! How the tests run the binary, and what they hold against the outcome.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// The binary under test.
pub(crate) fn executable() -> PathBuf {
    assert_cmd::cargo::cargo_bin!("imblock").to_owned()
}

/// The binary with arguments, and nothing of the tester's environment that changes what it does.
pub(crate) fn command(arguments: &[&str]) -> Command {
    command_of(&executable(), arguments)
}

/// The same of a copy.
pub(crate) fn command_of(executable: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(executable);
    for variable in [
        "IMBLOCK_BPFFS",
        "NO_COLOR",
        "CLICOLOR_FORCE",
        "COLUMNS",
        "SUDO_USER",
        "LOGNAME",
    ] {
        command.env_remove(variable);
    }
    command
        .args(arguments)
        // What needs no state must not ask for it.
        .env("IMBLOCK_STATE_DIR", "/nowhere/imblock-tests")
        .env("USER", "tester")
        .stdin(std::process::Stdio::null());
    command
}

/// Runs the binary to its end, outside of any site.
pub(crate) fn imblock(arguments: &[&str]) -> Ran {
    run(&mut command(arguments))
}

/// Runs a command to its end.
pub(crate) fn run(command: &mut Command) -> Ran {
    let output = command.output().unwrap();
    Ran::new(command, &output)
}

/// What came of a run.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) line: String,
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    pub(crate) fn new(command: &Command, output: &Output) -> Self {
        let arguments: Vec<_> = command.get_args().map(|a| a.to_string_lossy()).collect();
        Self {
            line: arguments.join(" "),
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Fails unless it ended with this exit code. No end is a panic, whatever the code.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert!(!self.err.contains("panicked"), "{self}");
        assert_eq!(self.code, Some(code), "{self}");
        self
    }

    /// Fails unless the standard error has this in it.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(
            self.err.contains(text),
            "`{text}` is not in what it says\n{self}"
        );
        self
    }

    /// Fails unless the standard output has this in it.
    #[track_caller]
    pub(crate) fn prints(self, text: &str) -> Self {
        assert!(
            self.out.contains(text),
            "`{text}` is not in the output\n{self}"
        );
        self
    }

    /// Fails unless the standard error is one line.
    #[track_caller]
    pub(crate) fn in_one_line(self) -> Self {
        assert_eq!(self.err.trim_end().lines().count(), 1, "{self}");
        self
    }

    /// The standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}\n{self}"))
    }
}

impl std::fmt::Display for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            line,
            code,
            out,
            err,
        } = self;
        write!(
            f,
            "imblock {line}\ncode: {code:?}\n--- stdout\n{out}\n--- stderr\n{err}"
        )
    }
}
