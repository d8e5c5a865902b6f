//! How files of the state directory are written.
//!
//! Invariant: in two steps, so that a file is replaced whole or not at all, and what it tells of can be done
//! between them: once the new one is on the disk, and before it counts.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::{StateDir, StateError, io_error};

/// New contents of a file, on the disk beside the file that they are to replace. Dropped, they are gone.
#[derive(Debug)]
#[must_use]
pub(crate) struct Prepared {
    path: PathBuf,
    beside: PathBuf,
}

impl StateDir {
    /// Writes what is to replace a file of the directory. A full disk tells here, where nothing that the
    /// file is about has been changed yet.
    pub(crate) fn prepare(&self, name: &str, text: &[u8]) -> Result<Prepared, StateError> {
        let prepared = self.beside(name);
        let write = || -> io::Result<()> {
            fs::create_dir_all(&self.dir)?;
            let mut file = File::create(&prepared.beside)?;
            file.write_all(text)?;
            file.sync_all()
        };
        write().map_err(|source| io_error(&prepared.path, "could not be written", source))?;
        Ok(prepared)
    }

    /// What was prepared for a file, whether or not it is there.
    pub(super) fn beside(&self, name: &str) -> Prepared {
        Prepared {
            path: self.dir.join(name),
            beside: self.dir.join(new_name(name)),
        }
    }

    /// Reads a file of the directory; none where there is none.
    pub(crate) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, StateError> {
        let path = self.dir.join(name);
        match fs::read(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(io_error(&path, "could not be read", source)),
        }
    }
}

/// The name of a file that is to replace another.
pub(super) fn new_name(name: &str) -> String {
    format!("{name}.new")
}

impl Prepared {
    /// Replaces the file: on the disk when this returns, the old one whole until then.
    pub(crate) fn commit(self) -> Result<(), StateError> {
        let replace = || -> io::Result<()> {
            fs::rename(&self.beside, &self.path)?;
            let dir = self.path.parent().unwrap_or(Path::new("."));
            File::open(dir)?.sync_all()
        };
        replace().map_err(|source| io_error(&self.path, "could not be replaced", source))
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        // Where it took the file's place, there is none. Nobody else writes another: who prepares holds the
        // instance's lock.
        let _ = fs::remove_file(&self.beside);
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn what_is_prepared_counts_once_it_is_committed() {
        let home = tempfile::tempdir().unwrap();
        let dir = StateDir {
            dir: home.path().join("main"),
        };
        dir.prepare("file", b"one").unwrap().commit().unwrap();
        let two = dir.prepare("file", b"two").unwrap();
        assert_eq!(dir.read("file").unwrap().unwrap(), b"one");
        drop(two);
        assert_eq!(dir.read("file").unwrap().unwrap(), b"one");
        assert_eq!(fs::read_dir(&dir.dir).unwrap().count(), 1);
        dir.prepare("file", b"two").unwrap().commit().unwrap();
        assert_eq!(dir.read("file").unwrap().unwrap(), b"two");
        assert_eq!(fs::read_dir(&dir.dir).unwrap().count(), 1);
    }

    #[test]
    fn what_can_not_take_its_place_is_an_error_and_leaves_nothing() {
        let home = tempfile::tempdir().unwrap();
        let dir = StateDir {
            dir: home.path().to_owned(),
        };
        fs::create_dir(dir.dir.join("file")).unwrap();
        let error = dir.prepare("file", b"one").unwrap().commit();
        assert!(matches!(error, Err(StateError::Io { .. })), "{error:?}");
        assert_eq!(fs::read_dir(&dir.dir).unwrap().count(), 1);
    }
}
