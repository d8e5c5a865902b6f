//! The controller's side of QUIC: the ring of handshakes that the programs fill, and the flow table,
//! to which the answers are written.
//!
//! Invariant: an answer is written to an entry only while that is the flow's and nothing better is
//! known. Nobody waits for it: without a controller the ring runs full, and the programs count what
//! they can't hand over.

use std::io;
use std::os::fd::{AsRawFd, RawFd};

use aya::maps::lpm_trie::Key;
use aya::maps::{Map, MapData, MapError, RingBuf};
use imblock_common::flows::{FlowKey, FlowState};
use imblock_common::layout::{Half, InitialFate, InitialRecord, NameKey, maps};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::KernelError;
use super::mapped::MappedFlows;
use super::maps::{Maps, max_entries};
use super::wire::Wire;
use crate::quic::HandedOver;
use crate::snapshot::InitialCounts;

/// What the programs hand over, and the way back. Readable (as a file descriptor) when there is
/// something.
pub struct Handshakes {
    ring: RingBuf<MapData>,
    flows: MappedFlows,
}

impl Maps {
    /// The handshakes; for one reader. `None` if somebody has them already.
    pub fn take_handshakes(&mut self) -> Result<Option<Handshakes>, KernelError> {
        let Some(initials) = self.initials.take() else {
            return Ok(None);
        };
        let ring = RingBuf::try_from(initials).map_err(KernelError::map(
            maps::INITIALS,
            "open it as what the layout says",
        ))?;
        let entries = max_entries(maps::FLOWS, &self.flows)?;
        let Map::Array(data) = &self.flows else {
            return Err(KernelError::Missing(maps::FLOWS));
        };
        let flows = MappedFlows::map(data.fd(), usize::try_from(entries).unwrap_or(usize::MAX))
            .map_err(|source| KernelError::MapMemory { source })?;
        Ok(Some(Handshakes { ring, flows }))
    }

    /// The service of a name of a kind ([`NameKey::HOST`], [`NameKey::ALPN`]) in the live policy; 0
    /// for none.
    pub fn service_of_name(&self, kind: u8, name: &str) -> Result<u16, KernelError> {
        let half = Half::of_generation(self.control()?.generation);
        let key = NameKey::of_name(half, kind, name);
        let key = Key::new(NameKey::FULL_BITS, Wire(key));
        match self.names.get(&key, 0) {
            Ok(service) => Ok(u16::try_from(service.0).unwrap_or(0)),
            Err(MapError::KeyNotFound) => Ok(0),
            Err(error) => Err(KernelError::map(maps::NAMES, "look a name up")(error)),
        }
    }

    pub(super) fn initial_counts(&self) -> Result<InitialCounts, KernelError> {
        let [handed_over, lost] = InitialFate::ALL.map(|fate| {
            let counts = self.initial_counts.get(&(fate as u32), 0);
            counts.map(|cpus| cpus.iter().fold(0, |sum: u64, cpu| sum.wrapping_add(*cpu)))
        });
        let read = KernelError::map(maps::INITIAL_COUNTS, "read the counters of QUIC");
        Ok(InitialCounts {
            handed_over: handed_over.map_err(&read)?,
            lost: lost.map_err(&read)?,
        })
    }
}

impl Handshakes {
    /// The oldest datagram that nobody has read yet.
    #[expect(clippy::should_implement_trait, reason = "it goes on after a `None`")]
    pub fn next(&mut self) -> Option<HandedOver> {
        loop {
            let item = self.ring.next()?;
            // The programs write nothing else.
            let Ok(record) = bytemuck::try_pod_read_unaligned::<InitialRecord>(&item) else {
                continue;
            };
            let length = usize::try_from(record.length).unwrap_or(usize::MAX);
            return Some(HandedOver {
                flow: record.flow,
                entry: record.entry,
                datagram: record.datagram.get(..length)?.to_vec(),
            });
        }
    }

    /// The same, to be waited for: readable when a datagram is there. In a runtime of tokio.
    #[expect(unsafe_code, reason = "a promise that the descriptor stays open")]
    pub fn watched(self) -> io::Result<AsyncFd<Self>> {
        // SAFETY: `as_raw_fd` is always the map's descriptor, which is open for as long as the ring
        // lives, and nobody takes the ring out.
        let watched = unsafe { AsyncFd::register_with_interest(self, Interest::READABLE) };
        Ok(watched?)
    }

    /// Writes down what a flow is: its next packet is judged by that. Whether it is written, and not
    /// too late.
    pub fn settle(&self, flow: &FlowKey, entry: u32, state: FlowState) -> bool {
        self.flows.settle(flow, entry, state)
    }
}

impl AsRawFd for Handshakes {
    fn as_raw_fd(&self) -> RawFd {
        self.ring.as_raw_fd()
    }
}
