//! The committed objects in this kernel, without pins: for `verify`, `bench` and `matrix`.

use anyhow::{Context as _, Result, bail};
use aya::Ebpf;
use aya::programs::{Program, ProgramInfo, ProgramType, Xdp};

use crate::workspace::root;

/// Why BPF programs can't be loaded here; `None` if they can.
pub(crate) fn why_not_permitted() -> Option<String> {
    match aya::sys::is_program_supported(ProgramType::Xdp) {
        Ok(true) => None,
        Ok(false) => Some("this kernel has no XDP".to_owned()),
        Err(error) => Some(format!("BPF is not permitted here: {error}")),
    }
}

/// Whether a task is left out, which is said, for BPF programs can't be loaded here. An error where
/// the kernel is required.
pub(crate) fn is_skipped(task: &str) -> Result<bool> {
    let Some(reason) = why_not_permitted() else {
        return Ok(false);
    };
    if std::env::var_os("IMBLOCK_REQUIRE_KERNEL").is_some_and(|value| value == "1") {
        bail!("{reason}");
    }
    println!("skipped: {task}: {reason}");
    Ok(true)
}

/// The bytes of an object, which is named by its path from the top of the checkout.
pub(crate) fn read(object: &str) -> Result<Vec<u8>> {
    std::fs::read(root().join(object))
        .with_context(|| format!("cannot read {object}; `cargo xtask build-ebpf` makes it"))
}

/// Makes an object's maps. Its programs are loaded one by one.
pub(crate) fn open(object: &str) -> Result<Ebpf> {
    Ebpf::load(&read(object)?).with_context(|| format!("cannot make the maps of {object}"))
}

/// Loads one program.
pub(crate) fn load(object: &mut Ebpf, name: &str) -> Result<ProgramInfo> {
    let program = object
        .program_mut(name)
        .with_context(|| format!("the object has no program {name}"))?;
    let info = match program {
        Program::Xdp(xdp) => xdp.load().and_then(|()| xdp.info()),
        Program::SchedClassifier(tc) => tc.load().and_then(|()| tc.info()),
        other => bail!("{name} is of an unexpected type, {:?}", other.prog_type()),
    };
    info.with_context(|| format!("the kernel refuses {name}"))
}

/// An XDP program that was loaded before.
pub(crate) fn xdp<'a>(object: &'a Ebpf, name: &str) -> Result<&'a Xdp> {
    let program = object
        .program(name)
        .with_context(|| format!("the object has no program {name}"))?;
    program
        .try_into()
        .with_context(|| format!("{name} is not XDP"))
}
