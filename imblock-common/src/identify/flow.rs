//! The flow: what its earlier packets told, and the first payloads of a young one.

use super::{Question, port, prefix};
use crate::content::{Answer, Reply, Scene, Sender};
use crate::flows::{self, Cell, Claim, EARLY, FlowState, Initiator, NOWHERE, Shape, Slots as _};
use crate::layout::Control;
use crate::stream::Piece;
use crate::tables::LivePolicy;
use crate::{Direction, Evidence, Packet, Sighting, Tables, Transport};

/// What the flow's earlier packets, this one's payload, or else port and address tell.
#[inline(always)]
pub(super) fn identify<P: Packet, T: Tables>(packet: P, about: &Sighting, tables: T) -> Reply {
    let known = tables.flow_step(about, Reply::UNASKED);
    if !known.is(Answer::Look) {
        return known;
    }
    let policy = about.policy();
    let scene = Scene {
        payload: about.payload(),
        local_port: about.key.local_port(),
        remote_port: about.key.remote_port(),
        transport: about.key.transport(),
        direction: about.direction(),
        sender: known.sender(),
        first: known.is_first(),
        within: known.service(),
        half: policy.half,
    };
    let mut reply = Reply::NOTHING;
    if !known.is_gathering() || scene.direction == Direction::Received {
        reply = content(packet, &scene, policy, tables);
    }
    let begins = reply.is(Answer::More);
    if begins || known.is_gathering() && scene.direction == Direction::Sent {
        let piece = Piece {
            scene,
            flow: about.key.hash(tables.flow_shape().seed),
            sequence: about.sequence(),
            begins,
        };
        reply = packet.gather(&piece, tables);
    }
    tables.flow_step(about, reply)
}

/// Brings the flow table up to date with a packet, and says what is known of it. `reply` is what the
/// payload told, or [`Reply::UNASKED`]; then the answer may be [`Answer::Look`], and the step is
/// taken again when the payload was asked.
#[inline(always)]
pub fn step<T: Tables>(about: &Sighting, reply: Reply, tables: T) -> Reply {
    let shape = tables.flow_shape();
    let hash = about.key.hash(shape.seed);
    let found = flows::find(tables.flows(), hash, shape);
    let is_fresh = found.number == NOWHERE || about.begins() || found.cell.is_stale(shape);
    let track = if is_fresh {
        Track::fresh(about, found.number, hash, shape)
    } else {
        Track {
            number: found.number,
            cell: found.cell,
            stored: found.cell,
        }
    };
    let state = if track.cell.is_held() {
        flows::state(tables.flows(), track.number, &about.key)
    } else {
        FlowState::WATCHED
    };
    let direction = about.direction();
    let count = track.cell.payloads(direction);
    let is_young = count < EARLY;
    if reply.is(Answer::Look)
        && about.speaks()
        && !state.is_settled()
        && (is_young || about.asks_for_names())
    {
        let sender = sender(track.cell.initiator(), direction);
        return Reply::look(
            state.service(),
            sender,
            count == 0,
            track.cell.is_gathering(),
        );
    }
    let told = if reply.names_service() {
        reply
    } else if reply.is(Answer::Other) || state.is_other() {
        port::finding(about.remote_port())
    } else if state.service() != 0 {
        state.reply()
    } else {
        weak(about, track.cell.initiator(), tables)
    };
    let learned = learned(about, reply, told, state, tables);
    track.write_down(about, reply, learned, is_young, hash, shape, tables);
    if is_young && about.remote_port().is_contested() && told.evidence_is(Evidence::Port) {
        // Several services share the port: what is said first decides.
        told.likely()
    } else {
        told
    }
}

/// What port and address tell, when nothing better does. The service is the one that is called:
/// of a flow that the remote end began, neither its port nor its address tells anything.
#[inline(always)]
fn weak<T: Tables>(about: &Sighting, initiator: Initiator, tables: T) -> Reply {
    if initiator == Initiator::Remote {
        return Reply::NOTHING;
    }
    let by_port = port::finding(about.remote_port());
    if by_port.is_nothing() {
        prefix::finding(&about.key.remote(), about.policy(), tables)
    } else {
        by_port
    }
}

