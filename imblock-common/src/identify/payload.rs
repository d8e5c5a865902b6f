//! The first payloads of a young flow, and those that travel inside another service: which questions they
//! are asked, and in which order.

use super::question::Start;
use super::{Question, rtp};
use crate::content::{Answer, Payload, Reply, Scene};
use crate::layout::Control;
use crate::parse::tls;
use crate::stream::Piece;
use crate::tables::LivePolicy;
use crate::{Direction, Packet, Sighting, Tables, Transport};

/// Asks the payload. `known` is what [`super::flow::tell`] or the gate said of it: [`Answer::Look`].
#[inline(always)]
pub fn look<P: Packet, T: Tables>(packet: P, about: &Sighting, known: Reply, tables: T) -> Reply {
    let policy = about.policy();
    let scene = Scene {
        payload: about.payload().in_reach(),
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
        return packet.ask(Question::Marker, &scene, tables).inside();
    }
    let start = start(packet, scene.payload);
    let sent = scene.direction == Direction::Sent;
    let mut reply = Reply::NOTHING;
    if !(sent && known.is_gathering()) {
        reply = content(packet, &scene, policy, start, tables);
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
    if reply.is_nothing() && scene.transport == Transport::Udp && rtp::may_begin(start[0]) {
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

/// Asks a payload what it is, until something is told. A TLS client names its server, which tells more
/// than any of its bytes; everybody else is asked for a marker first.
#[inline(always)]
fn content<P: Packet, T: Tables>(
    packet: P,
    scene: &Scene,
    policy: LivePolicy,
    start: Start,
    tables: T,
) -> Reply {
    let names = policy.flags & Control::HAS_NAMES != 0
        && scene.direction == Direction::Sent
        && Question::Name.is_worth_asking(start, scene);
    let greets = names && scene.transport == Transport::Tcp && tls::greets(start);
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
    if reply.is_nothing() && Question::Stun.is_worth_asking(start, scene) {
        reply = packet.ask(Question::Stun, scene, tables);
    }
    reply
}

/// The first bytes of a payload, and zeros behind its end. Where they can't be read, no question can read
/// them either, and any bytes will do.
#[inline(always)]
fn start<P: Packet>(packet: P, payload: Payload) -> Start {
    let mut start = [0; size_of::<Start>()];
    let Some(at) = packet.settle(payload.at) else {
        return start;
    };
    match packet.read(at) {
        Some(whole) if payload.length() >= start.len() => return whole,
        _ => {}
    }
    for (place, byte) in start.iter_mut().enumerate() {
        if place < payload.length() {
            [*byte] = packet.read::<1>(at + place).unwrap_or_default();
        }
    }
    start
}
