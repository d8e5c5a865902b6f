//! What the kernel object must hold, and what it must not.

use anyhow::{Context as _, Result, bail};
use aya_obj::Object;
use imblock_common::layout::maps;

use crate::workspace::PROGRAMS;

/// Folders of whoever built the object.
const PRIVATE: [&str; 4] = ["/home/", "/root/", "/tmp/", "/build/"];

/// An error unless the object has every map and program that the controller asks for, and no trace
/// of the machine that built it.
pub(super) fn assert_fit(bytes: &[u8]) -> Result<()> {
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
    for private in PRIVATE {
        let mut windows = bytes.windows(private.len());
        if windows.any(|window| window == private.as_bytes()) {
            bail!(
                "the kernel object names a folder below {private}, so its bytes depend on who builds it"
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use crate::workspace::{OBJECT, root};

    #[test]
    fn the_committed_object_is_fit() {
        let object = std::fs::read(root().join(OBJECT)).unwrap();
        super::assert_fit(&object).unwrap();
    }

    #[test]
    fn a_path_of_the_builder_is_found() {
        let mut object = std::fs::read(root().join(OBJECT)).unwrap();
        object.extend_from_slice(b"/home/somebody/imblock");
        let error = super::assert_fit(&object).unwrap_err();
        assert!(error.to_string().contains("/home/"), "{error}");
    }

    #[test]
    fn an_object_that_is_none_is_refused() {
        assert!(super::assert_fit(b"\x7fELF").is_err());
    }
}
