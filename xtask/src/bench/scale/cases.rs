//! What is small or large, and the frames that meet it.

use anyhow::Result;
use imblock::policy::plan::Plan;
use imblock_common::testkit::{ClientHello, Frame, flags};

use super::super::classes::{Verdict, choosing_from, v4};
use super::plans::{self, PORT, Shape};

/// One thing that may be small or large.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) small: Side,
    pub(super) large: Side,
    pub(super) front: Front,
    pub(super) verdict: Verdict,
    /// How many nanoseconds more the large one may cost.
    pub(super) most: Option<f64>,
}

/// One size of it.
pub(super) struct Side {
    pub(super) plan: Plan,
    /// What is said before, each so often that nearly all that can vary has come.
    pub(super) before: Vec<Vec<u8>>,
    pub(super) warm_up: u32,
    /// What is measured, one after the other.
    pub(super) frames: Vec<Vec<u8>>,
}

/// What varies in each frame.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Front {
    Nothing,
    Host,
    Flow,
}

/// More than the clock and the machine's mood make of two equal programs, in nanoseconds.
const NOISE: f64 = 5.0;
/// Client ports that the program in front chooses from.
const PORTS: u16 = 0x8000;

pub(super) fn all() -> Result<Vec<Case>> {
    Ok(vec![
        rules()?,
        services()?,
        groups()?,
        names()?,
        prefixes()?,
        flows()?,
        pairs()?,
    ])
}

/// A frame that needs no preparation.
fn alone(plan: Plan, frame: &Frame) -> Side {
    Side {
        plan,
        before: Vec::new(),
        warm_up: 1,
        frames: vec![frame.build()],
    }
}

fn dropped() -> Frame {
    v4().udp(49_152, PORT)
}

fn rules() -> Result<Case> {
    let with = |rules| {
        let shape = Shape {
            groups: 250,
            rules,
            services: Some(41),
        };
        Ok::<_, anyhow::Error>(alone(shape.plan()?, &dropped()))
    };
    Ok(Case {
        name: "rules, 10 and 10,000",
        small: with(10)?,
        large: with(10_000)?,
        front: Front::Nothing,
        verdict: Verdict::Drop,
        most: Some(NOISE),
    })
}

fn services() -> Result<Case> {
    let with = |services| {
        let shape = Shape {
            groups: 0,
            rules: 1,
            services,
        };
        Ok::<_, anyhow::Error>(alone(shape.plan()?, &dropped()))
    };
    Ok(Case {
        name: "services, the catalogue and 512",
        small: with(Some(1))?,
        large: with(None)?,
        front: Front::Nothing,
        verdict: Verdict::Drop,
        most: Some(NOISE),
    })
}

fn groups() -> Result<Case> {
    let with = |groups| {
        let shape = Shape {
            groups,
            rules: 1,
            services: Some(1),
        };
        Ok::<_, anyhow::Error>(alone(shape.plan()?, &dropped()))
    };
    Ok(Case {
        name: "groups, 2 and 256",
        small: with(1)?,
        large: with(255)?,
        front: Front::Nothing,
        verdict: Verdict::Drop,
        most: None,
    })
}

/// A hello with one of so many names, each of a flow of its own.
fn names() -> Result<Case> {
    let hello = ClientHello::new("n0-1.large.example").build();
    let hello = v4()
        .tcp(49_152, 443)
        .flags(flags::ACK | flags::PSH)
        .payload(&hello);
    let with = |names| {
        Ok::<_, anyhow::Error>(Side {
            frames: vec![choosing_from(PORTS, 255, hello.build())],
            ..alone(plans::lists(names, 16)?, &hello)
        })
    };
    Ok(Case {
        name: "names, 16 and 100,000",
        small: with(16)?,
        large: with(100_000)?,
        front: Front::Flow,
        verdict: Verdict::Drop,
        most: None,
    })
}

/// The first payload of a flow to an address of one of so many prefixes.
fn prefixes() -> Result<Case> {
    let payload = Frame::eth()
        .ipv4("10.0.0.2", "20.0.0.7")
        .tcp(49_152, 8443)
        .flags(flags::ACK | flags::PSH)
        .payload(&[0; 400]);
    let with = |prefixes| {
        Ok::<_, anyhow::Error>(Side {
            frames: vec![choosing_from(PORTS, 255, payload.build())],
            ..alone(plans::lists(16, prefixes)?, &payload)
        })
    };
    Ok(Case {
        name: "prefixes, 16 and 100,000",
        small: with(16)?,
        large: with(100_000)?,
        front: Front::Flow,
        verdict: Verdict::Drop,
        most: None,
    })
}

/// Data of flows that are known.
fn flows() -> Result<Case> {
    let hello = ClientHello::new("n99-1.large.example").build();
    let tcp = |flags| v4().tcp(49_152, 443).flags(flags);
    let frames = [
        tcp(flags::SYN),
        tcp(flags::ACK | flags::PSH).payload(&hello),
    ];
    let data = tcp(flags::ACK | flags::PSH).payload(&[23; 1346]);
    let with = |ports: u16, hosts: u8| {
        let vary = |frame: &Frame| choosing_from(ports, hosts, frame.build());
        let flows = u32::from(ports) * u32::from(hosts);
        Ok::<_, anyhow::Error>(Side {
            plan: plans::lists(800, 16)?,
            before: frames.iter().map(vary).collect(),
            warm_up: flows * 5,
            frames: vec![vary(&data)],
        })
    };
    Ok(Case {
        name: "known flows, 1,000 and 1,000,000",
        small: with(1_000, 1)?,
        large: with(PORTS, 31)?,
        front: Front::Flow,
        verdict: Verdict::Pass,
        most: None,
    })
}

/// Hosts that use four services each.
fn pairs() -> Result<Case> {
    let with = |hosts: u16| {
        let shape = Shape {
            groups: 0,
            rules: 1,
            services: Some(5),
        };
        let frames = (1..5).map(|service| v4().udp(49_152, PORT + service).build());
        let frames: Vec<_> = frames.map(|frame| choosing_from(hosts, 0, frame)).collect();
        Ok::<_, anyhow::Error>(Side {
            plan: shape.plan()?,
            before: frames.clone(),
            warm_up: u32::from(hosts) * 12,
            frames,
        })
    };
    Ok(Case {
        name: "(host, service) pairs, 1,000 and 200,000",
        small: with(250)?,
        large: with(50_000)?,
        front: Front::Host,
        verdict: Verdict::Pass,
        most: None,
    })
}
