//! An answer in one word, as it goes from step to step.
//!
//! Invariant: the word of nothing is 0, and what is not said of an answer is 0 in it.

use crate::Evidence;
use crate::content::{Answer, Finding, Sender};

/// A [`Finding`] in one word, as it comes out of a function of the kernel program. It stays one
/// word on its way to the verdict: taken apart into its enums, the verifier would walk the rest of
/// the way once for each of their values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply(pub u64);

impl Reply {
    /// Nothing was found.
    pub const NOTHING: Self = Finding::NOTHING.reply();

    pub(crate) const EVIDENCE_SHIFT: u32 = 16;
    pub(crate) const ANSWER_SHIFT: u32 = 24;
    /// See [`Reply::is_certain`].
    pub(crate) const LIKELY: u64 = 1 << 32;
    /// Service and evidence.
    pub(crate) const WHAT: u64 = 0xff_ffff;

    /// Service number, 1 to 511; 0 where the answer names none.
    #[inline(always)]
    pub const fn service(self) -> u16 {
        (self.0 & 0x1ff) as u16
    }

    /// What told it.
    #[inline(always)]
    pub const fn evidence(self) -> Evidence {
        Evidence::from_slot((self.0 >> Self::EVIDENCE_SHIFT & 0xff) as u8)
    }

    /// Whether this is the answer.
    #[inline(always)]
    pub const fn is(self, answer: Answer) -> bool {
        self.0 >> Self::ANSWER_SHIFT & 0xff == answer as u64
    }

    /// Whether nothing was found.
    #[inline(always)]
    pub const fn is_nothing(self) -> bool {
        self.is(Answer::Nothing)
    }

    /// Nothing was looked at yet.
    pub const UNASKED: Self = Finding::only(Answer::Look, Evidence::Port).reply();

    const FIRST: u64 = 1 << 40;
    const GATHERING: u64 = 1 << 41;
    const SENDER_SHIFT: u32 = 42;
    const NEWS: u64 = 1 << 44;
    const TOLD: u64 = 1 << 45;
    const MIDSTREAM: u64 = 1 << 46;
    const REFUSED: u64 = 1 << 47;

    /// That the payload must be looked at, and what is known of its flow.
    #[inline(always)]
    pub(crate) const fn look(within: u16, sender: Sender, first: bool, gathering: bool) -> Self {
        let first = if first { Self::FIRST } else { 0 };
        let gathering = if gathering { Self::GATHERING } else { 0 };
        let sender = (sender as u64) << Self::SENDER_SHIFT;
        Self(Self::UNASKED.0 | within as u64 | sender | first | gathering)
    }

    /// The same, being the first of its second, or something new.
    #[inline(always)]
    #[must_use]
    pub(crate) const fn news(self) -> Self {
        if self.names_service() {
            Self(self.0 | Self::NEWS)
        } else {
            self
        }
    }

    /// Whether it is the first of its second, or something new.
    #[inline(always)]
    pub(crate) const fn is_news(self) -> bool {
        self.0 & Self::NEWS != 0
    }

    /// Of [`Answer::Look`], and of what was found then: that the flow was told, and only what travels in
    /// it may be found.
    #[inline(always)]
    #[must_use]
    pub(crate) const fn inside(self) -> Self {
        Self(self.0 | Self::TOLD)
    }

    /// See [`Reply::inside`].
    #[inline(always)]
    pub(crate) const fn is_inside(self) -> bool {
        self.0 & Self::TOLD != 0
    }

    /// The opposite of [`Reply::inside`].
    #[inline(always)]
    #[must_use]
    pub(crate) const fn outside(self) -> Self {
        Self(self.0 & !Self::TOLD)
    }

    /// The same, of a packet that the policy refuses whatever service it belongs to.
    #[inline(always)]
    #[must_use]
    pub(crate) const fn refused(self) -> Self {
        Self(self.0 | Self::REFUSED)
    }

    /// Whether the policy refuses the packet whatever service it belongs to.
    #[inline(always)]
    pub(crate) const fn is_refused(self) -> bool {
        self.0 & Self::REFUSED != 0
    }

    /// Whether there is something to decide.
    #[inline(always)]
    pub const fn needs_verdict(self) -> bool {
        self.names_service() || self.is_refused()
    }

