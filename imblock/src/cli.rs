//! The command line: what may be typed, and nothing else. Meaning is given in `commands`.

mod ask;

use std::net::SocketAddr;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use imblock_common::Side;

use crate::kernel::InstanceName;
use crate::policy::plan::{InterfacePlan, XdpAttachMode};

pub use ask::{DiffArgs, LearnArgs, OverCaptures, RemoteEnd, Since, WhyArgs};

/// What scripts can tell from the exit code; see [`crate::exit::Exit`].
const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed, for a reason without a number of its own
  2  the command line is wrong
  3  the policy is wrong, or can't be read
  4  a capability or file permission is missing
  5  the kernel lacks something
  6  the interface is unknown or refuses
  7  the instance is not running
  8  the instance is busy, or somebody else's XDP program is attached";

/// Tell, count and block instant messengers, VoIP and peer-to-peer at the network card.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, after_help = EXIT_CODES)]
pub struct Cli {
    /// Which instance is meant, where several run side by side
    #[arg(long, global = true, default_value = "main", value_name = "NAME")]
    pub instance: InstanceName,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show the whole thing on a throw-away network
    Demo(crate::demo::DemoArgs),
    /// Attach, serve metrics, and stay in the foreground until told to stop
    ///
    /// SIGHUP reads the policy again, which must be a file for that; a wrong one changes nothing. SIGINT and SIGTERM detach and
    /// end, unless --keep is given.
    Run(RunArgs),
    /// Attach and leave: enforcement and counters go on without a process
    Up(AttachArgs),
    /// Detach from everything and forget the counters; what was set by hand is remembered
    Down,
    /// Drop services from now on
    Block(ToggleArgs),
    /// Drop services from now on, and tell those who use them at once
    ///
    /// Connections end by a reset, datagrams by an ICMP error, and questions for names by the answer
    /// that there is none, instead of in silence.
    Reject(ToggleArgs),
    /// Let services pass from now on, as traffic that is watched
    Count(ToggleArgs),
    /// Let services pass from now on, as traffic that is wanted
    Allow(ToggleArgs),
    /// Undo block, reject, count and allow: go back to what the policy says
    Reset(ResetArgs),
    /// Show what is attached and in force
    Status(OutputArgs),
    /// Show services, what is done with them, and how much was seen
    Services(ServicesArgs),
    /// Show which host uses which service
    Hosts(HostsArgs),
    /// Say what happens to a packet, and whose doing that is
    ///
    /// A second copy of the programs is asked, with the tables that are in force: what is live is
    /// neither disturbed nor counted.
    Why(WhyArgs),
    /// Check, show and apply policies
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Run captures through a policy, without any rights
    Replay(ReplayCommand),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page, in roff
    Man,
}

/// Where to attach, and by which policy.
#[derive(Debug, Args)]
pub struct AttachArgs {
    /// A policy file, - for the standard input, or the name of an embedded policy: audit, historic,
    /// office, school, home
    #[arg(short, long, default_value = "audit", value_name = "POLICY")]
    pub policy: String,
    /// An interface, and which way it leads: `lan` (default), to the hosts you police, or `wan`, to
    /// the Internet. Instead of the interfaces that the policy names
    #[arg(short, long = "interface", value_name = "IFACE[:SIDE]", value_parser = interface)]
    pub interfaces: Vec<InterfacePlan>,
}

/// `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Where and by which policy
    #[command(flatten)]
    pub attach: AttachArgs,
    /// Address of /metrics, or `none`
    #[arg(long, default_value = "127.0.0.1:9863", value_name = "ADDR", value_parser = listen)]
    pub listen: Listen,
    /// Also export the K hosts with the most traffic one by one, the others together
    #[arg(long, value_name = "K", default_value_t = 0)]
    pub per_host: usize,
    /// Leave enforcement and counters in place when stopping, for the next start to take over
    #[arg(long)]
    pub keep: bool,
}

/// Where /metrics listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listen {
    /// At an address.
    At(SocketAddr),
    /// Nowhere.
    Nowhere,
}

/// `block`, `reject`, `count`, `allow`.
#[derive(Debug, Args)]
pub struct ToggleArgs {
    /// Service ids (see `imblock services`), `family:meta`, `category:im`, `status:historic`, or
    /// `all`
    #[arg(required = true, value_name = "SERVICE")]
    pub selectors: Vec<String>,
    /// Only for the hosts of this group of the policy
    #[arg(short, long, value_name = "GROUP")]
    pub group: Option<String>,
    /// Only for this time (30m, 2h, 1h30m, 7d): then the kernel goes back to what the policy says, by
    /// itself
    #[arg(long = "for", value_name = "TIME", value_parser = lease)]
    pub time: Option<Duration>,
}

/// `reset`.
#[derive(Debug, Args)]
pub struct ResetArgs {
    /// Service ids, `family:meta`, `category:im`, `status:historic`; everything if none is given
    #[arg(value_name = "SERVICE")]
    pub selectors: Vec<String>,
    /// Only for the hosts of this group of the policy
    #[arg(short, long, value_name = "GROUP")]
    pub group: Option<String>,
}

/// Text or JSON.
#[derive(Clone, Copy, Debug, Args)]
pub struct OutputArgs {
    /// Print JSON instead of text
    #[arg(long)]
    pub json: bool,
}

