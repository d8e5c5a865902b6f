//! One program, loaded with the verifier's log. aya, which loads everywhere else, asks for a log only
//! when a program is refused, so here its objects are loaded by [`crate::bpf`].

use std::collections::HashMap;
use std::ffi::CStr;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use aya::maps::MapData;
use aya_obj::generated::{BPF_F_XDP_HAS_FRAGS, bpf_attach_type, bpf_insn, bpf_prog_type};
use aya_obj::{EbpfSectionKind, Function, Object, ProgramSection};
use imblock::kernel::table_sizes;
use imblock::policy::plan::Limits;

use crate::bpf::{self, Loadable, Records};
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
        let types = bpf::load_types(&types).context("the kernel refuses the object's BTF")?;
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
        const LOG_SIZE: usize = 1 << 16;

        let program = self.object.programs.get(name);
        let program = program.with_context(|| format!("the object has no program {name}"))?;
        let function = self.function(name)?;
        let (kind, attach_type, flags) = match &program.section {
            ProgramSection::Xdp { frags, .. } => (
                bpf_prog_type::BPF_PROG_TYPE_XDP,
                Some(bpf_attach_type::BPF_XDP),
                if *frags { BPF_F_XDP_HAS_FRAGS } else { 0 },
            ),
            ProgramSection::SchedClassifier => (bpf_prog_type::BPF_PROG_TYPE_SCHED_CLS, None, 0),
            other => bail!("{name} is of an unexpected type, {other:?}"),
        };
        let loadable = Loadable {
            kind,
            attach_type,
            flags,
            instructions: &function.instructions,
            license: &program.license,
            types: &self.types,
            functions: Records {
                bytes: &function.func_info.func_info_bytes(),
                size: function.func_info_rec_size,
            },
            lines: Records {
                bytes: &function.line_info.line_info_bytes(),
                size: function.line_info_rec_size,
            },
        };
        let mut log = vec![0_u8; LOG_SIZE];
        let begin = Instant::now();
        let loaded = bpf::load(&loadable, &mut log);
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
