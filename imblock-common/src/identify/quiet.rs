//! The gate in front of the flow table: whether a flow's cell alone says that nothing is to be told
//! of a packet.
//!
//! That is so for most packets there are. They cost a look at one cache line, and nothing that is
//! known of them is written down.

use crate::content::Reply;
use crate::flows::{self, Cell, Initiator};
use crate::layout::Control;
use crate::{Sighting, Tables, Transport};

/// What [`super::identify`] would tell of the packet, if that is no service and nothing would be
/// remembered of it either; else [`Reply::UNASKED`].
#[inline(always)]
pub fn told<T: Tables>(about: &Sighting, tables: T) -> Reply {
    let policy = about.policy();
    if !about.may_be_quiet() {
        return Reply::UNASKED;
    }
    let speaks = about.speaks();
    if speaks && about.asks_for_names() {
        return Reply::UNASKED;
    }
    let shape = tables.flow_shape();
    let hash = about.key.hash(shape.seed);
    let cell = flows::quiet(tables.flows(), hash, shape, about.direction(), speaks);
    if cell == Cell::NOBODYS {
        return Reply::UNASKED;
    }
    let remotes = policy.flags & Control::HAS_REMOTES != 0;
    if remotes && tables.may_be_remote(policy.half, &about.key.remote()) {
        return Reply::UNASKED;
    }
    let nobody_saw = cell.initiator() == Initiator::Unknown;
    if nobody_saw && about.key.transport() == Transport::Tcp {
        Reply::NOTHING.midstream()
    } else {
        Reply::NOTHING
    }
}
