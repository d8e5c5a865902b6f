//! The few `bpf(2)` calls that aya has no name for: what the verifier made of a program, and maps whose
//! sizes are known at run time alone.

use std::ffi::c_long;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};

use anyhow::{Context as _, Result, ensure};

/// Commands of `linux/bpf.h`.
#[derive(Clone, Copy)]
enum Command {
    MapLookup = 1,
    MapUpdate = 2,
    ProgramById = 13,
    MapById = 14,
    Info = 15,
}

/// The part of `union bpf_attr` that asks for a descriptor.
#[repr(C)]
struct ById {
    id: u32,
    next: u32,
    flags: u32,
}

/// The part that asks about a descriptor.
#[repr(C)]
struct AskInfo {
    fd: RawFd,
    length: u32,
    info: u64,
}

/// The part that reads and writes elements.
#[repr(C)]
struct Element {
    map: RawFd,
    padding: u32,
    key: u64,
    value: u64,
    flags: u64,
}

/// The beginning of `struct bpf_prog_info`.
#[repr(C)]
#[derive(Default)]
struct ProgramInfo {
    kind: u32,
    id: u32,
    tag: [u8; 8],
    machine_length: u32,
    translated_length: u32,
    machine: u64,
    translated: u64,
}

/// The beginning of `struct bpf_map_info`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(super) struct MapInfo {
    pub(super) kind: u32,
    pub(super) id: u32,
    pub(super) key_size: u32,
    pub(super) value_size: u32,
    pub(super) max_entries: u32,
    pub(super) flags: u32,
}

/// # Safety
///
/// Every address in `attributes` leads to as many bytes as the command makes the kernel read or write
/// there.
unsafe fn bpf<T>(command: Command, attributes: &mut T) -> io::Result<c_long> {
    let attributes: *mut T = attributes;
    // SAFETY: the kernel reads and writes `size_of::<T>()` bytes at a `T` that is borrowed mutably, and
    // what its addresses lead to, which the caller answers for.
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, command as c_long, attributes, size_of::<T>()) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(result)
}

fn by_id(command: Command, id: u32) -> io::Result<OwnedFd> {
    let mut asked = ById {
        id,
        next: 0,
        flags: 0,
    };
    // SAFETY: no address in it.
    let fd = unsafe { bpf(command, &mut asked) }?;
    let fd = RawFd::try_from(fd).map_err(io::Error::other)?;
    // SAFETY: the kernel has just opened it, and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A descriptor of a loaded program.
pub(super) fn program(id: u32) -> Result<OwnedFd> {
    by_id(Command::ProgramById, id).with_context(|| format!("cannot open program {id}"))
}

/// A descriptor of a map.
pub(super) fn map(id: u32) -> Result<OwnedFd> {
    by_id(Command::MapById, id).with_context(|| format!("cannot open map {id}"))
}

fn info<T>(of: impl AsFd, info: &mut T) -> io::Result<()> {
    let info: *mut T = info;
    let mut asked = AskInfo {
        fd: of.as_fd().as_raw_fd(),
        length: u32::try_from(size_of::<T>()).map_err(io::Error::other)?,
        info: info.expose_provenance() as u64,
    };
    // SAFETY: `info` leads to `length` bytes that are borrowed mutably. Of a program, the kernel also
    // writes where the two addresses in it lead, to as many bytes as are said there: see `instructions`.
    unsafe { bpf(Command::Info, &mut asked) }?;
    Ok(())
}

/// What a map is.
pub(super) fn map_info(map: impl AsFd) -> Result<MapInfo> {
    let mut about = MapInfo::default();
    info(map, &mut about).context("the kernel does not tell about a map")?;
    Ok(about)
}

/// The instructions that the kernel runs: those of the object, as the verifier has rewritten them.
pub(super) fn instructions(program: impl AsFd) -> Result<Vec<u8>> {
    let mut about = ProgramInfo::default();
    info(&program, &mut about).context("the kernel does not tell about a program")?;
    let mut bytes = vec![0; usize::try_from(about.translated_length)?];
    let mut about = ProgramInfo {
        translated_length: about.translated_length,
        translated: bytes.as_mut_ptr().expose_provenance() as u64,
        ..ProgramInfo::default()
    };
    info(&program, &mut about).context("the kernel does not tell a program's instructions")?;
    ensure!(
        about.translated != 0 && !bytes.is_empty(),
        "the kernel hides the instructions of programs: it needs root, with kernel.kptr_restrict \
         below 2"
    );
    Ok(bytes)
}

/// Reads an element; `None` if there is none. `length` is that of what the kernel writes: the value's,
/// or that of all CPUs' values, each rounded up to 8 bytes.
pub(super) fn lookup(map: impl AsFd, key: &[u8], length: usize) -> Result<Option<Vec<u8>>> {
    let mut value = vec![0_u8; length];
    let mut asked = Element {
        map: map.as_fd().as_raw_fd(),
        padding: 0,
        key: key.as_ptr().expose_provenance() as u64,
        value: value.as_mut_ptr().expose_provenance() as u64,
        flags: 0,
    };
    // SAFETY: the caller's key is as long as the map's keys, and `value` as long as its values.
    match unsafe { bpf(Command::MapLookup, &mut asked) } {
        Ok(_) => Ok(Some(value)),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
        Err(error) => Err(error).context("cannot read a map"),
    }
}

/// Writes an element.
pub(super) fn update(map: impl AsFd, key: &[u8], value: &[u8]) -> Result<()> {
    let mut asked = Element {
        map: map.as_fd().as_raw_fd(),
        padding: 0,
        key: key.as_ptr().expose_provenance() as u64,
        value: value.as_ptr().expose_provenance() as u64,
        flags: 0,
    };
    // SAFETY: the kernel reads a key and a value of the lengths of the map's, as `lookup` wrote them.
    unsafe { bpf(Command::MapUpdate, &mut asked) }.context("cannot write to a map")?;
    Ok(())
}
