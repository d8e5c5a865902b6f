//! What a program can address: its stack, the frame, the context, and the maps' values. Addresses are
//! made up; each says what it leads to, and whatever lies outside of it is an error.

use anyhow::{Context as _, Result, bail, ensure};

use super::maps::{Kind, Map};

/// Where the frame begins in its buffer, as in a test run.
const HEADROOM: usize = 256;
/// The buffer of a frame: a page, less what the kernel keeps at its end.
const BUFFER: usize = 4096 - 320;
/// What a program may not move the frame into at the buffer's beginning.
const RESERVED: usize = 40;
/// The shortest frame: an Ethernet header.
const ETHERNET: usize = 14;
/// Of one function. Eight may call one another.
pub(super) const FRAME: u64 = 512;
const STACK: u64 = FRAME * 9;

/// What an address leads to: it is said by the upper 16 bits, in numbers that no program has for other
/// reasons. Below them, 12 bits say which one, and 36 bits where in it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Area {
    Stack = 0x5a51,
    Frame,
    Context,
    /// A map itself; where its values are is added by the program.
    Handle,
    /// The values of an array, or of a per-CPU one the table of their addresses.
    Values,
    /// A CPU's values.
    PerCpu,
    /// The value of a hash or a trie, or a record of a ring.
    Buffer,
    /// An element of a hash; where its value is is added by the program.
    Entry,
    /// Variables of the kernel, one a CPU.
    KernelPerCpu,
}

const AREAS: [Area; 9] = [
    Area::Stack,
    Area::Frame,
    Area::Context,
    Area::Handle,
    Area::Values,
    Area::PerCpu,
    Area::Buffer,
    Area::Entry,
    Area::KernelPerCpu,
];

/// An address, taken apart.
#[derive(Clone, Copy)]
struct Place {
    area: Area,
    number: usize,
    at: usize,
}

const WHICH: u32 = 36;
const WHICH_MAX: usize = 1 << 12;
const AREA: u32 = 48;

fn address(area: Area, number: usize, at: u64) -> u64 {
    (area as u64) << AREA | (number as u64) << WHICH | at
}

fn place(address: u64) -> Option<Place> {
    let area = AREAS
        .into_iter()
        .find(|area| *area as u64 == address >> AREA)?;
    Some(Place {
        area,
        number: usize::try_from(address >> WHICH & (WHICH_MAX as u64 - 1)).ok()?,
        at: usize::try_from(address & ((1 << WHICH) - 1)).ok()?,
    })
}

/// Bytes that a function of the kernel has handed out.
struct Buffer {
    bytes: Vec<u8>,
    /// Not if it is the value of a hash or a trie: what is written there is not read again here.
    writable: bool,
}

/// Everything that can be addressed.
pub(super) struct Memory {
    stack: Vec<u8>,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    maps: Vec<Map>,
    buffers: Vec<Buffer>,
    cpu: usize,
}

impl Memory {
    pub(super) fn new(cpu: usize) -> Self {
        Self {
            stack: Vec::new(),
            buffer: Vec::new(),
            start: 0,
            end: 0,
            maps: Vec::new(),
            buffers: Vec::new(),
            cpu,
        }
    }

    /// Puts a frame in, and clears the stack.
    pub(super) fn receive(&mut self, frame: &[u8]) -> Result<()> {
        self.stack = vec![0; usize::try_from(STACK)?];
        self.buffer = vec![0; BUFFER];
        self.buffers.clear();
        self.start = HEADROOM;
        self.end = HEADROOM + frame.len();
        let room = self.buffer.get_mut(self.start..self.end);
        room.context("the frame is longer than a page has room for")?
            .copy_from_slice(frame);
        Ok(())
    }

    pub(super) fn context() -> u64 {
        address(Area::Context, 0, 0)
    }

    /// Behind the last byte of the first function's stack.
    pub(super) fn stack_top() -> u64 {
        address(Area::Stack, 0, STACK)
    }

    /// The map of that number, as a program names it.
    pub(super) fn handle(&mut self, id: u32) -> Result<u64> {
        let known = self.maps.iter().position(|map| map.id() == id);
        let number = match known {
            Some(number) => number,
            None => {
                self.maps.push(Map::open(id, self.cpu)?);
                self.maps.len() - 1
            }
        };
        Ok(address(Area::Handle, number, 0))
    }

    /// The address of a value in the first element of a map.
    pub(super) fn value_of(&mut self, id: u32, at: i32) -> Result<u64> {
        let handle = self.handle(id)?;
        let at = i64::from(at);
        Ok(Self::values_of(handle)
            .context("a map without values")?
            .wrapping_add_signed(at))
    }

