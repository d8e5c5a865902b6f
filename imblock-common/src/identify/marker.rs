//! Bytes by which a payload tells its service: the markers of the policy.
//!
//! The sets leave the few markers that may fit, the most specific first, and a look for all their needles
//! together ([`super::needle`]) fewer; each is then held against the packet. A needle is searched for in slices, and a step is one marker and one slice, so that
//! there is one loop whose cost has a limit: the verifier's as well as the packet's. A policy whose
//! markers might need more steps does not compile, so the limit is never seen.

use crate::content::{Answer, Finding, Payload, Reply, Scene};
use crate::layout::{
    MARKER_HEAD, MARKER_STEPS_MAX, Marker, MarkerSet, MarkerSets, NEEDLE_MAX, SEARCH_SLICE,
};
use crate::packet::MAX_OFFSET;
use crate::{Bytes, Evidence, Packet, Tables};

/// The service whose marker the payload bears. Gate: [`crate::layout::Control::HAS_MARKERS`].
///
/// A payload lies behind headers; of one with less than [`NEEDLE_MAX`] bytes in front of it the first
/// places are not searched.
#[inline(always)]
pub fn find<P: Packet, T: Tables>(packet: P, scene: &Scene, tables: T) -> Reply {
    Reply(packed(packet, scene, tables).unwrap_or(Reply::NOTHING.0))
}

/// See [`find`]; the word of the [`Reply`].
#[inline(always)]
fn packed<P: Packet, T: Tables>(packet: P, scene: &Scene, tables: T) -> Option<u64> {
    let look = &Look::new(packet, scene)?;
    let (half, transport) = (scene.half, scene.transport);
    let mut left = tables.marker_sets(half, transport, |sets| {
        let left = candidates(packet, look, sets)?;
        Some(match sets.needles.reach(left) {
            Some(reach) => sets.needles.left(left, packet.glance(scene, reach, tables)),
            None => left,
        })
    })??;
    let mut searched = 0;
    let mut step = 0;
    while step < MARKER_STEPS_MAX {
        // The verifier is not to tell apart what led to a step.
        searched = packet.settle(searched)?;
        let number = packet.settle(forgotten(packet, left).lowest()?)?;
        match packet.judge_marker(scene, number, searched, tables) {
            MORE => searched += SEARCH_SLICE,
            NO => {
                left = forgotten(packet, left).without_lowest();
                searched = 0;
            }
            found => return Some(found),
        }
        step += 1;
    }
    None
}

/// A payload that is not empty.
#[derive(Clone, Copy)]
pub(super) struct Look<'a> {
    /// Its first byte.
    at: u32,
    /// Behind its last byte.
    end: u32,
    /// How long it is.
    length: u32,
    scene: &'a Scene,
}

impl<'a> Look<'a> {
    /// `None` for an empty payload.
    #[inline(always)]
    pub(super) fn new<B: Bytes>(bytes: B, scene: &'a Scene) -> Option<Self> {
        let Payload { at, end } = scene.payload;
        let at = bytes.settle(at)?;
        if at >= end {
            return None;
        }
        Some(Self {
            at: u32::try_from(at).ok()?,
            end: bytes.forget_word(u32::try_from(end).ok()?),
            length: bytes.forget_word(u32::try_from(end - at).ok()?),
            scene,
        })
    }

    /// The payload's first byte, behind its last, and its length. Forgotten, so that what one question
    /// finds out about them is nothing that the next one begins with.
    #[inline(always)]
    pub(super) fn place<B: Bytes>(self, bytes: B) -> (usize, usize, usize) {
        let number = |number| bytes.forget_word(number) as usize;
        (number(self.at), number(self.end), number(self.length))
    }
}

#[inline(always)]
fn forgotten<B: Bytes>(bytes: B, set: MarkerSet) -> MarkerSet {
    MarkerSet(set.0.map(|word| {
        let [low, high]: [u32; 2] = bytemuck::cast(word);
        bytemuck::cast([bytes.forget_word(low), bytes.forget_word(high)])
    }))
}

/// The marker is not there.
const NO: u64 = 0;
/// The marker may be there: its needle was not found yet. Not a packed finding.
const MORE: u64 = 1;

