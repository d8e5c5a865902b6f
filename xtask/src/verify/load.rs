//! One program, loaded with the verifier's log. aya, which loads everywhere else, asks for a log only
//! when a program is refused, so this is `bpf(2)` itself, on what aya makes of the object.

use std::collections::HashMap;
use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use aya::maps::MapData;
use aya_obj::generated::{bpf_cmd, bpf_insn, bpf_prog_type};
use aya_obj::{EbpfSectionKind, Function, Object, ProgramSection};
use imblock::kernel::table_sizes;
use imblock::policy::plan::Limits;

use crate::kernel_object;
use crate::workspace::OBJECT;

/// The object, with maps of its own and every address in its place. Its programs can be loaded.
pub(super) struct Relocated {
    object: Object,
    types: OwnedFd,
    /// Programs name them by descriptor.
    _maps: HashMap<String, MapData>,
}

/// What the kernel made of a program.
pub(super) struct Accepted {
    pub(super) log: String,
    /// What the call took.
    pub(super) time: Duration,
}

impl Relocated {
    /// Makes the maps with room for so much.
    pub(super) fn with(limits: &Limits) -> Result<Self> {
        let mut object = Object::parse(&kernel_object::read(OBJECT)?)?;
        let features = aya::features().btf().context("this kernel has no BTF")?;
        let types = object
            .fixup_and_sanitize_btf(features)?
            .context("the object has no BTF")?
            .to_bytes();
        let types = load_types(&types).context("the kernel refuses the object's BTF")?;
        let sizes = HashMap::from(table_sizes(limits)?);
        let mut maps = HashMap::new();
        let mut definitions = HashMap::new();
        for (name, mut definition) in object.maps.drain() {
            // Nothing would fill it here, and what the verifier does could depend on it.
            ensure!(
                matches!(
                    definition.section_kind(),
                    EbpfSectionKind::Maps | EbpfSectionKind::BtfMaps
                ),
                "the object has global data, {name}: a program's cost may depend on it, so verify must \
                 learn to write it"
            );
            if let Some(entries) = sizes.get(name.as_str()) {
                definition.set_max_entries(*entries);
            }
            let map = MapData::create(definition.clone(), &name, Some(types.as_fd()))
                .with_context(|| format!("cannot make the map {name}"))?;
            maps.insert(name.clone(), map);
            definitions.insert(name, definition);
        }
        let sections = object.functions.keys().map(|(section, _)| *section);
        let sections = sections.collect();
        let descriptors = definitions.iter().filter_map(|(name, definition)| {
            let descriptor = maps.get(name)?.fd().as_fd().as_raw_fd();
            Some((name.as_str(), descriptor, definition))
        });
        object.relocate_maps(descriptors, &sections)?;
        object.relocate_calls(&sections)?;
        Ok(Self {
            object,
            types,
            _maps: maps,
        })
    }

    /// The program as it is loaded, its functions behind it.
    pub(super) fn instructions(&self, program: &str) -> Result<&[bpf_insn]> {
        Ok(&self.function(program)?.instructions)
    }

    /// Loads a program and lets go of it.
    pub(super) fn load(&self, name: &str) -> Result<Accepted> {
        /// `BPF_LOG_STATS` of `linux/bpf_verifier.h`.
        const STATISTICS: u32 = 4;
        const LOG_SIZE: usize = 1 << 16;

        let program = self.object.programs.get(name);
        let program = program.with_context(|| format!("the object has no program {name}"))?;
        let function = self.function(name)?;
        let (kind, flags) = match &program.section {
            // `BPF_F_XDP_HAS_FRAGS`
            ProgramSection::Xdp { frags, .. } => {
                (bpf_prog_type::BPF_PROG_TYPE_XDP, u32::from(*frags) << 5)
            }
            ProgramSection::SchedClassifier => (bpf_prog_type::BPF_PROG_TYPE_SCHED_CLS, 0),
            other => bail!("{name} is of an unexpected type, {other:?}"),
        };
        let mut log = vec![0_u8; LOG_SIZE];
        let functions = function.func_info.func_info_bytes();
        let lines = function.line_info.line_info_bytes();
        let attributes = ProgramAttributes {
            kind: kind as u32,
            instruction_count: count(function.instructions.len())?,
            instructions: address(function.instructions.as_ptr()),
            license: address(program.license.as_ptr()),
            log_level: STATISTICS,
            log_size: count(log.len())?,
            log: address(log.as_mut_ptr()),
            flags,
            // `BPF_XDP`, which aya says too; the other has none.
            attach_type: if kind == bpf_prog_type::BPF_PROG_TYPE_XDP {
                37
            } else {
                0
            },
            types: u32::try_from(self.types.as_raw_fd())?,
            function_info_size: count(function.func_info_rec_size)?,
            function_info: address(functions.as_ptr()),
            function_info_count: function.func_info.num_info,
            line_info_size: count(function.line_info_rec_size)?,
            line_info: address(lines.as_ptr()),
            line_info_count: count(lines.len() / function.line_info_rec_size.max(1))?,
            ..ProgramAttributes::default()
        };
        let begin = Instant::now();
        let loaded = call(bpf_cmd::BPF_PROG_LOAD, &attributes);
        let time = begin.elapsed();
        let text = CStr::from_bytes_until_nul(&log).map(CStr::to_string_lossy);
        let log = text.unwrap_or_default().into_owned();
        loaded.with_context(|| format!("the kernel refuses {name}: {log}"))?;
        Ok(Accepted { log, time })
    }

    fn function(&self, program: &str) -> Result<&Function> {
        let found = self.object.programs.get(program);
        found
            .and_then(|program| self.object.functions.get(&program.function_key()))
            .with_context(|| format!("the object has no program {program}"))
    }
}

/// The beginning of `union bpf_attr` for `BPF_PROG_LOAD`.
#[repr(C)]
#[derive(Default)]
struct ProgramAttributes {
    kind: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
    interface: u32,
    attach_type: u32,
    types: u32,
    function_info_size: u32,
    function_info: u64,
    function_info_count: u32,
    line_info_size: u32,
    line_info: u64,
    line_info_count: u32,
    attach_to: u32,
}

/// The beginning of `union bpf_attr` for `BPF_BTF_LOAD`.
#[repr(C)]
#[derive(Default)]
struct TypesAttributes {
    types: u64,
    log: u64,
    size: u32,
    log_size: u32,
    log_level: u32,
    reserved: u32,
}

fn load_types(types: &[u8]) -> io::Result<OwnedFd> {
    let attributes = TypesAttributes {
        types: address(types.as_ptr()),
        size: u32::try_from(types.len()).map_err(io::Error::other)?,
        ..TypesAttributes::default()
    };
    call(bpf_cmd::BPF_BTF_LOAD, &attributes)
}

/// A call of `bpf(2)` that yields a descriptor. What the attributes point at must live.
fn call<T>(command: bpf_cmd, attributes: &T) -> io::Result<OwnedFd> {
    // SAFETY: the kernel reads as many bytes of the attributes as it is told here; the addresses in
    // them are those of buffers that the callers hold, with their lengths.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command as libc::c_long,
            std::ptr::from_ref(attributes),
            size_of::<T>(),
        )
    };
    match i32::try_from(result) {
        // SAFETY: both commands yield a new descriptor, which is nobody else's.
        Ok(descriptor) if descriptor >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(descriptor) }),
        _ => Err(io::Error::last_os_error()),
    }
}

fn address<T>(pointer: *const T) -> u64 {
    pointer as u64
}

fn count(length: usize) -> Result<u32> {
    Ok(u32::try_from(length)?)
}
