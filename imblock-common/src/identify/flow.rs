//! The flow: what its earlier packets told, and the first payloads of a young one.

use super::rtp::{self, RtpHeader, RtpTrace, Step};
use super::{Question, port, prefix};
use crate::content::{Answer, Finding, Reply, Scene, Sender};
use crate::flows::{self, Cell, Claim, EARLY, FlowState, Initiator, NOWHERE, Shape, Slots as _};
use crate::layout::{Control, Generic};
use crate::parse::tls;
use crate::stream::Piece;
use crate::tables::LivePolicy;
use crate::{Direction, Evidence, Packet, Sighting, Tables, Transport};

/// What the flow's earlier packets, this one's payload, or else port and address tell.
#[inline(always)]
pub fn identify<P: Packet, T: Tables>(packet: P, about: &Sighting, tables: T) -> Reply {
    let known = tables.flow_step(about, Reply::UNASKED);
    let told = if known.is(Answer::Look) {
        let reply = look(packet, about, known, tables);
        let told = tables.flow_step(about, reply);
        let unknown = reply.is_nothing() && !known.is_inside();
        if unknown && about.may_begin_quic() && packet.quic(about, tables) {
            told.refused()
        } else {
            told
        }
    } else if about.calls() && !known.names_service() {
        tables.hop_step(about)
    } else {
        known
    };
    if told.is_news() {
        tables.note_step(about, told);
    }
    told
}

/// Asks the payload.
#[inline(always)]
fn look<P: Packet, T: Tables>(packet: P, about: &Sighting, known: Reply, tables: T) -> Reply {
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
    if known.is_inside() {
        return packet.ask(Question::Marker, &scene, tables);
    }
    let sent = scene.direction == Direction::Sent;
    let mut reply = Reply::NOTHING;
    if !(sent && known.is_gathering()) {
        reply = content(packet, &scene, policy, tables);
    }
    let begins = reply.is(Answer::More);
    if sent && (begins || known.is_gathering()) {
        let piece = Piece {
            scene,
            flow: about.key.hash(tables.flow_shape().seed),
            sequence: about.sequence(),
            begins,
        };
        reply = packet.gather(&piece, tables);
    }
    // Only what says nothing of itself may be RTP.
    if reply.is_nothing() && scene.transport == Transport::Udp {
        let header = packet.rtp(scene.payload);
        if header != 0 {
            reply = tables.rtp_step(about, header);
        }
    }
    if reply.is(Answer::Meanwhile) {
        reply = tables.caller_step(about, reply);
    } else if reply.is(Answer::Other) {
        tables.named_step(about);
    }
    reply
}

/// Brings the flow table up to date with a packet, and says what is known of it. `reply` is what the
/// payload told, or [`Reply::UNASKED`]; then the answer may be [`Answer::Look`], and the step is
/// taken again when the payload was asked.
#[inline(always)]
pub fn step<T: Tables>(about: &Sighting, reply: Reply, tables: T) -> Reply {
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
        let sender = sender(track.cell.initiator(), direction);
        let (service, gathering) = (state.service(), track.cell.is_gathering());
        let look = Reply::look(service, sender, count == 0, gathering);
        if !state.is_settled() && (is_young || about.asks_for_names()) {
            return look;
        }
        if state.service() != 0 && tables.carries(about.policy().half, service) {
            return look.inside();
        }
    }
    // A flow that was told is what it is; only what travels in it may be another service's.
    let told = if reply.is(Answer::Packet) || reply.names_service() && !state.is_settled() {
        reply
    } else if reply.is(Answer::Other) || state.is_other() {
        port::finding(about.remote_port())
    } else if state.service() != 0 {
        state.reply()
    } else if reply.is(Answer::More) {
        Reply::NOTHING
    } else {
        weak(about, track.cell.initiator(), tables)
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

/// Asks a payload what it is, until something is told. A TLS client names its server, which tells more
/// than any of its bytes; everybody else is asked for a marker first.
#[inline(always)]
fn content<P: Packet, T: Tables>(packet: P, scene: &Scene, policy: LivePolicy, tables: T) -> Reply {
    let names = policy.flags & Control::HAS_NAMES != 0 && scene.direction == Direction::Sent;
    let greets = names && scene.transport == Transport::Tcp && tls::greets(packet, scene.payload);
    let mut named = Reply::NOTHING;
    if greets {
        named = packet.ask(Question::Name, scene, tables);
        if named.names_service() {
            return named;
        }
    }
    let mut reply = Reply::NOTHING;
    if policy.flags & Control::HAS_MARKERS != 0 {
        reply = packet.ask(Question::Marker, scene, tables);
    }
    if reply.is_nothing() && names {
        reply = if greets {
            named
        } else {
            packet.ask(Question::Name, scene, tables)
        };
    }
    if reply.is_nothing() {
        reply = packet.ask(Question::Stun, scene, tables);
    }
    reply
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
        if found.number == NOWHERE || about.begins() || found.cell.is_stale(shape) {
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
            flows::hold(slots, shape, number, &about.key, learned);
            next = next.held();
        }
        if next != self.stored {
            flows::store(slots, number, next);
        }
    }
}
