//! What can go wrong between this process and the kernel.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use aya::maps::MapError;
use aya::pin::PinError;
use aya::programs::ProgramError;
use aya::programs::links::LinkError;
use imblock_common::layout::ABI;

use crate::exit::Exit;

/// Trouble with the kernel, its maps, its links or its interfaces.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// A capability is missing.
    #[error(
        "no permission: this needs {missing}, which the process does not have; run it as root \
         (policy check, policy show -p and replay need no rights)"
    )]
    NoPermission {
        /// The capabilities, by name.
        missing: String,
    },
    /// The kernel is too old or was built without something.
    #[error("this kernel lacks {what}: {hint}")]
    Lacks {
        /// The feature.
        what: &'static str,
        /// Since which kernel it exists, or how to switch it on.
        hint: &'static str,
    },
    /// The bpffs isn't there and can't be mounted.
    #[error(
        "no BPF file system at {path}, and mounting one failed ({source}): try `mkdir -p {path}` and \
         `mount -t bpf bpf {path}`, or name another place with IMBLOCK_BPFFS"
    )]
    NoBpffs {
        /// Where it was looked for.
        path: PathBuf,
        /// Why the mount failed.
        source: io::Error,
    },
    /// The name of an instance can't be a directory name.
    #[error("`{0}` can't name an instance: use 1 to 32 letters, digits, hyphens and underscores")]
    InstanceName(String),
    /// The instance has no pins.
    #[error(
        "instance `{0}` is not running: start it with `imblock up` or `imblock run`, or choose \
         another with --instance"
    )]
    NotRunning(String),
    /// The pins are of another version of the layout.
    #[error(
        "the pinned maps of this instance are of another version of imblock (layout {}, this one's is \
         {expected}): take them down with `imblock down` (counters are lost) and start again",
        .found.map_or_else(|| "unknown".to_owned(), |found| found.to_string())
    )]
    Abi {
        /// In the pinned map; `None` where that is of another size.
        found: Option<u32>,
        /// [`imblock_common::layout::ABI`].
        expected: u32,
    },
    /// Policies are applied faster than one can be read.
    #[error("the policy in force changes all the time: try again when nobody applies policies")]
    Unsteady,
    /// There is no such interface.
    #[error("there is no interface `{name}` in this network namespace{}", listed(.known))]
    NoInterface {
        /// As asked for.
        name: String,
        /// The interfaces that exist.
        known: Vec<String>,
    },
    /// A bridge has nobody to stand for it.
    #[error("the bridge `{bridge}` has no ports, and XDP attaches to those: add them first")]
    NoPorts {
        /// The bridge.
        bridge: String,
    },
    /// Somebody else's XDP program is on the interface.
    #[error(
        "interface `{interface}` already has the XDP program `{program}` (id {id}), which is not \
         of this instance; imblock does not replace it: detach it first, with \
         `ip link set dev {interface} xdp off` or the tool that attached it"
    )]
    Foreign {
        /// Where.
        interface: String,
        /// The program's name in the kernel; "?" if it can't be read.
        program: String,
        /// The program's id in the kernel.
        id: u32,
    },
    /// The driver can't run XDP itself.
    #[error(
        "interface `{interface}` can't run XDP in its driver ({source}): use `mode: auto` or \
         `mode: generic` for it"
    )]
    NotNative {
        /// Where.
        interface: String,
        /// What the kernel said.
        source: Box<ProgramError>,
    },
    /// An attachment failed.
    #[error("could not attach to interface `{interface}` ({hook})")]
    Attach {
        /// Where.
        interface: String,
        /// Which hook.
        hook: &'static str,
        /// What the kernel said.
        source: Box<ProgramError>,
    },
    /// A start failed, and what was attached before could not be attached again.
    #[error(
        "{} left without a program, for what was there could not be put back ({}): nothing is seen or \
         blocked there until an `imblock up` attaches again; it began with this",
        are(.interfaces), with_causes(.reason)
    )]
    NotPutBack {
        /// Where.
        interfaces: Vec<String>,
        /// Why it could not be put back, at the first of them.
        reason: Box<KernelError>,
        /// Why the start failed.
        #[source]
        error: Box<KernelError>,
    },
    /// The verifier or the loader refused a program.
    #[error("the kernel refused the program `{program}`: {}", digest(.source))]
    Program {
        /// Its name.
        program: &'static str,
        /// What the kernel said.
        source: Box<ProgramError>,
    },
    /// The object could not be loaded.
    #[error("could not load the kernel object")]
    Load(#[source] Box<aya::EbpfError>),
    /// The object lacks a program or map that this program expects.
    #[error("the kernel object has no `{0}`: it does not fit this program, rebuild both")]
    Missing(&'static str),
    /// A map refused an operation.
    #[error("map {map}: could not {what}")]
    Map {
        /// The map's name.
        map: &'static str,
        /// What was tried.
        what: &'static str,
        /// What the kernel said.
        source: Box<MapError>,
    },
    /// A table could not be mapped.
    #[error("could not map a table of the programs into memory ({source})")]
    MapMemory {
        /// What the kernel said.
        source: rustix::io::Errno,
    },
    /// A pinned map could not be opened.
    #[error("could not open the pinned map {path}")]
    OpenMap {
        /// The pin.
        path: PathBuf,
        /// What the kernel said.
        source: Box<MapError>,
    },
    /// A pinned link could not be opened or made.
    #[error("could not open the pinned link {path}")]
    OpenLink {
        /// The pin.
        path: PathBuf,
        /// What the kernel said.
        source: Box<LinkError>,
    },
    /// A pinned program could not be opened.
    #[error("could not open the pinned program {path}")]
    OpenProgram {
        /// The pin.
        path: PathBuf,
        /// What the kernel said.
        source: Box<ProgramError>,
    },
    /// A link or a program could not be pinned.
    #[error("could not make the pin {path}")]
    PinLink {
        /// The pin.
        path: PathBuf,
        /// What the kernel said.
        source: Box<PinError>,
    },
    /// A pin directory or file could not be made, listed or removed.
    #[error("{path}: {what}")]
    Pins {
        /// Which.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// The kernel did not free a link that was let go.
    #[error(
        "program {program} is still on interface `{interface}` although its pin is removed: some \
         other process holds its link; `bpftool link show` tells which"
    )]
    StillAttached {
        /// Where.
        interface: String,
        /// The program's id in the kernel.
        program: u32,
    },
    /// The kernel's interface list could not be read.
    #[error("could not ask the kernel for {what} over netlink")]
    Netlink {
        /// What was asked for.
        what: &'static str,
        /// Why it failed.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A trie is full.
    #[error(
        "the policy has more entries for {map} than the maps have room for ({room}, both halves \
         together): raise `limits.prefixes` and restart with `imblock down` and `imblock up`"
    )]
    TooManyPrefixes {
        /// The map's name.
        map: &'static str,
        /// Entries that the map has room for.
        room: u32,
    },
    /// Another policy waits for its confirmation.
    #[error(
        "the policy in force waits for its confirmation, for another {} s: `imblock policy confirm` \
         makes it stay, `imblock policy rollback` ends it; then another one can be applied", .left.as_secs()
    )]
    Unconfirmed {
        /// How long.
        left: std::time::Duration,
    },
    /// No policy waits for its confirmation.
    #[error(
        "no policy waits for a confirmation: only one that was applied with --confirm does, until \
         its time is over"
    )]
    NothingToConfirm,
    /// There is no policy to go back to.
    #[error(
        "there is no previous policy to go back to: {0}; `imblock policy apply` takes any file"
    )]
    NoPrevious(&'static str),
    /// No interface was named.
    #[error(
        "no interface to attach to: name one with -i (for example `-i br-lan:lan`) or in the \
         policy's `interfaces`"
    )]
    NoInterfaces,
}

