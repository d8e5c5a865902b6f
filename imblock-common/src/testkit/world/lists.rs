//! What [`World::standard`](super::World::standard) knows of hosts, addresses and names.

use alloc::vec::Vec;
use core::net::IpAddr;

use super::{LONGEST_SUFFIX, alloc, group, service};
use crate::layout::HostEntry;

pub(super) fn hosts() -> Vec<(IpAddr, u8, HostEntry)> {
    const fn entry(group: u16, flags: u16) -> HostEntry {
        HostEntry { group, flags }
    }
    const fn v4(a: u8, b: u8, c: u8, d: u8) -> IpAddr {
        IpAddr::V4(core::net::Ipv4Addr::new(a, b, c, d))
    }
    const fn v6(c: u16, d: u16, h: u16) -> IpAddr {
        IpAddr::V6(core::net::Ipv6Addr::new(0x2001, 0xdb8, c, d, 0, 0, 0, h))
    }
    Vec::from([
        (v4(10, 0, 0, 1), 32, entry(0, HostEntry::OWN)),
        (v4(203, 0, 113, 1), 32, entry(0, HostEntry::OWN)),
        (v4(10, 0, 5, 0), 24, entry(group::SUPPORT, 0)),
        (v4(10, 0, 5, 128), 25, entry(group::KIDS, 0)),
        (
            v4(10, 0, 5, 77),
            32,
            entry(group::SUPPORT, HostEntry::PROTECTED),
        ),
        (v4(198, 51, 100, 9), 32, entry(0, HostEntry::PROTECTED)),
        (v6(0, 0, 1), 128, entry(0, HostEntry::OWN)),
        (v6(5, 0, 0), 48, entry(group::SUPPORT, 0)),
        (v6(5, 0x8000, 0), 49, entry(group::KIDS, 0)),
        (v6(0xffff, 0, 9), 128, entry(0, HostEntry::PROTECTED)),
    ])
}

pub(super) fn remotes() -> Vec<(IpAddr, u8, u16)> {
    Vec::from([
        (
            IpAddr::V4(core::net::Ipv4Addr::new(198, 51, 100, 64)),
            26,
            service::CHAT,
        ),
        (
            IpAddr::V6(core::net::Ipv6Addr::new(
                0x2001, 0xdb8, 0xffff, 0x64, 0, 0, 0, 0,
            )),
            64,
            service::CHAT,
        ),
    ])
}

pub(super) fn names() -> Vec<(&'static str, u16)> {
    Vec::from([
        ("whatsapp.com", service::CHAT),
        ("t.me", service::CHAT),
        ("calls.whatsapp.com", service::CALLS),
        (LONGEST_SUFFIX, service::CALLS),
    ])
}

pub(super) fn stun() -> Vec<(u16, u16, u16, bool)> {
    Vec::from([
        (0x4000, 0x4007, service::CHAT, true),
        (0x8070, 0x8070, service::CALLS, true),
        (0xff03, 0xff03, service::CHAT, false),
    ])
}
