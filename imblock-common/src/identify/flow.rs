//! The flow: what its earlier packets told, and what is to be remembered of this one.

use super::rtp::{self, RtpHeader, RtpTrace, Step};
use super::{context, port, prefix};
use crate::content::{Answer, Finding, Reply, Sender};
use crate::flows::{self, Cell, Claim, EARLY, FlowState, Initiator, NOWHERE, Shape, Slots as _};
use crate::layout::Generic;
use crate::{Direction, Evidence, Packet, Side, Sighting, Tables, Transport};

/// What the flow's earlier packets, this one's payload, or else port and address tell. `reply` is what
/// [`super::payload::look`] told, or [`Reply::UNASKED`]: then the answer may be [`Answer::Look`], and this
/// is to be asked once more when the payload was.
#[inline(always)]
pub fn tell<P: Packet, T: Tables>(packet: P, about: &Sighting, reply: Reply, tables: T) -> Reply {
    if about.is_later_part() {
        return tables.later_part_step(about);
    }
    let mut told = step(about, reply.outside(), tables);
    if told.is(Answer::Look) {
        return told;
    }
    if about.calls() {
        if !told.names_service() {
            told = tables.hop_step(about);
        }
    } else if reply.is_nothing()
        && !reply.is_inside()
        && about.may_begin_quic()
        && packet.quic(about, tables)
    {
        told = told.refused();
    }
    if context::is_noteworthy(about, told, tables) {
        tables.note_step(about, told);
    }
    told
}

/// Brings the flow table up to date with a packet, and says what is known of it.
#[inline(always)]
fn step<T: Tables>(about: &Sighting, reply: Reply, tables: T) -> Reply {
    let shape = tables.flow_shape();
    let hash = about.key.hash(shape.seed);
    let track = Track::of(about, hash, shape, tables);
    let state = if track.cell.is_held() {
        flows::state(tables.flows(), shape, track.number, &about.key)
    } else {
        FlowState::WATCHED
    };
    // Forgotten, as all that is handed on here: the verifier walks the rest once.
    let state = FlowState(tables.flows().forget(state.0));
    let direction = about.direction();
    let count = track.cell.payloads(direction);
    let is_young = count < EARLY;
    if reply.is(Answer::Look) && about.speaks() {
        let service = state.service();
        let look = to_be_asked(track.cell, direction, service);
        if !state.is_settled() && (is_young || about.asks_for_names()) {
            return look;
        }
        if state.service() != 0 && tables.carries(about.policy().half, service) {
            return look.inside();
        }
    }
    let is_told = state.is_other() || state.service() != 0;
    let is_silent = !reply.names_service() && !reply.is(Answer::Other) && !reply.is(Answer::More);
    // A guess, and what leaves open whose it is, says less than a port or an address.
    let is_guess = !state.is_settled() && reply.is_guess() && !about.remote_port().is_contested();
    let mut known = Reply::NOTHING;
    if is_guess || is_silent && !is_told {
        known = weak(about, track.cell.initiator(), tables);
    }
    let reply = if is_guess && known.names_service() {
        known.meanwhile()
    } else {
        reply
    };
    // A flow that was told is what it is; only what travels in it may be another service's.
    let told = if reply.is(Answer::Packet) || reply.names_service() && !state.is_settled() {
        reply
    } else if reply.is(Answer::Other) || state.is_other() {
        port::finding(about.remote_port())
    } else if state.service() != 0 {
        state.reply()
    } else {
        known
    };
    let told = Reply(tables.flows().forget(told.0));
    // Without a table, nobody ever does.
    let nobody_saw = track.cell.initiator() == Initiator::Unknown && shape.cells != 0;
    let learned = learned(about, reply, told, state, tables);
    let learned = FlowState(tables.flows().forget(learned.0));
    track.write_down(about, reply, learned, is_young, hash, shape, tables);
    let told = if track.cell != track.cell.seen_at(shape.now) || learned != FlowState::WATCHED {
        told.news()
    } else {
        told
    };
    if is_young && about.remote_port().is_contested() && told.evidence_is(Evidence::Port) {
        // Several services share the port: what is said first decides.
        told.likely()
    } else {
        in_midstream(about, told, nobody_saw)
    }
}

/// That a payload must be asked, and what the flow's cell says of it. `within` is the service that the
/// flow is told to be, or 0.
#[inline(always)]
pub(super) const fn to_be_asked(cell: Cell, direction: Direction, within: u16) -> Reply {
    let sender = sender(cell.initiator(), direction);
    let is_first = cell.payloads(direction) == 0;
    Reply::look(within, sender, is_first, cell.is_gathering())
}

/// Takes in what looks like a packet of an RTP stream, whose packed header is `header`: the flow is
/// watched until it is one.
#[inline(always)]
pub fn rtp<T: Tables>(about: &Sighting, header: u64, tables: T) -> Reply {
    let Some(header) = RtpHeader::unpack(header) else {
        return Reply::NOTHING;
    };
    let shape = tables.flow_shape();
    let hash = about.key.hash(shape.seed);
    let track = Track::of(about, hash, shape, tables);
    let slots = tables.flows();
    let direction = about.direction();
    let mut before = RtpTrace::default();
    if track.cell.is_held() {
        if flows::state(slots, shape, track.number, &about.key) != FlowState::WATCHED {
            return Reply::NOTHING;
        }
        before = flows::trace(slots, shape, track.number, &about.key, direction);
    }
    let (trace, step) = rtp::step(before, header);
    if step == Step::Rtp {
        let service = tables.generic(about.policy().half, Generic::Rtp);
        return Finding::meanwhile(service, Evidence::Rtp).reply();
    }
    let number = if track.number == NOWHERE {
        slots.claim(hash, shape, Claim::New)
    } else {
        track.number
    };
    if number != NOWHERE {
        flows::attend(slots, shape, number, &about.key, track.cell.is_held());
        flows::watch(slots, shape, number, direction, trace);
        flows::store(slots, number, track.cell.held());
    }
    Reply::NOTHING
}

