//! What commands and the controller take: an apply of a large policy, a toggle until it takes effect,
//! a scrape, a cold start; and what an instance holds in memory.
//!
//! The real executable works on a real interface in a namespace of its own. Times are wall times, for
//! that is what an operator waits for; candidates take turns, and medians count.

pub(super) mod files;
pub(super) mod memory;
mod start;
mod toggle;

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use imblock::kernel::{Instance, Loaded};
use imblock_common::View;
use imblock_common::testkit::Frame;

use super::Args;
use super::sheet::{Bound, Line, Promise, Sheet};
use super::site::{self, Site};
use super::timer;
use crate::executable;
use files::Size;

/// More rounds than this would tell nothing more of what takes a second.
const ROUNDS_MAX: u32 = 7;
/// The large policy.
const LARGE: Size = Size {
    names: 100_000,
    prefixes: 100_000,
    hosts: 131_072,
    flows: 131_072,
};
/// (host, service) pairs that are scraped: so many hosts, each with so many services.
const HOSTS: u32 = 25_000;
/// See [`HOSTS`].
const SERVICES: u16 = 4;
/// Where the controller serves /metrics, in the namespace.
const LISTEN: &str = "127.0.0.1:9863";

/// Targets, in milliseconds.
const APPLY: f64 = 1_000.0;
/// From a command's start until a packet is judged otherwise.
const TOGGLE: f64 = 5.0;
/// Of 100,000 pairs.
const SCRAPE: f64 = 150.0;
/// From exec until the program is on the interface.
const START: f64 = 300.0;

pub(super) fn run(args: &Args) -> Result<Vec<Sheet>> {
    // Commands inherit where they may run.
    timer::use_every_cpu()?;
    let executable = executable::release()?;
    let rounds = args.rounds.min(ROUNDS_MAX);
    let mut times = Times::default();
    let small = Site::new(&executable, "small", 1)?;
    for _ in 0..rounds {
        start::measure(&small, &mut times)?;
    }
    small.call(&["up", "-p", "audit", "-i", &site::interface(0)])?;
    let small_maps = memory::maps(&small.pins().join("maps"))?;
    drop(small);

    let large = Site::new(&executable, "large", 1)?;
    for edition in [1, 2] {
        files::write(large.home(), &format!("large{edition}"), &LARGE, edition)?;
    }
    let lan = site::interface(0);
    let arguments = ["-p", "large1.yaml", "-i", &lan, "--listen", LISTEN];
    let (controller, _) = large.controller(&arguments)?;
    let resident = memory::resident(controller.process())?;
    for _ in 0..rounds {
        applies(&large, &mut times)?;
        toggle::measure(&large, &mut times)?;
    }
    fill(&large)?;
    for _ in 0..rounds {
        readings(&large, &mut times)?;
    }
    let scraped = memory::resident(controller.process())?;
    let large_maps = memory::maps(&large.pins().join("maps"))?;
    Ok(vec![
        times.sheet(rounds),
        memory::sheet(&small_maps, &large_maps, resident, scraped),
    ])
}

/// Milliseconds by what was done, in the order in which it was first done.
#[derive(Default)]
struct Times(Vec<Timed>);

/// See [`Times`].
struct Timed {
    what: &'static str,
    target: Option<f64>,
    times: Vec<f64>,
    /// Of the CPUs, where a whole command was timed.
    cpu: Vec<f64>,
}

impl Times {
    /// One more time of something, the target that it has, and what it took of the CPUs.
    fn add(
        &mut self,
        what: &'static str,
        target: Option<f64>,
        time: Duration,
        cpu: Option<Duration>,
    ) {
        if !self.0.iter().any(|timed| timed.what == what) {
            self.0.push(Timed {
                what,
                target,
                times: Vec::new(),
                cpu: Vec::new(),
            });
        }
        let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
        for timed in self.0.iter_mut().filter(|timed| timed.what == what) {
            timed.times.push(milliseconds(time));
            timed.cpu.extend(cpu.map(milliseconds));
        }
    }

