//! What the kernel object must hold, and what it must not.

use anyhow::{Context as _, Result, bail};
use aya_obj::Object;
use imblock_common::layout::maps;

use crate::workspace::PROGRAMS;

/// Folders of whoever built the object.
const PRIVATE: [&str; 4] = ["/home/", "/root/", "/tmp/", "/build/"];

/// An error unless the object has every map and program that the controller asks for.
pub(super) fn assert_complete(bytes: &[u8]) -> Result<()> {
    let object = Object::parse(bytes).context("the kernel object can't be parsed")?;
    for map in maps::ALL {
        if !object.maps.contains_key(map) {
            bail!("the kernel object has no map {map}, which layout.rs names");
        }
    }
    for program in PROGRAMS {
        if !object.programs.contains_key(program) {
            bail!("the kernel object has no program {program}, which layout.rs names");
        }
    }
    Ok(())
}

/// An error if the object bears a trace of the machine that built it.
pub(super) fn assert_anonymous(bytes: &[u8]) -> Result<()> {
    for private in PRIVATE {
        let mut windows = bytes.windows(private.len());
        if windows.any(|window| window == private.as_bytes()) {
            bail!("the object names a folder below {private}: its bytes depend on who builds it");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::workspace::{BENCH_OBJECT, OBJECT, root};

    #[test]
    fn the_committed_object_is_complete() {
        assert_complete(&std::fs::read(root().join(OBJECT)).unwrap()).unwrap();
    }

    #[test]
    fn the_committed_objects_bear_no_trace_of_their_builder() {
        for path in [OBJECT, BENCH_OBJECT] {
            assert_anonymous(&std::fs::read(root().join(path)).unwrap()).unwrap();
        }
    }

    #[test]
    fn a_path_of_the_builder_is_found() {
        let error = assert_anonymous(b"\x7fELF /home/somebody/imblock").unwrap_err();
        assert!(error.to_string().contains("/home/"), "{error}");
    }

    #[test]
    fn an_object_that_lacks_everything_is_refused() {
        let other = std::fs::read(root().join(BENCH_OBJECT)).unwrap();
        let error = assert_complete(&other).unwrap_err();
        assert!(error.to_string().contains("has no map"), "{error}");
    }
}