    /// Of [`Answer::Look`]: who sent the packet.
    #[inline(always)]
    pub(crate) const fn sender(self) -> Sender {
        match self.0 >> Self::SENDER_SHIFT & 3 {
            1 => Sender::Client,
            2 => Sender::Server,
            _ => Sender::Unknown,
        }
    }

    /// Of [`Answer::Look`]: whether it is the sender's first payload.
    #[inline(always)]
    pub(crate) const fn is_first(self) -> bool {
        self.0 & Self::FIRST != 0
    }

    /// Of [`Answer::Look`]: whether the head of the stream is being gathered.
    #[inline(always)]
    pub(crate) const fn is_gathering(self) -> bool {
        self.0 & Self::GATHERING != 0
    }

    /// Whether a service was found.
    #[inline(always)]
    pub const fn names_service(self) -> bool {
        self.service() != 0
    }

    /// Whether this kind of evidence told it.
    #[inline(always)]
    pub const fn evidence_is(self, evidence: Evidence) -> bool {
        self.0 >> Self::EVIDENCE_SHIFT & 0xff == evidence as u64
    }

    /// The service of a flow, from service, evidence and likelihood as they stand in a reply.
    #[inline(always)]
    pub(crate) const fn flow(bits: u64) -> Self {
        Self(bits & (Self::WHAT | Self::LIKELY) | (Answer::Flow as u64) << Self::ANSWER_SHIFT)
    }

    /// A service by its port, or nothing for 0. Without a branch, of which the verifier would follow both
    /// ways to the end.
    #[inline(always)]
    pub(crate) const fn of_port(service: u16) -> Self {
        let service = (service & 0x1ff) as u64;
        let names_one = (service + 0x1ff) >> 9;
        Self(service | (names_one * Answer::Flow as u64) << Self::ANSWER_SHIFT)
    }

    /// Service (nine bits), evidence (five) and likelihood in fifteen bits; 0 for no service.
    #[inline(always)]
    pub(crate) const fn brief(self) -> u16 {
        let evidence = (self.0 >> Self::EVIDENCE_SHIFT & 0x1f) as u16;
        let likely = if self.is_certain() { 0 } else { 1 << 14 };
        self.service() | evidence << 9 | likely
    }

    /// From [`Reply::brief`].
    #[inline(always)]
    pub(crate) const fn of_brief(brief: u16) -> Self {
        if brief & 0x1ff == 0 {
            return Self::NOTHING;
        }
        let evidence = (brief as u64 >> 9 & 0x1f) << Self::EVIDENCE_SHIFT;
        let likely = if brief & 1 << 14 == 0 {
            0
        } else {
            Self::LIKELY
        };
        Self::flow((brief & 0x1ff) as u64 | evidence | likely)
    }

    /// That nobody saw the flow begin, which may be why nothing was told.
    #[inline(always)]
    #[must_use]
    pub(crate) const fn midstream(self) -> Self {
        Self(self.0 | Self::MIDSTREAM)
    }

    /// Whether nobody saw the flow begin.
    #[inline(always)]
    pub const fn is_midstream(self) -> bool {
        self.0 & Self::MIDSTREAM != 0
    }

    /// Whether the evidence may drop.
    #[inline(always)]
    pub const fn is_certain(self) -> bool {
        self.0 & Self::LIKELY == 0
    }

    /// Whether it tells the flow's service and is not sure of it: by evidence that may not drop, or until
    /// something better is told.
    #[inline(always)]
    pub(crate) const fn is_guess(self) -> bool {
        let is_of_flow = self.is(Answer::Flow) && !self.is_certain();
        self.names_service() && (is_of_flow || self.is(Answer::Meanwhile))
    }

    /// The same service, unless something better is told.
    #[inline(always)]
    #[must_use]
    pub(crate) const fn meanwhile(self) -> Self {
        let answer = (Answer::Meanwhile as u64) << Self::ANSWER_SHIFT;
        Self(self.0 & (Self::WHAT | Self::LIKELY) | answer)
    }

    /// The same, by evidence that may not drop.
    #[inline(always)]
    #[must_use]
    pub const fn likely(self) -> Self {
        Self(self.0 | Self::LIKELY)
    }
}
