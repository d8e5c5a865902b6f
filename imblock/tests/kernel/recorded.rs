//! Frames that other people recorded, where the machine has them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use imblock::replay::capture::Capture;
use imblock::testing::skip;

/// Ethernet, as captures number it.
const ETHERNET: u16 = 1;

/// What is in a capture, as far as it can be read.
pub(crate) struct Recording {
    pub(crate) name: String,
    /// Ethernet frames, as far as they were kept.
    pub(crate) frames: Vec<Vec<u8>>,
    /// How many frames of other links there were.
    pub(crate) others: u64,
}

/// All captures in order; `None`, noted as skipped, where there are none.
pub(crate) fn recordings(test: &str) -> Option<impl Iterator<Item = Recording>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/captures");
    if !folder.is_dir() {
        skip(
            test,
            format_args!("there are no captures in {}", folder.display()),
        );
        return None;
    }
    let mut paths = Vec::new();
    files(&folder, &mut paths);
    paths.sort();
    Some(paths.into_iter().filter_map(|path| recording(&path)))
}

fn files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, into);
        } else {
            into.push(path);
        }
    }
}

/// `None` for what is no capture.
fn recording(path: &Path) -> Option<Recording> {
    let name = path.display().to_string();
    let mut capture = Capture::new(&name, File::open(path).ok()?).ok()?;
    let (mut frames, mut others) = (Vec::new(), 0);
    // Some captures are damaged on purpose: what comes before the damage counts.
    while let Ok(Some(frame)) = capture.next_frame() {
        if frame.link_type == ETHERNET {
            frames.push(frame.bytes.to_vec());
        } else {
            others += 1;
        }
    }
    Some(Recording {
        name,
        frames,
        others,
    })
}
