//! `bpf(2)` itself, for what aya has no name for: the verifier's figures of a program that it accepts,
//! the instructions that the kernel made of one, and maps whose sizes are known at run time alone.
//!
//! Invariant: what is offered here is safe. Each address that the kernel is given is that of a buffer
//! which is borrowed for the call, and as long as the kernel is told or known to expect.
#![expect(unsafe_code, reason = "a system call")]

use std::ffi::{CStr, c_long};
use std::io;
use std::mem::zeroed;
use std::os::fd::{AsFd, AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};

use anyhow::{Context as _, Result, anyhow, ensure};
use aya::maps::{MapFd, MapInfo, MapType};
use aya_obj::generated::{
    bpf_attach_type, bpf_attr, bpf_cmd, bpf_insn, bpf_prog_info, bpf_prog_type,
};

/// A program with every address in its place.
pub(crate) struct Loadable<'a> {
    pub(crate) kind: bpf_prog_type,
    pub(crate) attach_type: Option<bpf_attach_type>,
    pub(crate) flags: u32,
    pub(crate) instructions: &'a [bpf_insn],
    pub(crate) license: &'a CStr,
    /// What [`load_types`] made of the object's.
    pub(crate) types: &'a OwnedFd,
    pub(crate) functions: Records<'a>,
    pub(crate) lines: Records<'a>,
}

/// Records of so many bytes each.
pub(crate) struct Records<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) size: usize,
}

impl Records<'_> {
    fn count(&self) -> usize {
        self.bytes.len() / self.size.max(1)
    }
}

/// Loads a program. In `log` is then what the verifier says: its figures, or why it refuses.
pub(crate) fn load(program: &Loadable<'_>, log: &mut [u8]) -> io::Result<OwnedFd> {
    /// `BPF_LOG_STATS` of `linux/bpf_verifier.h`.
    const FIGURES: u32 = 4;

    let mut attributes = zeros();
    // SAFETY: each command's attributes are integers, for which zeros are a value.
    let asked = unsafe { &mut attributes.__bindgen_anon_3 };
    asked.prog_type = program.kind as u32;
    asked.expected_attach_type = program
        .attach_type
        .map_or(0, |attach_type| attach_type as u32);
    asked.prog_flags = program.flags;
    asked.insns = address(program.instructions);
    asked.insn_cnt = number(program.instructions.len())?;
    asked.license = address(program.license.to_bytes_with_nul());
    asked.prog_btf_fd = descriptor(program.types);
    asked.func_info = address(program.functions.bytes);
    asked.func_info_cnt = number(program.functions.count())?;
    asked.func_info_rec_size = number(program.functions.size)?;
    asked.line_info = address(program.lines.bytes);
    asked.line_info_cnt = number(program.lines.count())?;
    asked.line_info_rec_size = number(program.lines.size)?;
    asked.log_level = FIGURES;
    asked.log_buf = address_mut(log);
    asked.log_size = number(log.len())?;
    // SAFETY: the addresses are those of what `program` and `log` borrow, with their lengths; the command
    // opens a descriptor.
    unsafe { opened(bpf_cmd::BPF_PROG_LOAD, &mut attributes) }
}

/// Loads the types that programs and maps name.
pub(crate) fn load_types(types: &[u8]) -> io::Result<OwnedFd> {
    let mut attributes = zeros();
    attributes.__bindgen_anon_7.btf = address(types);
    attributes.__bindgen_anon_7.btf_size = number(types.len())?;
    // SAFETY: the address is that of `types`, with its length; the command opens a descriptor.
    unsafe { opened(bpf_cmd::BPF_BTF_LOAD, &mut attributes) }
}

/// The instructions that the kernel runs: those of the object, as the verifier has rewritten them.
pub(crate) fn instructions(program: impl AsFd) -> Result<Vec<u8>> {
    let bare = about(&program, &mut []).context("the kernel does not tell about a program")?;
    let mut bytes = vec![0; usize::try_from(bare.xlated_prog_len)?];
    let full =
        about(&program, &mut bytes).context("the kernel does not tell a program's instructions")?;
    ensure!(
        full.xlated_prog_insns != 0 && !bytes.is_empty(),
        "the kernel hides the instructions of programs: it needs root, with kernel.kptr_restrict \
         below 2"
    );
    Ok(bytes)
}