/// Of a connection that nobody saw begin: that, where nothing tells its service.
#[inline(always)]
pub(super) const fn in_midstream(about: &Sighting, told: Reply, nobody_saw: bool) -> Reply {
    if nobody_saw && !told.names_service() && matches!(about.key.transport(), Transport::Tcp) {
        told.midstream()
    } else {
        told
    }
}

/// What port and address tell, when nothing better does. An address may be that of other services, too,
/// so the handshake passes, and the first payload may name one; in mid-stream, nothing will.
#[inline(always)]
fn weak<T: Tables>(about: &Sighting, initiator: Initiator, tables: T) -> Reply {
    let by_port = port::of_flow(about.remote_port(), initiator);
    // As with its port: who is called from there is a server here.
    if initiator == Initiator::Remote {
        return by_port;
    }
    let may_name = initiator != Initiator::Unknown || about.key.transport() == Transport::Udp;
    if by_port.is_nothing() && (about.speaks() || !may_name) {
        prefix::finding(&about.key.remote(), about.policy(), tables)
    } else {
        by_port
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
    if state.is_settled() {
        FlowState::WATCHED
    } else if reply.is(Answer::Flow) && reply.is_certain() {
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
    } else if about.speaks()
        && state.service() == 0
        && told.names_service()
        && told.evidence_is(Evidence::Prefix)
    {
        // So that the address is looked up once.
        FlowState::told(told).weak()
    } else {
        FlowState::WATCHED
    }
}

/// The cell of a flow that a packet begins, or is the first to be seen of.
#[inline(always)]
pub(super) const fn fresh(about: &Sighting, hash: u64, shape: Shape) -> Cell {
    let initiator = match (about.key.transport(), about.direction()) {
        (Transport::Tcp, Direction::Sent) if about.begins() => Initiator::Local,
        (Transport::Tcp, Direction::Received) if about.begins() => Initiator::Remote,
        // Of what is received first, it may be that what was sent went another way.
        (Transport::Udp, Direction::Sent) => Initiator::Local,
        _ => Initiator::Unknown,
    };
    Cell::new(hash, initiator, shape.now)
}

/// Whether what a cell knows is of a flow that has ended. A connection that was told is not over for its
/// silence, as chats are silent for hours: another one in its place begins with a SYN. Not so where the port
/// tells the service, which a SYN is told by without a look at the table. Nor is one over that the remote end
/// began: who forgets that takes its port for a service's.
#[inline(always)]
pub(super) const fn is_over(cell: Cell, about: &Sighting, shape: Shape) -> bool {
    let is_told = cell.is_held() && !about.remote_port().names_service();
    let is_called = matches!(cell.initiator(), Initiator::Remote);
    let lasts = matches!(about.key.transport(), Transport::Tcp) && (is_told || is_called);
    cell.is_stale(shape) && !lasts
}

/// Whether a SYN comes from the end that was called, in the midst of a connection: it begins none. The
/// caller's stack answers it with an ACK and goes on (RFC 5961 section 4), or both call at the same time
/// (RFC 9293 section 3.5).
#[inline(always)]
const fn called_end_says_syn(cell: Cell, about: &Sighting, shape: Shape) -> bool {
    matches!(about.direction(), Direction::Received)
        && matches!(cell.initiator(), Initiator::Local)
        && !cell.is_stale(shape)
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
    /// Finds the flow, or begins it.
    #[inline(always)]
    fn of<T: Tables>(about: &Sighting, hash: u64, shape: Shape, tables: T) -> Self {
        let found = flows::find(tables.flows(), hash, shape);
        let begins = about.begins() && !called_end_says_syn(found.cell, about, shape);
        if found.number == NOWHERE || begins || is_over(found.cell, about, shape) {
            return Self::fresh(about, found.number, hash, shape);
        }
        Self {
            number: found.number,
            cell: found.cell,
            stored: found.cell,
        }
    }

    /// Of a flow that is seen for the first time, or after long silence, or that begins anew.
    #[inline(always)]
    const fn fresh(about: &Sighting, number: u32, hash: u64, shape: Shape) -> Self {
        Self {
            number,
            cell: fresh(about, hash, shape),
            stored: Cell(0),
        }
    }

    /// Brings the table up to date: once a packet, and only where something changed.
    #[inline(always)]
    #[expect(clippy::too_many_arguments, reason = "inlined, and each said once")]
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
        let direction = about.direction();
        if about.side() == Side::Lan {
            next = next.on_lan(direction);
        }
        // What crosses both sides is one payload, which the LAN side counts.
        let counts = about.side() == Side::Lan || !next.is_on_lan(direction);
        if is_young && about.speaks() && counts {
            next = next.with_payload(direction);
        }
        // Forgotten, so that the verifier walks the rest once.
        next = Cell(slots.forget(next.0));
        if about.speaks() && direction == Direction::Sent && !reply.is(Answer::Look) {
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
            flows::hold(slots, shape, number, &about.key, learned);
            next = next.held();
        }
        if next != self.stored {
            flows::store(slots, number, next);
        }
    }
}
