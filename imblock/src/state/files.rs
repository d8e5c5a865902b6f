//! Other files of the state directory, replaced whole or not at all as the state itself.

use std::fs::{self, File};
use std::io::{self, Write as _};

use super::{StateDir, StateError, io_error};

impl StateDir {
    /// Replaces a file of the directory: on the disk when this returns, the old one whole until then.
    pub(crate) fn replace(&self, name: &str, text: &[u8]) -> Result<(), StateError> {
        let path = self.dir.join(name);
        let beside = self.dir.join(format!("{name}.new"));
        let write = || -> io::Result<()> {
            fs::create_dir_all(&self.dir)?;
            let mut file = File::create(&beside)?;
            file.write_all(text)?;
            file.sync_all()?;
            fs::rename(&beside, &path)?;
            File::open(&self.dir)?.sync_all()
        };
        write().map_err(|source| io_error(&path, "could not be written", source))
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
