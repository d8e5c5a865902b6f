//! Calls, by the STUN and TURN messages that set them up.
//!
//! What a message tells, in this order: an attribute type that one service alone uses; the realm of
//! a TURN server, which is a name like any other; that it is STUN. The message types 0x0800 to
//! 0x0802 are WhatsApp's, and a marker's to tell: ask markers first.

use super::Evidence;
use super::name;
use crate::content::{Finding, Scene};
use crate::layout::{Generic, NameKey};
use crate::parse::{HostName, stun};
use crate::{Bytes, Tables};

/// What the attributes of a message told.
///
/// Every field is settled whenever it changes, so that the verifier sees the same few numbers on
/// every way through the loop, and walks an attribute once.
#[derive(Clone, Copy)]
struct Told {
    /// A service number, with [`Told::CERTAIN`]; 0 for nothing.
    service: usize,
    /// Offset behind the realm's text; 0 if there was none.
    realm_end: usize,
    /// Bytes of that text.
    realm_length: usize,
}

impl Told {
    /// It may drop. Above all service numbers.
    const CERTAIN: usize = 0x0200;
}

/// The service that a STUN message belongs to. Nothing if the payload is no such message.
#[inline(always)]
pub fn find<B: Bytes, T: Tables>(packet: B, scene: &Scene, tables: T) -> Finding {
    let half = scene.half;
    let Some(told) = read(packet, scene, tables) else {
        return Finding::NOTHING;
    };
    let service = (told.service as u64 & 0x01ff) as u16;
    if service != 0 {
        return Finding {
            certain: told.service & Told::CERTAIN != 0,
            ..Finding::flow(service, Evidence::Stun)
        };
    }
    let realm = if told.realm_end == 0 {
        None
    } else {
        HostName::text(packet, told.realm_end, told.realm_length)
            .and_then(|realm| name::key(packet, half, NameKey::HOST, realm))
    };
    match realm.map_or(0, |key| tables.name(&key)) {
        // Whose call it is may still be told, by what comes next or by what the host did before.
        0 => Finding::meanwhile(tables.generic(half, Generic::Stun), Evidence::Stun),
        service => Finding::flow(service, Evidence::Stun),
    }
}

/// Walks the attributes. `None` if this is no STUN.
#[inline(always)]
fn read<B: Bytes, T: Tables>(packet: B, scene: &Scene, tables: T) -> Option<Told> {
    let attributes = stun::attributes(packet, scene.payload, scene.transport)?;
    let mut told = Told {
        service: packet.settle(0)?,
        realm_end: packet.settle(0)?,
        realm_length: packet.settle(0)?,
    };
    let mut at = attributes.at;
    let mut seen = 0;
    while seen < stun::STUN_ATTRIBUTES_MAX {
        let Some(attribute) = stun::attribute(packet, at, attributes.end) else {
            break;
        };
        let (service, certain) = tables.stun_attribute(scene.half, attribute.kind);
        told.service = packet.settle(stronger(told.service, service, certain))?;
        if attribute.kind == stun::REALM {
            told.realm_end = attribute.end;
            told.realm_length = attribute.length;
        }
        at = attribute.next;
        seen += 1;
    }
    Some(told)
}

/// What is certain rather than what is not; of two alike, either.
#[inline(always)]
fn stronger(before: usize, service: u16, certain: bool) -> usize {
    before.max(usize::from(service) | (usize::from(certain) * Told::CERTAIN))
}