/// The markers that fit the payload's first bytes, its length and its place in the flow.
#[inline(always)]
fn candidates<B: Bytes>(bytes: B, look: &Look<'_>, sets: &MarkerSets) -> Option<MarkerSet> {
    let scene = look.scene;
    let place = MarkerSets::place(scene.sender as u8, scene.first, scene.within != 0);
    let (_, _, length) = look.place(bytes);
    let length = MarkerSets::length(length);
    let [first, second, rest @ ..] = word(bytes, look, 0)?.to_le_bytes();
    let [place, ..] = bytes.forget_word(place.into()).to_le_bytes();
    let [length, ..] = bytes.forget_word(length.into()).to_le_bytes();
    let mut left = sets
        .get(0, first)
        .and(sets.get(1, second))
        .and(sets.get(MarkerSets::PLACE, place))
        .and(sets.get(MarkerSets::LENGTH, length));
    if left.is_empty() {
        return None;
    }
    for (position, byte) in (2..).zip(rest) {
        left = left.and(sets.get(position, byte));
    }
    Some(left)
}

/// Holds one marker against a packet that the sets found fit for it; of its needle's places one
/// slice, behind the first `searched`. [`NO`], [`MORE`] or a packed finding.
///
/// In the kernel a function of its own: the verifier walks it once, not once a step.
#[inline(always)]
pub fn judge<B: Bytes, T: Tables>(
    bytes: B,
    scene: &Scene,
    number: usize,
    searched: usize,
    tables: T,
) -> u64 {
    let Some(look) = &Look::new(bytes, scene) else {
        return NO;
    };
    let (half, transport) = (scene.half, scene.transport);
    let [number, ..] = number.to_le_bytes();
    let judged = tables.marker(half, transport, number, |marker| {
        if fits(bytes, look, marker).is_none() {
            return NO;
        }
        match search(bytes, look, marker, searched) {
            Search::Found => finding(marker),
            Search::Nothing => NO,
            Search::More => MORE,
        }
    });
    judged.unwrap_or(NO)
}

/// What a marker that was found tells.
#[inline(always)]
const fn finding(marker: &Marker) -> u64 {
    let answer = if marker.within == 0 {
        Answer::Flow
    } else {
        Answer::Packet
    };
    let finding = Finding {
        answer,
        service: marker.service,
        evidence: Evidence::Marker,
        certain: !marker.has(Marker::UNCERTAIN),
    };
    finding.reply().0
}

/// Nothing but `Some` if everything about a marker fits but its needle. Each question ends the way by
/// itself: a sum of answers would keep the ways apart for the verifier.
#[inline(always)]
fn fits<B: Bytes>(bytes: B, look: &Look<'_>, marker: &Marker) -> Option<()> {
    let scene = look.scene;
    let (_, end, length) = look.place(bytes);
    must(usize::from(marker.shortest) <= length && length <= usize::from(marker.longest))?;
    must(marker.within == 0 || marker.within == scene.within)?;
    if marker.flags & (Marker::PORTS_ONLY | Marker::PORTS_NOT) != 0 {
        ports_fit(scene, marker)?;
    }
    let mut at = MARKER_HEAD;
    for expected in &marker.pattern {
        // Most patterns end within what the sets know.
        if at >= usize::from(marker.reach) {
            break;
        }
        must(expected.difference(word(bytes, look, at)?) == 0)?;
        at += 8;
    }
    if marker.length_size != 0 {
        length_fits(bytes, look, marker)?;
    }
    if marker.last.mask != 0 {
        let at = bytes.settle(end.checked_sub(8)?)?;
        must(marker.last.difference(u64::from_le_bytes(bytes.read(at)?)) == 0)?;
    }
    Some(())
}

/// `Some` if it is so.
#[inline(always)]
const fn must(it_is_so: bool) -> Option<()> {
    if it_is_so { Some(()) } else { None }
}

/// Whether the ports at both ends are such as the marker asks for.
#[inline(always)]
fn ports_fit(scene: &Scene, marker: &Marker) -> Option<()> {
    let mut beyond = -1;
    for span in &marker.ports {
        beyond &= span.room(scene.local_port) & span.room(scene.remote_port);
    }
    // Negative if all were.
    must(marker.has(Marker::PORTS_NOT) == (beyond < 0))
}

