//! The committed kernel object in this kernel, without pins: for `verify` and `bench`.

use anyhow::{Context as _, Result, bail};
use aya::programs::{Program, ProgramInfo, ProgramType, Xdp};
use aya::{Ebpf, EbpfLoader};

use crate::workspace::{OBJECT, root};

/// Why BPF programs can't be loaded here; `None` if they can.
pub(crate) fn why_not_permitted() -> Option<String> {
    match aya::sys::is_program_supported(ProgramType::Xdp) {
        Ok(true) => None,
        Ok(false) => Some("this kernel has no XDP".to_owned()),
        Err(error) => Some(format!("BPF is not permitted here: {error}")),
    }
}

/// Makes the object's maps. Its programs are loaded one by one.
pub(crate) fn open() -> Result<Ebpf> {
    let path = root().join(OBJECT);
    let bytes = std::fs::read(&path)
        .with_context(|| format!("cannot read {OBJECT}; `cargo xtask build-ebpf` makes it"))?;
    EbpfLoader::new()
        .load(&bytes)
        .with_context(|| format!("cannot make the maps of {OBJECT}"))
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

/// A loaded XDP program.
pub(crate) fn xdp<'a>(object: &'a mut Ebpf, name: &str) -> Result<&'a Xdp> {
    load(object, name)?;
    let program = object.program(name).context("a loaded program is gone")?;
    program
        .try_into()
        .with_context(|| format!("{name} is not XDP"))
}
