//! What a rejected packet becomes: an answer that its sender understands at once.
//!
//! TCP is answered by a RST (RFC 9293 section 3.10.7), UDP by "administratively prohibited" (RFC 1812
//! section 5.2.7.1, RFC 4443 section 3.1), a question to a name server by "no such name" (RFC 1035
//! section 4.1.1). The frame is rewritten in place, so an answer leaves the way that the packet came.
//!
//! Invariant: nothing is answered that may not be (RFC 1122 section 3.2.2): no RST, no fragment, no
//! packet to or from more than one host. What can't be answered is dropped in silence. Packets with
//! IPv4 options, IPv6 extension headers or PPPoE are not answered either: too rare for what they cost.

mod checksum;
mod datagram;
mod letter;
mod limit;
mod network;
mod reset;

use bytemuck::NoUninit;

pub use datagram::{no_such_name, prohibited};
pub use letter::{Letter, REPLY_MAX, ReplyFrame};
pub use limit::{REPLIES_PER_SECOND, ReplyBucket};
pub use network::{Kind, meet};
pub use reset::{cut, reset};

/// What became of a rejected packet. The numbers are slots of
/// [`crate::layout::Rejections::counts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u32)]
pub enum Fate {
    /// It came back as a RST.
    Reset = 0,
    /// It went on as a RST, and another one came back: both ends were told.
    Cut = 1,
    /// It came back as an ICMP error.
    Unreachable = 2,
    /// It came back as the answer that there is no such name.
    NoSuchName = 3,
    /// It was dropped in silence, because there were too many to answer: [`REPLIES_PER_SECOND`].
    Limited = 4,
    /// It was dropped in silence, because it can't be answered, or not from here.
    Silent = 5,
}

impl Fate {
    /// All of them, in the order of the slots.
    pub const ALL: [Self; 6] = [
        Self::Reset,
        Self::Cut,
        Self::Unreachable,
        Self::NoSuchName,
        Self::Limited,
        Self::Silent,
    ];

    /// From a slot. A number from nowhere is [`Fate::Silent`].
    #[inline(always)]
    pub const fn from_slot(slot: u32) -> Self {
        match slot {
            0 => Self::Reset,
            1 => Self::Cut,
            2 => Self::Unreachable,
            3 => Self::NoSuchName,
            4 => Self::Limited,
            _ => Self::Silent,
        }
    }

    /// The word for it in output and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reset => "reset",
            Self::Cut => "cut",
            Self::Unreachable => "unreachable",
            Self::NoSuchName => "no_such_name",
            Self::Limited => "limited",
            Self::Silent => "silent",
        }
    }
}

/// A frame that is rewritten where it is. What fails has left it unusable: it is dropped then.
pub trait Responder {
    /// Whether there may be one more answer now. Asked once for a packet, and only if it can be
    /// answered.
    fn permitted(&mut self) -> bool;
    /// Makes the frame so many bytes long. If it gets longer, all of it has to be written.
    fn resize(&mut self, length: usize) -> bool;
    /// Overwrites what lies at an offset.
    fn put<T: NoUninit>(&mut self, at: usize, piece: &T) -> bool;
    /// Sends a copy of what the frame is now back to where it came from.
    fn turn_around(&mut self) -> bool;
}

/// Where rejected packets are answered. Each step finds in the letter what the one before it wrote
/// there, so that the kernel's can be functions of their own, which the verifier walks once each.
pub trait Desk {
    /// See [`meet`].
    fn meet(&mut self) -> Kind;
    /// See [`reset`].
    fn reset(&mut self) -> Fate;
    /// See [`no_such_name`].
    fn no_such_name(&mut self) -> Option<Fate>;
    /// See [`prohibited`].
    fn prohibited(&mut self) -> Fate;
    /// See [`cut`].
    fn cut(&mut self, sent: bool) -> Fate;
}

/// Makes a packet from the local host, met where it enters, its own answer: [`Fate::Reset`],
/// [`Fate::Unreachable`] and [`Fate::NoSuchName`] are to be sent back, anything else to be dropped.
#[inline(always)]
pub fn answer<D: Desk>(mut desk: D) -> Fate {
    match desk.meet() {
        Kind::Segment => desk.reset(),
        Kind::Datagram => desk.prohibited(),
        Kind::Question => match desk.no_such_name() {
            Some(fate) => fate,
            None => desk.prohibited(),
        },
        Kind::Other => Fate::Silent,
    }
}

/// Tells both ends of a connection that it is over, by a packet of it that is about to leave:
/// [`Fate::Cut`] is to go on, anything else to be dropped. `sent`: it comes from the local host,
/// which is then told too that a connection won't come about.
#[inline(always)]
pub fn part<D: Desk>(mut desk: D, sent: bool) -> Fate {
    match desk.meet() {
        Kind::Segment => desk.cut(sent),
        _ => Fate::Silent,
    }
}

/// The desk outside the kernel.
#[derive(Debug)]
pub struct HostDesk<'a, P> {
    /// The frame, as it came.
    pub packet: P,
    /// What becomes of it.
    pub to: &'a mut ReplyFrame,
    /// Where the answer is written down.
    pub letter: &'a mut Letter,
}

impl<P: crate::Packet> Desk for HostDesk<'_, P> {
    fn meet(&mut self) -> Kind {
        meet(self.packet, self.letter)
    }

    fn reset(&mut self) -> Fate {
        reset(self.packet, self.to, self.letter)
    }

    fn no_such_name(&mut self) -> Option<Fate> {
        no_such_name(self.packet, self.to, self.letter)
    }

    fn prohibited(&mut self) -> Fate {
        prohibited(self.packet, self.to, self.letter)
    }

    fn cut(&mut self, sent: bool) -> Fate {
        cut(self.packet, sent, self.to, self.letter)
    }
}
