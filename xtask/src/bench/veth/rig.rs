//! A network of a candidate's own: a cable whose far end carries the filter, a stack that forwards, and
//! an exit that throws away what comes out.
//!
//! ```text
//!   generator ─ near ═ p0 (the filter) ─ forwarding ─ out0 (throws away)
//! ```
//!
//! Invariant: nothing outside changes. The namespace goes with the value, whatever happens.

use std::cell::Cell;
use std::io::{ErrorKind, Write as _};
use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail, ensure};
use imblock::lab::{LabError, Namespace};

use super::super::timer;
use super::counters::{Counters, Fate};
use super::filter::{Filter, Installed};
use super::frames::Frame;
use super::generator::{BATCH, Generator};
use super::imblock::Tool;
use super::offload;
use super::peers::Step;

/// Where frames enter the network; the filter's interface.
pub(super) const ENTRANCE: &str = "p0";
/// Where they leave it.
pub(super) const EXIT: &str = "out0";
/// The end of the cable that the generator sends into.
const NEAR: &str = "near";
/// What [`imblock_common::testkit::Frame`] sends to.
const ENTRANCE_MAC: &str = "02:00:00:00:00:02";

pub(super) struct Rig {
    pub(super) name: String,
    installed: Installed,
    namespace: Arc<Namespace>,
    near: u32,
    /// Frames that were dropped before the stack.
    dropped: Cell<u64>,
}

impl Rig {
    pub(super) fn new(name: &str, filter: &Filter, queues: u8, tool: &Tool) -> Result<Self> {
        let namespace = Arc::new(Namespace::new(name)?);
        for switch in [
            "ipv6/conf/all/disable_ipv6",
            "ipv6/conf/default/disable_ipv6",
        ] {
            // A kernel without IPv6 says nothing in it anyway.
            let _ = namespace.sysctl(switch, "1");
        }
        for which in ["all", "default"] {
            namespace.sysctl(&format!("ipv4/conf/{which}/rp_filter"), "0")?;
        }
        namespace.sysctl("ipv4/ip_forward", "1")?;
        build(&namespace, queues)?;
        namespace.run(|| offload::enable_gro(ENTRANCE))??;
        let near = namespace.index(NEAR)?;
        let installed = filter
            .install(&namespace, tool)
            .with_context(|| name.to_owned())?;
        Ok(Self {
            name: name.to_owned(),
            installed,
            namespace,
            near,
            dropped: Cell::new(0),
        })
    }

    /// Sends frames, and gives the CPU time a frame, in nanoseconds.
    pub(super) fn send(
        &self,
        generator: &mut Generator,
        frame: &Frame,
        fate: Fate,
        count: u32,
    ) -> Result<f64> {
        let sent = u64::from(BATCH + count);
        let used = self.proved(generator, frame, fate, sent, |generator| {
            let call = generator.run(frame, BATCH)?;
            Ok(generator.run(frame, count)? - call)
        })?;
        Ok(used / f64::from(count - BATCH))
    }

    /// Sends frames on several CPUs at once, one a thread; the CPU time a frame.
    pub(super) fn send_on(
        &self,
        cpus: &[usize],
        generator: &mut Generator,
        frame: &Frame,
        fate: Fate,
        count: u32,
    ) -> Result<f64> {
        let all = u32::try_from(cpus.len())? * count;
        let used = self.proved(generator, frame, fate, all.into(), |generator| {
            std::thread::scope(|scope| {
                let threads: Vec<_> = cpus
                    .iter()
                    .map(|cpu| {
                        scope.spawn(move || {
                            timer::stay_on(*cpu)?;
                            generator.run(frame, count)
                        })
                    })
                    .collect();
                let times = threads.into_iter().map(|thread| {
                    let joined = thread.join();
                    joined.unwrap_or_else(|_| bail!("a sender panicked"))
                });
                times.sum::<Result<f64>>()
            })
        })?;
        Ok(used / f64::from(all))
    }

    /// Orders frames and has so many of them sent inside; what `send` says that it took. An error unless
    /// they fare as they should.
    fn proved(
        &self,
        generator: &mut Generator,
        frame: &Frame,
        fate: Fate,
        sent: u64,
        send: impl FnOnce(&Generator) -> Result<f64> + Send,
    ) -> Result<f64> {
        generator.order(frame, self.near)?;
        let generator = &*generator;
        let (used, before, after) = self
            .namespace
            .run(|| {
                let before = Counters::read()?;
                let used = send(generator)?;
                anyhow::Ok((used, before, Counters::settled(before, sent)?))
            })?
            .with_context(|| self.name.clone())?;
        if fate == Fate::BeforeStack {
            let dropped = self.dropped.get() + after.entered_since(before);
            self.dropped.set(dropped);
        }
        after
            .prove(before, sent, fate)
            .with_context(|| self.name.clone())?;
        Ok(used)
    }

    /// An error unless our own counters say that what was dropped was dropped by us, and that nothing
    /// was told of anything else.
    pub(super) fn audit(&self) -> Result<()> {
        let Some(instance) = self.installed.instance() else {
            return Ok(());
        };
        let (refused, identified) = (instance.refused()?, instance.identified()?);
        let dropped = self.dropped.get();
        ensure!(
            refused == dropped && identified == dropped,
            "{}: of {dropped} packets that were dropped imblock counted {refused}, and it told \
             services of {identified}",
            self.name
        );
        Ok(())
    }

    /// An error unless ours counted at least so many hosts, each by itself.
    pub(super) fn audit_hosts(&self, least: u64) -> Result<()> {
        let Some(instance) = self.installed.instance() else {
            return Ok(());
        };
        let hosts = instance.hosts()?;
        ensure!(hosts >= least, "{}: {hosts} hosts, not {least}", self.name);
        Ok(())
    }
}

fn build(namespace: &Namespace, queues: u8) -> Result<()> {
    let queues = format!("numtxqueues {queues} numrxqueues {queues}");
    let script = format!(
        "link add dev {NEAR} {queues} type veth peer name {ENTRANCE} address {ENTRANCE_MAC} {queues}
link add dev {EXIT} type ifb
link set {NEAR} up
link set {ENTRANCE} up
link set {EXIT} up
addr add 10.0.0.1/8 dev {ENTRANCE}
addr add 203.0.113.1/24 dev {EXIT}
route add default dev {EXIT}
"
    );
    run(namespace, &Step::new("ip", "-batch -").reading(script))?;
    // As on the cable: nothing waits.
    let no_queue = format!("qdisc replace dev {EXIT} root noqueue");
    run(namespace, &Step::new("tc", &no_queue))
}

/// Runs a command inside; an error with its words unless it succeeds.
pub(super) fn run(namespace: &Namespace, step: &Step) -> Result<()> {
    let mut command = Command::new(step.program);
    command
        .args(&step.arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = match namespace.spawn(&mut command) {
        Err(LabError::Command { source, .. }) if source.kind() == ErrorKind::NotFound => {
            bail!("{} is not installed", step.program)
        }
        spawned => spawned?,
    };
    if let Some(mut input) = child.stdin.take() {
        input.write_all(step.input.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    let words = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{} {}: {}",
        step.program,
        step.arguments.join(" "),
        words.trim()
    );
    Ok(())
}
