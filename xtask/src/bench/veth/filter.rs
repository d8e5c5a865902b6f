//! What can stand between a cable and the stack, and how it gets there.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use aya::Ebpf;
use aya::programs::Xdp;
use aya::programs::xdp::XdpMode;
use imblock::lab::Namespace;

use super::super::programs::{self, EMPTY};
use super::super::xdp_filter::{self, Features};
use super::imblock::{Instance, Tool};
use super::peers::{self, Nft, Step};
use super::policy::Policy;
use super::rig::{self, ENTRANCE};

/// The benchmark's own program that drops everything.
const DISCARD: &str = "discard";

#[derive(Clone, Copy, Debug)]
pub(super) enum Filter {
    Nothing,
    /// An XDP program that drops whatever comes.
    Drop,
    /// An XDP program that drops nothing.
    Pass,
    Imblock(Policy),
    /// xdp-filter.
    OfXdpTools(Features),
    Nft(Nft),
    /// iptables, `-m multiport`, in that table and chain.
    Multiport(&'static str),
    Ipset,
    /// iptables, `-m string` for each pattern, in so many places of the payload.
    Strings(Option<usize>),
}

/// A filter in its place. It goes with this value, or with the network.
pub(super) enum Installed {
    ByCommand,
    Program(#[expect(dead_code, reason = "it holds the link")] Box<Ebpf>),
    Imblock(Instance),
}

impl Installed {
    pub(super) fn instance(&self) -> Option<&Instance> {
        match self {
            Self::Imblock(instance) => Some(instance),
            Self::ByCommand | Self::Program(_) => None,
        }
    }
}

impl Filter {
    /// Whether the benchmark is worth nothing without it. Others may be not installed.
    pub(super) const fn must_be_there(self) -> bool {
        matches!(
            self,
            Self::Nothing | Self::Drop | Self::Pass | Self::Imblock(_)
        )
    }

    pub(super) fn install(self, namespace: &Arc<Namespace>, tool: &Tool) -> Result<Installed> {
        let commands = |steps: Vec<Step>| -> Result<Installed> {
            for step in steps {
                rig::run(namespace, &step)?;
            }
            Ok(Installed::ByCommand)
        };
        match self {
            Self::Nothing => Ok(Installed::ByCommand),
            Self::Drop => attach(namespace, programs::bench(DISCARD)?, DISCARD),
            Self::Pass => attach(namespace, programs::bench(EMPTY)?, EMPTY),
            Self::Imblock(policy) => Ok(Installed::Imblock(tool.up(namespace, &policy)?)),
            Self::OfXdpTools(features) => {
                let object = xdp_filter::load(features, peers::ports())?;
                attach(namespace, object, features.program())
            }
            Self::Nft(place) => commands(peers::nft(place)),
            Self::Multiport(chain) => commands(peers::multiport(chain)),
            Self::Ipset => commands(peers::ipset()),
            Self::Strings(places) => commands(peers::strings(places)),
        }
    }
}

/// Attaches a loaded program in native mode.
fn attach(namespace: &Namespace, mut object: Ebpf, name: &str) -> Result<Installed> {
    let interface = namespace.index(ENTRANCE)?;
    let program = object
        .program_mut(name)
        .context("a loaded program is gone")?;
    let program: &mut Xdp = program.try_into()?;
    namespace.run(|| program.attach_to_if_index(interface, XdpMode::Driver))??;
    Ok(Installed::Program(Box::new(object)))
}
