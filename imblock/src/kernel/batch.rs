//! Many entries of a trie in one call. One by one, a policy of 100,000 names takes most of its time
//! to get in and out of the kernel.
//!
//! aya has no batches, so this is `bpf(2)` itself. Tries have had them since kernel 5.13.

use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd};

use aya::maps::{IterableMap as _, LpmTrie, MapData, MapError};
use aya::sys::SyscallError;
use bytemuck::{Pod, Zeroable};
use rustix::io::Errno;

use super::wire::Wire;

/// Entries a call: enough that the call itself costs nothing, few enough for the kernel to copy.
const CHUNK: usize = 4096;

/// A key as the kernel has it: how many bits of the data count, then the data.
#[repr(C, packed)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Pod, Zeroable)]
pub(super) struct TrieKey<K> {
    pub(super) bits: u32,
    pub(super) data: K,
}

/// A trie, for work on many entries.
pub(super) struct Batches<'a, K, V> {
    trie: BorrowedFd<'a>,
    types: PhantomData<(K, V)>,
}

impl<'a, K: Pod, V: Pod> Batches<'a, K, V> {
    pub(super) fn of(trie: &'a LpmTrie<MapData, Wire<K>, Wire<V>>) -> Self {
        Self {
            trie: trie.map().fd().as_fd(),
            types: PhantomData,
        }
    }

    /// Shows every entry, in an order of the kernel's choice. While somebody else removes entries,
    /// some may be shown twice, or not at all.
    pub(super) fn read(&self, mut visit: impl FnMut(TrieKey<K>, V)) -> Result<(), MapError> {
        let mut keys = vec![TrieKey::<K>::zeroed(); CHUNK];
        let mut values = vec![V::zeroed(); CHUNK];
        // Where the kernel goes on.
        let mut place = TrieKey::<K>::zeroed();
        let mut next = TrieKey::<K>::zeroed();
        let mut first = true;
        loop {
            let mut batch = Batch {
                from: if first { 0 } else { address(&place) },
                to: address_mut(&mut next),
                keys: keys.as_mut_ptr() as u64,
                values: values.as_mut_ptr() as u64,
                ..self.batch(CHUNK)
            };
            let result = call(LOOKUP_BATCH, &mut batch);
            let count = usize::try_from(batch.count).unwrap_or(0);
            let is_last = match result {
                Ok(()) => false,
                // The last entries come with this error.
                Err(Errno::NOENT) => true,
                // An entry went away between its key and its value, again and again.
                Err(Errno::INTR) if count > 0 => false,
                Err(error) => return Err(refused(error)),
            };
            for (key, value) in keys.iter().zip(&values).take(count) {
                visit(*key, *value);
            }
            if is_last {
                return Ok(());
            }
            (place, first) = (next, false);
        }
    }

    /// Writes entries, over those that are there. On an error some may have been written.
    pub(super) fn write(&self, entries: &[(TrieKey<K>, V)]) -> Result<(), MapError> {
        for chunk in entries.chunks(CHUNK) {
            let mut keys: Vec<_> = chunk.iter().map(|(key, _)| *key).collect();
            let mut values: Vec<_> = chunk.iter().map(|(_, value)| *value).collect();
            let mut batch = Batch {
                keys: keys.as_mut_ptr() as u64,
                values: values.as_mut_ptr() as u64,
                ..self.batch(chunk.len())
            };
            call(UPDATE_BATCH, &mut batch).map_err(refused)?;
        }
        Ok(())
    }

    /// Removes entries that are there.
    pub(super) fn remove(&self, keys: &[TrieKey<K>]) -> Result<(), MapError> {
        for chunk in keys.chunks(CHUNK) {
            let mut keys = chunk.to_vec();
            let mut batch = Batch {
                keys: keys.as_mut_ptr() as u64,
                ..self.batch(chunk.len())
            };
            call(DELETE_BATCH, &mut batch).map_err(refused)?;
        }
        Ok(())
    }

    fn batch(&self, count: usize) -> Batch {
        Batch {
            count: u32::try_from(count).unwrap_or(0),
            map: self.trie.as_raw_fd().unsigned_abs(),
            ..Batch::default()
        }
    }
}

/// Of `enum bpf_cmd` in `linux/bpf.h`.
const LOOKUP_BATCH: libc::c_long = 24;
/// See [`LOOKUP_BATCH`].
const UPDATE_BATCH: libc::c_long = 26;
/// See [`LOOKUP_BATCH`].
const DELETE_BATCH: libc::c_long = 27;

/// `union bpf_attr` for the commands on batches.
#[repr(C)]
#[derive(Default)]
struct Batch {
    /// A key, or nothing for the beginning.
    from: u64,
    /// Where the key goes at which to go on.
    to: u64,
    keys: u64,
    values: u64,
    /// How many there is room for; afterwards, how many it was.
    count: u32,
    map: u32,
    entry_flags: u64,
    flags: u64,
}

fn address<T>(of: &T) -> u64 {
    std::ptr::from_ref(of) as u64
}

fn address_mut<T>(of: &mut T) -> u64 {
    std::ptr::from_mut(of) as u64
}

fn refused(error: Errno) -> MapError {
    MapError::SyscallError(SyscallError {
        call: "bpf on a batch",
        io_error: error.into(),
    })
}

fn call(command: libc::c_long, batch: &mut Batch) -> Result<(), Errno> {
    // SAFETY: the addresses in it are those of buffers that the callers hold, each with room for as
    // many keys or values of the map's sizes as it says; the kernel writes nowhere else.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_mut(batch),
            size_of::<Batch>(),
        )
    };
    match result {
        0 => Ok(()),
        _ => Err(Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO)),
    }
}
