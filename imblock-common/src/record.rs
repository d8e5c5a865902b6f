//! What is counted, from the same value that yields the action, so that the two can't disagree.

use crate::hosts::{self, Arrival, HostKey, Shape, Slots as _};
use crate::layout::{Counts, OUTCOME_SLOTS};
use crate::limit;
use crate::orient::{Direction, Side, View};
use crate::{Addr, Counters, Evidence, Packet, Reply, Sighting, Unparsed, Verdict};

/// How far a frame came. The numbers are slots of the frame counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Outcome {
    /// A service was told, and a verdict given.
    Identified = 0,
    /// TCP or UDP of no known service.
    Unidentified = 1,
    /// [`Unparsed::OtherTransport`].
    OtherTransport = 2,
    /// [`Unparsed::NotIp`].
    NotIp = 3,
    /// A fragment other than the first, of whose datagram nothing was told.
    LaterFragment = 4,
    /// [`Unparsed::Truncated`].
    Truncated = 5,
    /// [`Unparsed::BadHeader`].
    BadHeader = 6,
    /// [`Unparsed::TooDeep`].
    TooDeep = 7,
    /// TCP of no known service, in a connection that nobody saw begin.
    Midstream = 8,
    /// The beginning of a QUIC connection, which the policy refuses.
    QuicRefused = 9,
}

impl Outcome {
    /// Every outcome, in the order of the slots.
    pub const ALL: [Self; 10] = [
        Self::Identified,
        Self::Unidentified,
        Self::OtherTransport,
        Self::NotIp,
        Self::LaterFragment,
        Self::Truncated,
        Self::BadHeader,
        Self::TooDeep,
        Self::Midstream,
        Self::QuicRefused,
    ];

    /// The word for it in output and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Identified => "identified",
            Self::Unidentified => "unidentified",
            Self::OtherTransport => "other_transport",
            Self::NotIp => "not_ip",
            Self::LaterFragment => "later_fragment",
            Self::Truncated => "truncated",
            Self::BadHeader => "bad_header",
            Self::TooDeep => "too_deep",
            Self::Midstream => "midstream",
            Self::QuicRefused => "quic_refused",
        }
    }

    /// Where a view counts this outcome.
    #[inline(always)]
    pub const fn slot(self, view: View) -> u32 {
        view.index() * OUTCOME_SLOTS + self as u32
    }
}

impl From<Unparsed> for Outcome {
    #[inline(always)]
    fn from(unparsed: Unparsed) -> Self {
        match unparsed {
            Unparsed::Truncated => Self::Truncated,
            Unparsed::NotIp => Self::NotIp,
            Unparsed::LaterFragment => Self::LaterFragment,
            Unparsed::BadHeader => Self::BadHeader,
            Unparsed::TooDeep => Self::TooDeep,
            Unparsed::OtherTransport => Self::OtherTransport,
        }
    }
}

/// All that was decided about one frame.
///
/// Every field always has a value, those that mean nothing included: where a field might be left
/// unwritten (an `Option` of several words), the compiler reads it before it asks whether it is
/// there, and the verifier refuses to read what was never written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// How far the frame came.
    pub outcome: Outcome,
    /// What becomes of it. [`Verdict::Allowed`] unless the outcome is [`Outcome::Identified`], or
    /// [`Outcome::QuicRefused`], which is dropped.
    pub verdict: Verdict,
    /// Service number, 1 to 511; 0 for a frame that was not identified.
    pub service: u16,
    /// What told the service. Meaningless without one.
    pub evidence: Evidence,
    /// Which way the packet goes. Meaningless without a service.
    pub direction: Direction,
    /// The host that is counted. Meaningless without a service.
    pub local: Addr,
    /// How far the packet reaches in the frame.
    pub extent: Extent,
}

/// How far a packet reaches in its frame, in bytes from the frame's start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// Where the payload begins: the headers, which each segment of a GSO buffer repeats.
    pub headers: usize,
    /// Where the IP packet ends, by its own word.
    pub end: usize,
}