/// Asks a payload what it is, the cheapest question first.
#[inline(always)]
fn content<P: Packet, T: Tables>(packet: P, scene: &Scene, policy: LivePolicy, tables: T) -> Reply {
    if policy.flags & Control::HAS_NAMES != 0 && scene.direction == Direction::Sent {
        packet.ask(Question::Name, scene, tables)
    } else {
        Reply::NOTHING
    }
}

/// Which end of the flow sends in a direction.
#[inline(always)]
const fn sender(initiator: Initiator, direction: Direction) -> Sender {
    match (initiator, direction) {
        (Initiator::Unknown, _) => Sender::Unknown,
        (Initiator::Local, Direction::Sent) | (Initiator::Remote, Direction::Received) => {
            Sender::Client
        }
        (Initiator::Local, Direction::Received) | (Initiator::Remote, Direction::Sent) => {
            Sender::Server
        }
    }
}

/// What is to be remembered of the flow; all zero for nothing new.
#[inline(always)]
fn learned<T: Tables>(
    about: &Sighting,
    reply: Reply,
    told: Reply,
    state: FlowState,
    tables: T,
) -> FlowState {
    if reply.is(Answer::Flow) && reply.is_certain() {
        FlowState::told(reply)
    } else if reply.is(Answer::Flow) || reply.is(Answer::Meanwhile) {
        FlowState::told(reply).weak()
    } else if reply.is(Answer::Other) {
        // Worth a place only where there is something to contradict.
        let by_prefix = prefix::finding(&about.key.remote(), about.policy(), tables);
        if state.service() != 0 || by_prefix.names_service() {
            FlowState::other(reply.evidence())
        } else {
            FlowState::WATCHED
        }
    } else if about.speaks() && state.service() == 0 && told.evidence_is(Evidence::Prefix) {
        // So that the address is looked up once.
        FlowState::told(told).weak()
    } else {
        FlowState::WATCHED
    }
}

/// A flow's place in the table, and how its cell stands there.
#[derive(Clone, Copy)]
struct Track {
    /// Number of the cell, or [`NOWHERE`].
    number: u32,
    /// The flow's cell as it is before this packet.
    cell: Cell,
    /// The cell as it stands in the table.
    stored: Cell,
}

impl Track {
    /// Of a flow that is seen for the first time, or after long silence, or that begins anew.
    #[inline(always)]
    const fn fresh(about: &Sighting, number: u32, hash: u64, shape: Shape) -> Self {
        let initiator = match (about.key.transport(), about.direction()) {
            (Transport::Tcp, Direction::Sent) if about.begins() => Initiator::Local,
            (Transport::Tcp, Direction::Received) if about.begins() => Initiator::Remote,
            // Of what is received first, it may be that what was sent went another way.
            (Transport::Udp, Direction::Sent) => Initiator::Local,
            _ => Initiator::Unknown,
        };
        Self {
            number,
            cell: Cell::new(hash, initiator, shape.now),
            stored: Cell(0),
        }
    }

    /// Brings the table up to date: once a packet, and only where something changed.
    #[inline(always)]
    fn write_down<T: Tables>(
        self,
        about: &Sighting,
        reply: Reply,
        learned: FlowState,
        is_young: bool,
        hash: u64,
        shape: Shape,
        tables: T,
    ) {
        let slots = tables.flows();
        let mut next = self.cell.seen_at(shape.now);
        if is_young && about.speaks() {
            next = next.with_payload(about.direction());
        }
        if about.speaks() && about.direction() == Direction::Sent && !reply.is(Answer::Look) {
            next = next.gathering(reply.is(Answer::More));
        }
        let mut number = self.number;
        let is_told = learned != FlowState::WATCHED;
        // A flow is worth a cell once it says something, or says that it begins.
        if number == NOWHERE && (is_told || about.speaks() || about.begins()) {
            let why = if is_told { Claim::Told } else { Claim::New };
            number = slots.claim(hash, shape, why);
        }
        if number == NOWHERE {
            return;
        }
        if is_told {
            flows::hold(slots, number, &about.key, learned);
            next = next.held();
        }
        if next != self.stored {
            flows::store(slots, number, next);
        }
    }
}
