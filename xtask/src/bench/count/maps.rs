//! The maps that a program names: what they hold in the kernel, and what the interpreted program has
//! written since, which is its own.

use std::collections::HashMap;

use anyhow::{Context as _, Result, bail, ensure};
use aya::maps::{MapInfo, MapType};

use crate::bpf::Elements;

/// How a map is reached.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// By address.
    Array,
    /// By address, that of each CPU's values being in a table.
    PerCpuArray,
    /// By the kernel's functions.
    Keyed,
    Programs,
    Ring,
}

/// One map.
pub(super) struct Map {
    about: MapInfo,
    elements: Elements,
    pub(super) kind: Kind,
    cpu: usize,
    /// Elements of an array as they were when first asked for.
    found: HashMap<u32, Vec<u8>>,
    /// Those that have been written to.
    written: HashMap<u32, Vec<u8>>,
}

impl Map {
    /// Opens a map by its number. Of a per-CPU one, that CPU's values are seen.
    pub(super) fn open(id: u32, cpu: usize) -> Result<Self> {
        let about = MapInfo::from_id(id).with_context(|| format!("cannot open map {id}"))?;
        let kind = match about.map_type()? {
            MapType::Array => Kind::Array,
            MapType::PerCpuArray => Kind::PerCpuArray,
            MapType::Hash | MapType::LpmTrie => Kind::Keyed,
            MapType::ProgramArray => Kind::Programs,
            MapType::RingBuf => Kind::Ring,
            other => bail!("map {id} is of kind {other:?}, which is not interpreted"),
        };
        Ok(Self {
            elements: Elements::of(&about)?,
            about,
            kind,
            cpu,
            found: HashMap::new(),
            written: HashMap::new(),
        })
    }

    pub(super) fn id(&self) -> u32 {
        self.about.id()
    }

    pub(super) fn key_size(&self) -> usize {
        usize::try_from(self.about.key_size()).unwrap_or(usize::MAX)
    }

    fn value_size(&self) -> usize {
        usize::try_from(self.about.value_size()).unwrap_or(usize::MAX)
    }

    /// Bytes from one value to the next.
    pub(super) fn stride(&self) -> usize {
        self.value_size().next_multiple_of(8)
    }

    /// The value of a key of a hash or a trie. Programs do not write to them.
    pub(super) fn lookup(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        ensure!(
            self.kind == Kind::Keyed,
            "map {} is looked up by key",
            self.id()
        );
        self.elements.read(key)
    }

    /// The number of the program in a slot.
    pub(super) fn program(&self, slot: u32) -> Result<Option<u32>> {
        ensure!(
            self.kind == Kind::Programs,
            "a tail call through map {}",
            self.id()
        );
        let found = self.elements.read(&slot.to_ne_bytes())?;
        let number = found.and_then(|value| value.first_chunk().copied());
        Ok(number.map(u32::from_ne_bytes))
    }

    /// Some bytes of an element of an array.
    pub(super) fn bytes(
        &mut self,
        element: u32,
        at: usize,
        length: usize,
        writing: bool,
    ) -> Result<&mut [u8]> {
        if !self.found.contains_key(&element) {
            let value = self.read(element)?;
            self.found.insert(element, value);
        }
        let found = self.found.get_mut(&element).context("just read")?;
        let value = if writing {
            self.written.entry(element).or_insert_with(|| found.clone())
        } else {
            self.written.get_mut(&element).unwrap_or(found)
        };
        let end = at.saturating_add(length);
        value.get_mut(at..end).with_context(|| {
            format!(
                "{length} bytes at {at} of element {element} of map {}",
                self.about.id()
            )
        })
    }

    /// An element as the kernel has it.
    fn read(&self, element: u32) -> Result<Vec<u8>> {
        let skip = match self.kind {
            Kind::Array => 0,
            Kind::PerCpuArray => self.stride() * self.cpu,
            _ => bail!("map {} is read by address", self.id()),
        };
        let value = self.elements.read(&element.to_ne_bytes())?;
        let mut value = value
            .with_context(|| format!("no element {element} in map {}, which is read", self.id()))?;
        value.drain(..skip);
        value.truncate(self.value_size());
        Ok(value)
    }

    /// Forgets what has been written, and has the kernel forget it, too: its program has written to the
    /// same elements. What each CPU has of its own is counters, and stays.
    pub(super) fn restore(&mut self) -> Result<()> {
        let written = std::mem::take(&mut self.written);
        if self.kind != Kind::Array {
            return Ok(());
        }
        for element in written.keys() {
            let value = self.found.get(element).context("written but not read")?;
            self.elements.write(&element.to_ne_bytes(), value)?;
        }
        Ok(())
    }
}