impl KernelError {
    /// The exit code for this kind of trouble.
    pub fn exit(&self) -> Exit {
        match self {
            Self::NoPermission { .. } => Exit::NoPermission,
            Self::Lacks { .. } | Self::NoBpffs { .. } | Self::Program { .. } | Self::Load(_) => {
                Exit::KernelLacks
            }
            Self::InstanceName(_) | Self::NoInterfaces => Exit::Usage,
            Self::NotPutBack { error, .. } => error.exit(),
            Self::NotRunning(_) => Exit::NotRunning,
            Self::NoInterface { .. }
            | Self::NoPorts { .. }
            | Self::NotNative { .. }
            | Self::Attach { .. } => Exit::Interface,
            Self::Foreign { .. } | Self::Unconfirmed { .. } | Self::Unsteady => Exit::Busy,
            Self::TooManyPrefixes { .. } => Exit::BadPolicy,
            Self::NothingToConfirm
            | Self::NoPrevious(_)
            | Self::Abi { .. }
            | Self::Missing(_)
            | Self::Map { .. }
            | Self::OpenMap { .. }
            | Self::MapMemory { .. }
            | Self::OpenLink { .. }
            | Self::OpenProgram { .. }
            | Self::PinLink { .. }
            | Self::Pins { .. }
            | Self::StillAttached { .. }
            | Self::Netlink { .. } => Exit::Failed,
        }
    }

