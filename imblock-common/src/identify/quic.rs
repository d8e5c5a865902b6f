//! QUIC: what becomes of a client's first datagrams. The name in them is encrypted, so the controller
//! is asked, and writes the answer into the flow's entry.

use crate::flows::{self, NOWHERE};
use crate::layout::Control;
use crate::parse::quic::is_initial;
use crate::{Packet, Sighting, Tables};

/// Hands an Initial packet to the controller, if the policy wants that; or says that it is to be
/// refused. The flow must have been written down before, lest that undo what the controller says.
#[inline(always)]
pub fn refuses<P: Packet, T: Tables>(packet: P, about: &Sighting, tables: T) -> bool {
    if !is_initial(packet, about.payload()) {
        return false;
    }
    if about.policy().flags & Control::BLOCKS_QUIC != 0 {
        forget_payload(about, tables);
        return true;
    }
    let entry = attend(about, tables);
    // No entry, no way back: the flow table is full of flows that were told.
    if entry != NOWHERE {
        packet.hand_over(about, entry, tables);
    }
    false
}

/// What is refused does not make a flow older: a client that asks again and again is refused each time.
#[inline(always)]
fn forget_payload<T: Tables>(about: &Sighting, tables: T) {
    let shape = tables.flow_shape();
    let slots = tables.flows();
    let found = flows::find(slots, about.key.hash(shape.seed), shape);
    if found.number != NOWHERE {
        let cell = found.cell.without_payload(about.direction());
        flows::store(slots, found.number, cell);
    }
}

/// Number of the flow's entry, to which the controller may write; [`NOWHERE`] for none.
#[inline(always)]
fn attend<T: Tables>(about: &Sighting, tables: T) -> u32 {
    let shape = tables.flow_shape();
    let slots = tables.flows();
    let found = flows::find(slots, about.key.hash(shape.seed), shape);
    if found.number != NOWHERE {
        let is_held = found.cell.is_held();
        flows::attend(slots, shape, found.number, &about.key, is_held);
        if !is_held {
            flows::store(slots, found.number, found.cell.held());
        }
        return shape.entry(found.number);
    }
    NOWHERE
}