    fn sheet(&self, rounds: u32) -> Sheet {
        let mut lines = Vec::new();
        let mut promises = Vec::new();
        for Timed {
            what,
            target,
            times,
            cpu,
        } in &self.0
        {
            let median = timer::median(times);
            let cpu = (!cpu.is_empty()).then(|| timer::median(cpu));
            let [low, high] = timer::quartiles(times);
            lines.push(Line {
                name: (*what).to_owned(),
                cells: vec![Some(median), Some(low), Some(high), cpu],
            });
            promises.extend(target.map(|target| Promise {
                what: format!("{what}, ms"),
                bound: Bound::AtMost(target),
                figure: Some(median),
            }));
        }
        Sheet {
            part: "control",
            title: "commands, ms".to_owned(),
            columns: vec!["median", "from", "to", "CPU"],
            lines,
            promises,
            notes: vec![format!(
                "wall time of {rounds} rounds, and CPU time of whole commands, which is less where others \
                 use the machine and more where a command uses several CPUs; the large policy has {} names \
                 and {} prefixes",
                LARGE.names, LARGE.prefixes
            )],
        }
    }
}

/// The same policy once more, and one that differs in some lines.
fn applies(site: &Site, times: &mut Times) -> Result<()> {
    for (what, policy) in [
        (
            "apply, 100,000 names and prefixes, some changed",
            "large2.yaml",
        ),
        ("apply, back to those before", "large1.yaml"),
        ("apply, the same again", "large1.yaml"),
    ] {
        let called = site.call(&["policy", "apply", policy])?;
        times.add(what, Some(APPLY), called.time, Some(called.cpu));
    }
    Ok(())
}

/// Has every host use every service once.
fn fill(site: &Site) -> Result<()> {
    let name = site.instance()?;
    let loaded = Loaded::of_instance(&name)?;
    let first = u32::from(Ipv4Addr::new(10, 1, 0, 1));
    for number in 0..HOSTS {
        let host = Ipv4Addr::from(first + number).to_string();
        for service in 0..SERVICES {
            let frame = Frame::eth()
                .ipv4(&host, "198.51.100.7")
                .udp(40_000, files::port(service))
                .build();
            loaded.test_run(View::ALL[0], &frame, None)?;
        }
    }
    let (wanted, found) = (
        HOSTS * u32::from(SERVICES),
        Instance::open(&name)?.maps.hosts_in_use()?.hosts,
    );
    ensure!(
        found >= wanted - wanted / 1000,
        "only {found} of {wanted} pairs of host and service have counters"
    );
    Ok(())
}

fn readings(site: &Site, times: &mut Times) -> Result<()> {
    let (scrape, text) = get(site, "/metrics")?;
    ensure!(
        text.contains("imblock_hosts_in_use"),
        "a scrape tells nothing: {text}"
    );
    times.add(
        "scrape of /metrics, 100,000 pairs",
        Some(SCRAPE),
        scrape,
        None,
    );
    let hosts = site.call(&["hosts", "--json"])?;
    let told = hosts.output.matches("\"active_seconds\"").count();
    ensure!(
        u64::try_from(told)? >= u64::from(HOSTS),
        "hosts --json tells of {told} pairs"
    );
    times.add(
        "hosts --json, 100,000 pairs",
        None,
        hosts.time,
        Some(hosts.cpu),
    );
    let status = site.call(&["status"])?;
    times.add("status", None, status.time, Some(status.cpu));
    Ok(())
}

/// A page of the controller's, and how long it took to come whole.
fn get(site: &Site, path: &str) -> Result<(Duration, String)> {
    let fetched = site.namespace.run(|| -> Result<_> {
        let begin = Instant::now();
        let mut stream = TcpStream::connect(LISTEN)?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: {LISTEN}\r\nConnection: close\r\n\r\n"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok((begin.elapsed(), answer))
    })?;
    let (time, answer) = fetched.context("no answer from the controller")?;
    ensure!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    Ok((time, answer))
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn times_of_one_kind_come_together() {
        let mut times = Times::default();
        for millis in [30, 10, 20] {
            let time = Duration::from_millis(millis);
            times.add("apply", Some(25.0), time, Some(2 * time));
            times.add("status", None, Duration::from_millis(1), None);
        }
        let sheet = times.sheet(3);
        let medians = sheet
            .lines
            .iter()
            .map(|line| [line.cells[0], line.cells[3]]);
        let medians: Vec<_> = medians.collect();
        assert_eq!(medians, [[Some(20.0), Some(40.0)], [Some(1.0), None]]);
        let kept: Vec<_> = sheet.promises.iter().map(Promise::is_kept).collect();
        assert_eq!(kept, [Some(true)]);
    }
}
