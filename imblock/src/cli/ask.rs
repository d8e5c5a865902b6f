//! The commands that ask and change nothing: `why`, `policy diff`, `policy learn`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::Args;
use imblock_common::Transport;
use ipnet::IpNet;

use super::OutputArgs;
use crate::policy::Moment;
use crate::why::made::NAME_MAX;

/// `why`.
#[derive(Debug, Args)]
pub struct WhyArgs {
    /// The local host: an address, or ADDRESS:PORT
    #[arg(value_name = "FROM", value_parser = local_end, required_unless_present = "pcap")]
    pub from: Option<(IpAddr, Option<u16>)>,
    /// The other end: ADDRESS, ADDRESS:PORT or ADDRESS:PORT/udp; without a port 443/tcp, with --dns
    /// 53/udp
    #[arg(value_name = "TO[:PORT/PROTO]", value_parser = remote_end,
          required_unless_present = "pcap")]
    pub to: Option<RemoteEnd>,
    /// The name that the client says, in a TLS hello
    #[arg(long, value_name = "NAME", value_parser = host_name)]
    pub name: Option<String>,
    /// It asks a DNS server for the name instead
    #[arg(long, requires = "name")]
    pub dns: bool,
    /// Ask about a frame of a capture, a file; those of its flow that come before it are judged first
    #[arg(long, value_name = "CAPTURE", requires = "frame",
          conflicts_with_all = ["from", "to", "name"])]
    pub pcap: Option<PathBuf>,
    /// What would happen then, by the schedules of the policy in force: as 2026-03-29T21:45, perhaps
    /// with a time zone behind it: "2026-03-29T21:45 Europe/Berlin"
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub at: Option<Moment>,
    /// The number of the frame in the capture, from 1
    #[arg(long, value_name = "N", requires = "pcap",
          value_parser = clap::value_parser!(u64).range(1..))]
    pub frame: Option<u64>,
    /// In the capture, hosts in PREFIX are the local ones; without it, the client of the flow is
    #[arg(long, value_name = "PREFIX", requires = "pcap",
          value_parser = crate::policy::prefix_argument)]
    pub local: Vec<IpNet>,
    /// How to print
    #[command(flatten)]
    pub output: OutputArgs,
}

/// The far end of a flow, as far as it was typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemoteEnd {
    /// Its address.
    pub address: IpAddr,
    /// Its port.
    pub port: Option<u16>,
    /// TCP or UDP.
    pub transport: Option<Transport>,
}

/// `policy diff`.
#[derive(Debug, Args)]
pub struct DiffArgs {
    /// The new policy: a file, - for the standard input, or the name of an embedded policy
    #[arg(value_name = "FILE")]
    pub file: String,
    /// The old policy, instead of the one in force; needs no instance
    #[arg(long, value_name = "FILE")]
    pub from: Option<String>,
    /// Captures that tell more
    #[command(flatten)]
    pub over: OverCaptures,
    /// List everything, and not only the first few
    #[arg(long)]
    pub all: bool,
    /// How to print
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Captures that are held against two policies.
#[derive(Debug, Args)]
pub struct OverCaptures {
    /// Replay a capture, a directory of them, or - for the standard input, under both policies, and
    /// tell which flows would fare otherwise
    #[arg(long, value_name = "CAPTURE")]
    pub replay: Vec<PathBuf>,
    /// In captures, hosts in PREFIX are the local ones; without it, the client of each flow is
    #[arg(long, value_name = "PREFIX", requires = "replay",
          value_parser = crate::policy::prefix_argument)]
    pub local: Vec<IpNet>,
}

/// `policy learn`.
#[derive(Debug, Args)]
pub struct LearnArgs {
    /// Only what was seen since then is used: 30m, 12h or 7d ago, or a time such as
    /// 2026-03-01T00:00:00Z
    #[arg(long, value_name = "SINCE", value_parser = since)]
    pub since: Option<Since>,
    /// What so many hosts use is proposed to be allowed
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub many: usize,
    /// Learn from a capture, or a directory of them, instead of the counters of the instance
    #[arg(long, value_name = "CAPTURE")]
    pub replay: Vec<PathBuf>,
    /// In captures, hosts in PREFIX are the local ones; without it, the client of each flow is
    #[arg(long, value_name = "PREFIX", requires = "replay",
          value_parser = crate::policy::prefix_argument)]
    pub local: Vec<IpNet>,
    /// Print the findings as JSON instead of a policy
    #[command(flatten)]
    pub output: OutputArgs,
}

/// A time in the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// So many seconds ago.
    Ago(u64),
    /// At a time, in seconds since 1970.
    At(u64),
}

/// `12h`, or a time.
fn since(text: &str) -> Result<Since, String> {
    let units = [('s', 1), ('m', 60), ('h', 3_600), ('d', 86_400)];
    let ago = units.into_iter().find_map(|(unit, seconds)| {
        let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
        number.checked_mul(seconds).map(Since::Ago)
    });
    let at = || {
        let at: jiff::Timestamp = text.parse().ok()?;
        u64::try_from(at.as_second()).ok().map(Since::At)
    };
    ago.or_else(at)
        .ok_or_else(|| "expected 30m, 12h, 7d or a time such as 2026-03-01T00:00:00Z".to_owned())
}

/// An instant.
fn moment(text: &str) -> Result<Moment, String> {
    Moment::parse(text).map_err(|error| {
        format!("{error}; write 2026-03-29T21:45, or the same and a time zone: Europe/Berlin")
    })
}

/// `ADDRESS` or `ADDRESS:PORT`; an IPv6 address with a port stands in brackets.
fn local_end(text: &str) -> Result<(IpAddr, Option<u16>), String> {
    if let Ok(address) = text.parse() {
        return Ok((address, None));
    }
    match text.parse::<SocketAddr>() {
        Ok(end) if end.port() != 0 => Ok((end.ip(), Some(end.port()))),
        _ => Err(
            "expected an address, such as 10.0.0.2, 10.0.0.2:50000 or [2001:db8::2]:50000"
                .to_owned(),
        ),
    }
}

/// The same, perhaps with `/tcp` or `/udp` behind it.
fn remote_end(text: &str) -> Result<RemoteEnd, String> {
    let (end, transport) = match text.rsplit_once('/') {
        None => (text, None),
        Some((end, "tcp")) => (end, Some(Transport::Tcp)),
        Some((end, "udp")) => (end, Some(Transport::Udp)),
        Some((_, other)) => return Err(format!("`{other}` is neither tcp nor udp")),
    };
    let (address, port) = local_end(end).map_err(|_| {
        "expected an address, such as 192.0.2.7, 192.0.2.7:6667/tcp or [2001:db8::7]:443/udp"
            .to_owned()
    })?;
    Ok(RemoteEnd {
        address,
        port,
        transport,
    })
}

/// What fits into a hello and a question.
fn host_name(text: &str) -> Result<String, String> {
    let name = text.trim_end_matches('.');
    let fits = |label: &str| (1..=63).contains(&label.len());
    if name.len() <= NAME_MAX && name.is_ascii() && name.split('.').all(fits) {
        Ok(name.to_owned())
    } else {
        Err("expected a host name, such as web.whatsapp.com".to_owned())
    }
}