/// Whether the length field says what it must.
#[inline(always)]
fn length_fits<B: Bytes>(bytes: B, look: &Look<'_>, marker: &Marker) -> Option<()> {
    let read = word(bytes, look, usize::from(marker.length_at))?;
    let unused = 64_u32.wrapping_sub(8 * u32::from(marker.length_size)) & 63;
    let field = if marker.has(Marker::LENGTH_LITTLE) {
        read << unused >> unused
    } else {
        read.swap_bytes() >> unused
    };
    let said = field.wrapping_add(i64::from(marker.length_plus).cast_unsigned());
    let missing = (look.place(bytes).2 as u64)
        .wrapping_sub(said)
        .cast_signed();
    must(missing == 0 || (marker.has(Marker::LENGTH_FITS) && missing > 0))
}

/// What became of the search for a needle.
enum Search {
    Found,
    Nothing,
    /// There are places left.
    More,
}

/// Looks for the marker's needle at [`SEARCH_SLICE`] places of its window, behind the first
/// `searched`. A marker without one is found.
#[inline(always)]
fn search<B: Bytes>(bytes: B, look: &Look<'_>, marker: &Marker, searched: usize) -> Search {
    let needle = usize::from(marker.find_length);
    if needle == 0 {
        return Search::Found;
    }
    match slice(bytes, look, marker, needle, searched) {
        Some((window, places)) => search_slice(bytes, marker, window, places),
        None => Search::Nothing,
    }
}

/// Where a slice of the places for a needle begins, [`NEEDLE_MAX`] bytes in front of where a needle
/// at the first place ends, and how many places are left.
#[inline(always)]
fn slice<B: Bytes>(
    bytes: B,
    look: &Look<'_>,
    marker: &Marker,
    needle: usize,
    searched: usize,
) -> Option<(usize, usize)> {
    let (at, _, length) = look.place(bytes);
    let past = (length + 1).checked_sub(needle)?;
    let past = past.min(usize::from(marker.find_within));
    let first = usize::from(marker.find_from) + searched;
    let places = past.checked_sub(first)?;
    // Of each place the needle's end is what counts: headers lie in front of every payload, so that
    // as many bytes as the longest needle has can be read there whatever the length of this one.
    let window = bytes.settle((at + first + needle).checked_sub(NEEDLE_MAX)?)?;
    must(window <= MAX_OFFSET - SEARCH_SLICE)?;
    Some((window, bytes.settle(places)?))
}

/// Looks for a needle at the first [`SEARCH_SLICE`] of the places that are left.
#[inline(always)]
fn search_slice<B: Bytes>(bytes: B, marker: &Marker, window: usize, places: usize) -> Search {
    let [front @ .., back] = &marker.needle;
    let mut place = 0;
    while place < SEARCH_SLICE {
        // `copy`, for the offset was looked at above, and the verifier keeps no more than 8,192
        // questions open: the three for each place, in every step, are most of them.
        let Some(read) = bytes.copy::<NEEDLE_MAX>(window + place) else {
            return Search::Nothing;
        };
        let [words @ .., last] = bytemuck::cast::<_, [u64; NEEDLE_MAX / 8]>(read);
        if back.difference(last.to_le()) == 0 {
            let mut differences = 0;
            for (expected, word) in front.iter().zip(words) {
                differences |= expected.difference(word.to_le());
            }
            if differences == 0 {
                // The first place is what counts: if this one is too far, so are the others.
                return if place < places {
                    Search::Found
                } else {
                    Search::Nothing
                };
            }
        }
        place += 1;
    }
    if places > SEARCH_SLICE {
        Search::More
    } else {
        Search::Nothing
    }
}

/// Eight bytes of the payload at an offset in it, the first one lowest; zeros behind its end.
/// `None` if they can't be read.
#[inline(always)]
pub(super) fn word<B: Bytes>(bytes: B, look: &Look<'_>, offset: usize) -> Option<u64> {
    let (at, end, _) = look.place(bytes);
    let at = at + offset;
    if at >= end {
        return Some(0);
    }
    let left = end - at;
    if left >= 8 {
        let at = bytes.settle(at)?;
        return Some(u64::from_le_bytes(bytes.read(at)?));
    }
    // The bytes in front are read as well, and thrown away.
    let at = bytes.settle(end.checked_sub(8)?)?;
    Some(u64::from_le_bytes(bytes.read(at)?) >> (64 - 8 * left))
}
