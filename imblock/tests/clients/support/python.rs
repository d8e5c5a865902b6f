//! Programs for protocols that Debian has no client for, from the Python package index.
//!
//! They live in an environment of their own below `target/`, which the first test that needs it
//! makes and all later ones find; nothing is installed on the machine.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use imblock::testing;

use super::find;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients");
const ENVIRONMENT: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/clients-python");

/// An interpreter that has the packages of `requirements.txt`.
#[derive(Clone)]
pub(crate) struct Python(PathBuf);

impl Python {
    /// None, with the reason noted, where the packages can't be had.
    pub(crate) fn or_skip(test: &str) -> Option<Self> {
        // Once in a process, because a registry that can't be reached takes its time to say so.
        static FOUND: OnceLock<Result<Python, String>> = OnceLock::new();
        match FOUND.get_or_init(Self::prepare) {
            Ok(python) => Some(python.clone()),
            Err(reason) => {
                testing::skip(test, reason);
                None
            }
        }
    }

    /// The interpreter, for [`super::Site::command`].
    pub(crate) fn interpreter(&self) -> &Path {
        &self.0
    }

    /// The path of one of our own programs.
    pub(crate) fn program(name: &str) -> String {
        format!("{FOLDER}/programs/{name}")
    }

    fn prepare() -> Result<Self, String> {
        let python = find("python3").ok_or("`python3` is not installed")?;
        let environment = Path::new(ENVIRONMENT);
        // Another run of the tests may be at the same work.
        let lock = File::create(environment.with_extension("lock")).unwrap();
        lock.lock().unwrap();
        let wanted = fs::read_to_string(format!("{FOLDER}/requirements.txt")).unwrap();
        let interpreter = environment.join("bin/python");
        // Written last, so that a half-made environment is made anew.
        let stamp = environment.join("made-from.txt");
        if fs::read_to_string(&stamp).is_ok_and(|made| made == wanted) {
            return Ok(Self(interpreter));
        }
        let mut venv = Command::new(python);
        venv.args(["-m", "venv", "--clear"]).arg(environment);
        run(&mut venv)?;
        let mut pip = Command::new(&interpreter);
        pip.args(["-m", "pip", "install", "--quiet", "--prefer-binary"])
            .args(["--disable-pip-version-check", "--retries=1", "--timeout=10"])
            .args(["-r", &format!("{FOLDER}/requirements.txt")]);
        run(&mut pip)?;
        fs::write(stamp, wanted).unwrap();
        Ok(Self(interpreter))
    }
}

/// Runs a command, or says in a line why it failed.
fn run(command: &mut Command) -> Result<Output, String> {
    let output = command.output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(output);
    }
    let said =
        [output.stderr, output.stdout].map(|text| String::from_utf8_lossy(&text).into_owned());
    let last = said.iter().find_map(|text| text.trim().lines().last());
    Err(format!(
        "the Python packages can't be had: {}",
        last.unwrap_or("no reason given")
    ))
}