    pub(super) const fn abi(found: Option<u32>) -> Self {
        Self::Abi {
            found,
            expected: ABI,
        }
    }

    pub(super) fn map(map: &'static str, what: &'static str) -> impl Fn(MapError) -> Self {
        move |source| Self::Map {
            map,
            what,
            source: Box::new(source),
        }
    }
}

fn listed(names: &[String]) -> String {
    if names.is_empty() {
        String::new()
    } else {
        format!("; the interfaces here are {}", names.join(", "))
    }
}

fn are(interfaces: &[String]) -> String {
    match interfaces {
        [one] => format!("interface `{one}` is"),
        several => format!("the interfaces {} are", several.join(", ")),
    }
}

/// An error and what led to it; some tell that in their own sentence.
fn with_causes(error: &KernelError) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let said = next.to_string();
        if !words.contains(&said) {
            words = format!("{words}: {said}");
        }
        cause = next.source();
    }
    words
}

/// The last lines of a verifier log say why; the thousands before them say how it got there.
fn digest(error: &ProgramError) -> String {
    const LINES: usize = 12;
    match error {
        ProgramError::LoadError {
            io_error,
            verifier_log,
        } => {
            let log = verifier_log.to_string();
            let lines: Vec<&str> = log
                .lines()
                .filter(|line| !line.starts_with("processed "))
                .collect();
            let from = lines.len().saturating_sub(LINES);
            let tail = lines.get(from..).unwrap_or_default().join("\n  ");
            format!("{io_error}\n  {tail}")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_put_back_says_where_why_and_what_to_do() {
        let error = |interfaces: &[&str]| KernelError::NotPutBack {
            interfaces: interfaces.iter().map(|name| (*name).to_owned()).collect(),
            reason: Box::new(KernelError::Attach {
                interface: "lan0".to_owned(),
                hook: "XDP ingress",
                source: Box::new(ProgramError::NotAttached),
            }),
            error: Box::new(KernelError::NoInterfaces),
        };
        let said = error(&["lan0"]).to_string();
        for part in [
            "interface `lan0` is left without a program",
            "could not attach to interface `lan0` (XDP ingress): the program is not attached",
            "until an `imblock up` attaches again",
        ] {
            assert!(said.contains(part), "{said}");
        }
        let said = error(&["lan0", "lan1"]).to_string();
        assert!(
            said.starts_with("the interfaces lan0, lan1 are left"),
            "{said}"
        );
        assert_eq!(error(&[]).exit(), Exit::Usage, "that of the start's error");
    }
}