    /// Where the values are of what a handle is for. A program adds their distance within the kernel's
    /// structure to the handle; what the distance is does not matter here.
    pub(super) fn values_of(handle: u64) -> Option<u64> {
        let place = place(handle)?;
        match (place.area, place.at) {
            (Area::Handle, 0) => Some(address(Area::Values, place.number, 0)),
            (Area::Entry, 0) => Some(address(Area::Buffer, place.number, 0)),
            _ => None,
        }
    }

    /// The map that a handle is for.
    pub(super) fn map(&mut self, handle: u64) -> Result<&mut Map> {
        let place = place(handle).filter(|place| place.area == Area::Handle && place.at == 0);
        let number = place.context("no map, where one should be")?.number;
        self.maps.get_mut(number).context("a map that is not open")
    }

    /// The address that belongs to this CPU.
    pub(super) fn per_cpu(word: u64) -> u64 {
        match place(word) {
            Some(place) if place.area == Area::PerCpu => word,
            _ => address(Area::KernelPerCpu, 0, 0),
        }
    }

    /// Keeps the value of a hash or a trie; its address.
    pub(super) fn keep_value(&mut self, value: Vec<u8>) -> Result<u64> {
        self.keep(Area::Buffer, value, false)
    }

    /// The same for the element of a hash, to which the program adds where the value is.
    pub(super) fn keep_entry(&mut self, value: Vec<u8>) -> Result<u64> {
        self.keep(Area::Entry, value, false)
    }

    /// Makes an empty record of a ring; its address.
    pub(super) fn keep_record(&mut self, size: usize) -> Result<u64> {
        self.keep(Area::Buffer, vec![0; size], true)
    }

    fn keep(&mut self, area: Area, bytes: Vec<u8>, writable: bool) -> Result<u64> {
        let number = self.buffers.len();
        ensure!(number < WHICH_MAX, "too many values are looked up");
        self.buffers.push(Buffer { bytes, writable });
        Ok(address(area, number, 0))
    }

    pub(super) fn read(&mut self, address: u64, size: usize) -> Result<u64> {
        if let Some(place) = place(address)
            && let Some(word) = self.made_up(place, size)?
        {
            return Ok(word);
        }
        let bytes = self.bytes(address, size, false)?;
        let mut word = [0; 8];
        let part = if cfg!(target_endian = "little") {
            word.get_mut(..size)
        } else {
            word.get_mut(8 - size..)
        };
        part.context("more than a word")?.copy_from_slice(bytes);
        Ok(u64::from_ne_bytes(word))
    }

    pub(super) fn write(&mut self, address: u64, size: usize, word: u64) -> Result<()> {
        let word = word.to_ne_bytes();
        let part = if cfg!(target_endian = "little") {
            word.get(..size)
        } else {
            word.get(8 - size..)
        };
        let part = part.context("more than a word")?;
        self.bytes(address, size, true)?.copy_from_slice(part);
        Ok(())
    }

    /// Words that are addresses here, or what the kernel has of its own.
    fn made_up(&self, place: Place, size: usize) -> Result<Option<u64>> {
        match (place.area, place.at, size) {
            // `data` and `data_end` of `struct xdp_buff`.
            (Area::Context, 0, 8) => Ok(Some(address(Area::Frame, 0, self.start as u64))),
            (Area::Context, 8, 8) => Ok(Some(address(Area::Frame, 0, self.end as u64))),
            // The only word of four bytes that the verifier reads by itself.
            (Area::KernelPerCpu, 0, 4) => Ok(Some(self.cpu as u64)),
            (Area::Values, at, 8) => {
                let map = self.maps.get(place.number).context("an unknown map")?;
                if map.kind != Kind::PerCpuArray {
                    return Ok(None);
                }
                ensure!(at % 8 == 0, "half an address is read");
                let value = (at / 8 * map.stride()) as u64;
                Ok(Some(address(Area::PerCpu, place.number, value)))
            }
            _ => Ok(None),
        }
    }

