//! What the reader of QUIC handshakes takes out and writes down, as the controller does in the maps.

use imblock_common::Tables;
use imblock_common::flows::{self, FlowKey, FlowState};
use imblock_common::layout::NameKey;

use super::{HALF, HandedOver, MemoryTables};

impl MemoryTables {
    /// The beginnings of QUIC connections that were handed over since this was asked last.
    pub fn take_handed_over(&self) -> Vec<HandedOver> {
        self.handed_over.take()
    }

    /// The service of a name of a kind ([`NameKey::HOST`], [`NameKey::ALPN`]); 0 for none.
    pub fn service_of_name(&self, kind: u8, name: &str) -> u16 {
        Tables::name(self, &NameKey::of_name(HALF, kind, name))
    }

    /// Writes down what a flow is, unless its entry is another flow's by now, or settled. Whether it
    /// is written.
    pub fn settle(&self, flow: &FlowKey, entry: u32, state: FlowState) -> bool {
        let settled = flows::Slots::entry(self, entry, |entry| {
            let open = entry.key == *flow && !FlowState(entry.state).is_settled();
            if open {
                entry.state = state.0;
            }
            open
        });
        settled.unwrap_or(false)
    }
}