/// `services`.
#[derive(Debug, Args)]
pub struct ServicesArgs {
    /// Service ids, `family:meta`, `category:im`, `status:historic`; all if none is given, and all
    /// that is known of one if one id is
    #[arg(value_name = "SERVICE")]
    pub selectors: Vec<String>,
    /// How to print
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `hosts`.
#[derive(Debug, Args)]
pub struct HostsArgs {
    /// Go on, showing what changes
    #[arg(short, long)]
    pub watch: bool,
    /// Seconds between two looks
    #[arg(long, default_value_t = 1.0, value_name = "SECONDS", requires = "watch",
          value_parser = interval)]
    pub interval: f64,
    /// At most this many rows
    #[arg(long, value_name = "N")]
    pub top: Option<usize>,
    /// Only this service
    #[arg(long, value_name = "SERVICE")]
    pub service: Option<String>,
    /// How to print
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `policy …`.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Say whether policies are right, and all that is wrong with them
    Check {
        /// Policy files, - for the standard input, or names of embedded policies
        #[arg(required = true, value_name = "FILE")]
        files: Vec<String>,
        /// How to print
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Print what a policy does with each service in each group, and which rule says so
    Show {
        /// A policy file, - for the standard input, or the name of an embedded policy; the one in force
        /// if none is given
        #[arg(short, long, value_name = "POLICY")]
        policy: Option<String>,
        /// How to print
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Print the JSON Schema of policies, for editors
    Schema {
        /// That of a file of the catalogue, which has one service
        #[arg(long)]
        service: bool,
    },
    /// Say what is different between the policy in force and a file, or between two files
    ///
    /// Exit codes as those of diff: 0 there is no difference, 1 there is one, more is trouble (2 the
    /// command line or a capture is wrong, 3 a policy is, 7 the instance is not running).
    Diff(DiffArgs),
    /// Propose a policy, out of what was counted or what captures tell
    ///
    /// Prints YAML with the evidence for each line. What was seen is never proposed to be dropped.
    Learn(LearnArgs),
    /// Put another policy in force, between two packets
    Apply {
        /// A policy file, - for the standard input, or the name of an embedded policy
        #[arg(value_name = "FILE")]
        file: String,
        /// Go back to the policy before unless `policy confirm` comes within this time (5s to 1h):
        /// the kernel does so by itself, also when this process is gone and you are cut off
        #[arg(long, value_name = "TIME", value_parser = confirmation)]
        confirm: Option<Duration>,
        /// Refuse if more flows of the captures than N pass now and would be dropped
        #[arg(long, value_name = "N", requires = "replay")]
        max_new_drops: Option<u64>,
        /// Captures to ask
        #[command(flatten)]
        over: OverCaptures,
    },
    /// Make a policy stay that was applied with --confirm
    Confirm,
    /// Go back to the policy before the one in force, between two packets
    ///
    /// What was set by hand stays. There is one step back, no more, until a policy is applied again.
    Rollback,
}

/// `replay`.
#[derive(Debug, Args)]
pub struct ReplayCommand {
    /// A policy file, - for the standard input, or the name of an embedded policy
    #[arg(short, long, default_value = "audit", value_name = "POLICY")]
    pub policy: String,
    /// What and how
    #[command(flatten)]
    pub replay: crate::commands::replay::ReplayArgs,
}

fn listen(text: &str) -> Result<Listen, String> {
    if text == "none" {
        return Ok(Listen::Nowhere);
    }
    text.parse()
        .map(Listen::At)
        .map_err(|_| format!("`{text}` is neither `none` nor an address such as 127.0.0.1:9863"))
}

/// `IFACE` or `IFACE:SIDE`. A LAN side has an egress program too, which sees what the box itself and
/// other interfaces send to the hosts.
fn interface(text: &str) -> Result<InterfacePlan, String> {
    let (name, side) = match text.rsplit_once(':') {
        None => (text, Side::Lan),
        Some((name, "lan")) => (name, Side::Lan),
        Some((name, "wan")) => (name, Side::Wan),
        Some((_, side)) => {
            return Err(format!(
                "there is no side `{side}`: an interface is `lan` (towards the hosts you police) \
                 or `wan` (towards the Internet)"
            ));
        }
    };
    if name.is_empty() {
        return Err("the name of the interface is missing".to_owned());
    }
    Ok(InterfacePlan {
        name: name.to_owned(),
        side,
        mode: XdpAttachMode::Auto,
        egress: side == Side::Lan,
    })
}

/// The programs' clock tells a year from the past; more is no lease.
fn lease(text: &str) -> Result<Duration, String> {
    let span = crate::time::parse(text)?;
    if (1..=366 * 86_400).contains(&span.as_secs()) {
        Ok(span)
    } else {
        Err("a time from 1s to 366d is meant; without --for it holds until it is reset".to_owned())
    }
}

/// Below 5 s nobody confirms in time; after an hour nobody remembers.
fn confirmation(text: &str) -> Result<Duration, String> {
    let span = crate::time::parse(text)?;
    if (5..=3600).contains(&span.as_secs()) {
        Ok(span)
    } else {
        Err("a confirmation can be waited for from 5s to 1h".to_owned())
    }
}

fn interval(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.1..=3600.0).contains(&seconds) => Ok(seconds),
        _ => Err("expected seconds between 0.1 and 3600".to_owned()),
    }
}