    /// Bytes at an address.
    pub(super) fn bytes(
        &mut self,
        address: u64,
        length: usize,
        writing: bool,
    ) -> Result<&mut [u8]> {
        let Some(Place { area, number, at }) = place(address) else {
            bail!("memory of the kernel at {address:#x}, which is not known here");
        };
        let end = at.saturating_add(length);
        let found = match area {
            Area::Stack => self.stack.get_mut(at..end),
            Area::Frame if at >= self.start && end <= self.end => self.buffer.get_mut(at..end),
            Area::Buffer => {
                let buffer = self.buffers.get_mut(number).context("an unknown value")?;
                ensure!(
                    buffer.writable || !writing,
                    "a value is written to that was looked up"
                );
                buffer.bytes.get_mut(at..end)
            }
            Area::Values | Area::PerCpu => {
                let map = self.maps.get_mut(number).context("an unknown map")?;
                let direct = (area == Area::Values) == (map.kind == Kind::Array);
                ensure!(direct, "map {} is not read in this way", map.id());
                let element = u32::try_from(at / map.stride())?;
                return map.bytes(element, at % map.stride(), length, writing);
            }
            _ => None,
        };
        found.with_context(|| format!("{length} bytes outside of what {address:#x} leads to"))
    }

    /// How long the frame is.
    pub(super) fn frame_length(&self) -> usize {
        self.end - self.start
    }

    /// Bytes of the frame; `None` if it is too short.
    pub(super) fn frame(&mut self, at: usize, length: usize) -> Option<&mut [u8]> {
        let first = self.start.checked_add(at)?;
        let end = first.checked_add(length)?;
        (end <= self.end).then(|| self.buffer.get_mut(first..end))?
    }

    /// Moves the frame's beginning; `false` if the kernel would not.
    pub(super) fn adjust_head(&mut self, by: i64) -> bool {
        let start = i64::try_from(self.start).unwrap_or(0).saturating_add(by);
        match usize::try_from(start) {
            Ok(start) if start >= RESERVED && start + ETHERNET <= self.end => {
                self.start = start;
                true
            }
            _ => false,
        }
    }

    /// Moves the frame's end; `false` if the kernel would not. New bytes are zeros.
    pub(super) fn adjust_tail(&mut self, by: i64) -> bool {
        let end = i64::try_from(self.end).unwrap_or(0).saturating_add(by);
        match usize::try_from(end) {
            Ok(end) if end <= BUFFER && end >= self.start + ETHERNET => {
                if let Some(new) = self.buffer.get_mut(self.end..end) {
                    new.fill(0);
                }
                self.end = end;
                true
            }
            _ => false,
        }
    }

    /// Takes everything back that was written to maps, here and in the kernel.
    pub(super) fn restore(&mut self) -> Result<()> {
        self.maps.iter_mut().try_for_each(Map::restore)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn with_frame() -> (Memory, u64, u64) {
        let mut memory = Memory::new(0);
        let frame: Vec<u8> = (0..60).collect();
        memory.receive(&frame).unwrap();
        let start = memory.read(Memory::context(), 8).unwrap();
        let end = memory.read(Memory::context() + 8, 8).unwrap();
        (memory, start, end)
    }

    #[test]
    fn the_context_leads_to_the_frame() {
        let (mut memory, start, end) = with_frame();
        assert_eq!(end - start, 60);
        assert_eq!(memory.read(start + 2, 1).unwrap(), 2);
        let expected = u64::from(u16::from_ne_bytes([58, 59]));
        assert_eq!(memory.read(end - 2, 2).unwrap(), expected);
    }

    #[test]
    fn nothing_is_read_outside() {
        let (mut memory, start, end) = with_frame();
        for outside in [end - 3, start - 1, end, 0, u64::MAX - 8] {
            assert!(memory.read(outside, 4).is_err(), "{outside:#x}");
        }
        assert!(memory.read(Memory::stack_top(), 1).is_err());
        assert!(memory.read(Memory::context() + 16, 8).is_err());
        assert!(memory.write(Memory::context(), 8, 0).is_err());
    }

    #[test]
    fn a_word_on_the_stack_keeps_its_halves() {
        let (mut memory, ..) = with_frame();
        let at = Memory::stack_top() - 8;
        memory.write(at, 8, 0x0102_0304_0506_0708).unwrap();
        memory.write(at, 2, 0xffff_0000).unwrap();
        let word = 0x0102_0304_0506_0708_u64.to_ne_bytes();
        let expected = [0, 0].iter().chain(&word[2..]).copied().collect::<Vec<_>>();
        assert_eq!(memory.bytes(at, 8, false).unwrap(), expected);
    }

    #[test]
    fn a_frame_grows_into_its_page_and_no_further() {
        let (mut memory, ..) = with_frame();
        assert!(memory.adjust_tail(4));
        assert_eq!(memory.frame(58, 6).unwrap(), [58, 59, 0, 0, 0, 0]);
        assert!(!memory.adjust_tail(4096));
        assert!(!memory.adjust_tail(-60));
        assert!(memory.adjust_head(-4));
        assert!(!memory.adjust_head(-256));
        assert_eq!(memory.frame_length(), 68);
        assert!(memory.frame(67, 2).is_none());
    }
}