impl Judgement {
    /// Of a frame that no verdict was given on: it passes.
    #[inline(always)]
    pub const fn unjudged(outcome: Outcome) -> Self {
        Self {
            outcome,
            verdict: Verdict::Allowed,
            service: 0,
            evidence: Evidence::Port,
            direction: Direction::Sent,
            local: Addr::v4([0; 4]),
            extent: Extent { headers: 0, end: 0 },
        }
    }

    /// Of a packet that begins a QUIC connection, where the policy refuses these.
    #[inline(always)]
    pub(crate) const fn quic_refused() -> Self {
        Self {
            verdict: Verdict::Dropped,
            ..Self::unjudged(Outcome::QuicRefused)
        }
    }

    /// Of an identified packet.
    #[inline(always)]
    pub(crate) const fn identified(about: &Sighting, told: Reply, verdict: Verdict) -> Self {
        Self {
            outcome: Outcome::Identified,
            verdict,
            service: told.service(),
            evidence: told.evidence(),
            direction: about.direction(),
            local: about.key.local(),
            extent: about.extent(),
        }
    }

    /// Whether the frame goes on.
    #[inline(always)]
    pub const fn passes(&self) -> bool {
        self.verdict.passes()
    }
}

/// Counts a judgement: the frame, and for an identified one the service's total and its host.
///
/// Called once for a frame. The sum over hosts plus the overflow equals the service's total.
#[inline(always)]
pub fn record<P: Packet, C: Counters>(judgement: &Judgement, packet: P, view: View, counters: C) {
    counters.frame(judgement.outcome.slot(view), u64::from(packet.segments()));
    if judgement.outcome != Outcome::Identified {
        return;
    }
    let control = counters.control();
    if !counts(judgement, view, control.flags) {
        return;
    }
    let &Judgement {
        service,
        evidence,
        verdict,
        direction,
        local,
        extent,
        ..
    } = judgement;
    let traffic = traffic(packet, extent);
    counters.service(service, evidence, verdict, traffic);
    let shape = Shape {
        slots: control.host_slots,
        seed: control.host_seed,
        ticks_per_second: control.ticks_per_second,
    };
    let passes = judgement.passes();
    let key = HostKey::new(&local, service, passes);
    let arrival = Arrival {
        direction,
        traffic,
        tick: counters.tick(),
    };
    let hosts = counters.hosts();
    if !hosts::count(hosts, shape, &key, arrival) {
        let now = hosts.now();
        counters.overflow(service, |record| {
            record.add(direction, passes, traffic, now);
        });
    }
}

/// Makes room in the table of hosts, see [`hosts::vacate`].
#[inline(always)]
pub fn vacate<C: Counters>(counters: C, first: u32) -> u32 {
    hosts::vacate(counters.hosts(), first, |service, former| {
        counters.overflow(service, |record| record.merge(&former));
    })
}

/// Whether this view counts the packet. What a WAN side lets pass is counted by the LAN side that
/// it also crosses, if there is one; what a WAN side drops gets no further and is counted here.
#[inline(always)]
fn counts(judgement: &Judgement, view: View, flags: u32) -> bool {
    if view.side == Side::Lan || !judgement.passes() {
        return true;
    }
    limit::counts_here(judgement.direction, flags)
}

/// What the frame is on the wire: a GSO buffer becomes packets that each repeat the headers.
#[inline(always)]
pub(crate) fn traffic<P: Packet>(packet: P, extent: Extent) -> Counts {
    let segments = packet.segments();
    let mut bytes = u64::from(packet.length(extent.end));
    if segments > 1 {
        let repeated = (extent.headers as u64).wrapping_mul(u64::from(segments - 1));
        bytes = bytes.wrapping_add(repeated);
    }
    Counts {
        packets: u64::from(segments),
        bytes,
    }
}