/// What the kernel tells about a program, its instructions as far as there is room.
fn about(program: impl AsFd, instructions: &mut [u8]) -> io::Result<bpf_prog_info> {
    // SAFETY: integers, for which zeros are a value.
    let mut about: bpf_prog_info = unsafe { zeroed() };
    about.xlated_prog_len = number(instructions.len())?;
    about.xlated_prog_insns = address_mut(instructions);
    let mut attributes = zeros();
    attributes.info.bpf_fd = descriptor(program);
    attributes.info.info_len = number(size_of::<bpf_prog_info>())?;
    attributes.info.info = address_mut(std::slice::from_mut(&mut about));
    // SAFETY: the addresses are those of `about` and, in it, of `instructions`, with their lengths.
    unsafe { bpf(bpf_cmd::BPF_OBJ_GET_INFO_BY_FD, &mut attributes) }?;
    Ok(about)
}

/// The elements of a map, as bytes.
pub(crate) struct Elements {
    map: MapFd,
    key_size: usize,
    /// Of what the kernel reads and writes: a value, or all CPUs' values, each rounded up to 8 bytes.
    length: usize,
}

impl Elements {
    pub(crate) fn of(map: &MapInfo) -> Result<Self> {
        let value_size = usize::try_from(map.value_size())?;
        let length = match map.map_type()? {
            MapType::PerCpuArray | MapType::PerCpuHash | MapType::LruPerCpuHash => {
                let cpus = aya::util::nr_cpus();
                let cpus = cpus.map_err(|(what, error)| anyhow!("{what}: {error}"))?;
                value_size.next_multiple_of(8) * cpus
            }
            _ => value_size,
        };
        Ok(Self {
            map: map.fd()?,
            key_size: usize::try_from(map.key_size())?,
            length,
        })
    }

    /// Reads an element; `None` if there is none.
    pub(crate) fn read(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let mut value = vec![0; self.length];
        let mut attributes = self.element(key, address_mut(&mut value))?;
        // SAFETY: the key and the value are as long as the map's, which `element` and `of` see to.
        match unsafe { bpf(bpf_cmd::BPF_MAP_LOOKUP_ELEM, &mut attributes) } {
            Ok(_) => Ok(Some(value)),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
            Err(error) => Err(error).context("cannot read a map"),
        }
    }

    /// Writes an element.
    pub(crate) fn write(&self, key: &[u8], value: &[u8]) -> Result<()> {
        ensure!(value.len() == self.length, "a value of another length");
        let mut attributes = self.element(key, address(value))?;
        // SAFETY: the key and the value are as long as the map's: see `element`, and above.
        unsafe { bpf(bpf_cmd::BPF_MAP_UPDATE_ELEM, &mut attributes) }
            .context("cannot write to a map")?;
        Ok(())
    }

    fn element(&self, key: &[u8], value: u64) -> Result<bpf_attr> {
        ensure!(key.len() == self.key_size, "a key of another length");
        let mut attributes = zeros();
        attributes.__bindgen_anon_2.map_fd = descriptor(&self.map);
        attributes.__bindgen_anon_2.key = address(key);
        attributes.__bindgen_anon_2.__bindgen_anon_1.value = value;
        Ok(attributes)
    }
}

/// Attributes that ask for nothing: the kernel wants zeros in all that a command does not look at.
fn zeros() -> bpf_attr {
    // SAFETY: integers, for which zeros are a value.
    unsafe { zeroed() }
}

/// A call that opens a descriptor.
///
/// # Safety
///
/// As for [`bpf`], and the command is one that opens a descriptor.
unsafe fn opened(command: bpf_cmd, attributes: &mut bpf_attr) -> io::Result<OwnedFd> {
    // SAFETY: the caller answers for it.
    let descriptor = unsafe { bpf(command, attributes) }?;
    let descriptor = RawFd::try_from(descriptor).map_err(io::Error::other)?;
    // SAFETY: the kernel has just opened it, and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// # Safety
///
/// Every address in `attributes` leads to as many bytes as the command makes the kernel read or write
/// there.
unsafe fn bpf(command: bpf_cmd, attributes: &mut bpf_attr) -> io::Result<c_long> {
    let attributes: *mut bpf_attr = attributes;
    // SAFETY: the kernel reads and writes as many bytes of the attributes as it is told, and what their
    // addresses lead to, which the caller answers for.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command as c_long,
            attributes,
            size_of::<bpf_attr>(),
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(result)
}

fn descriptor(of: impl AsFd) -> u32 {
    of.as_fd().as_raw_fd().unsigned_abs()
}

fn address<T>(buffer: &[T]) -> u64 {
    buffer.as_ptr().expose_provenance() as u64
}

fn address_mut<T>(buffer: &mut [T]) -> u64 {
    buffer.as_mut_ptr().expose_provenance() as u64
}

fn number(length: usize) -> io::Result<u32> {
    u32::try_from(length).map_err(io::Error::other)
}
