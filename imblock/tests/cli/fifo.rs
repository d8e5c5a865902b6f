//! A policy that comes through a named pipe, and late.

use std::fs::File;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat, open};

use crate::site::{PATIENCE, Site};

/// Makes the pipe, and says where it is.
pub(crate) fn made(site: &Site) -> String {
    let path = site.dir().join("policy.fifo");
    mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    path.to_str().unwrap().to_owned()
}

/// A pipe out of which a policy is read, and its end to write to, once somebody reads.
pub(crate) fn awaited(fifo: &str) -> File {
    let begin = Instant::now();
    loop {
        let flags = OFlags::WRONLY | OFlags::NONBLOCK;
        match open(fifo, flags, Mode::empty()) {
            Ok(end) => return end.into(),
            Err(error) => assert!(begin.elapsed() < PATIENCE, "nobody reads: {error}"),
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
