//! What the cases have in common: a site whose router runs `imblock`, programs on both sides of
//! it, and what the router was told by.
//!
//! Invariant: every case sees the packets of a real network, no larger than the cable's 1,500
//! bytes, and nothing but the case's own programs sends any.

mod metrics;
mod program;
mod python;
mod scripted;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use imblock::lab::{Host, Lab, Wiring};
use imblock::testing;
use imblock_common::Transport;

use crate::common::{Controller, Rig, eventually};

pub(crate) use metrics::Told;
pub(crate) use program::{Program, find};
pub(crate) use python::Python;
pub(crate) use scripted::{Datagrams, Dialogue};

/// How long a client may take that should work: long enough for a machine under load.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long one may take that should not. A drop is silent, so all of it is spent.
const IMPATIENCE: Duration = Duration::from_millis(2500);
/// How soon a counter is seen to have moved.
const SETTLING: Duration = Duration::from_secs(2);

/// A LAN, a router that counts every service of the catalogue, and a server in the world.
pub(crate) struct Site {
    /// First, so that it ends before its network does.
    _controller: Controller,
    rig: Rig,
    logs: AtomicU32,
    /// How long the next client may take.
    patience: Cell<Duration>,
    /// See [`Site::is_noisy`].
    by_chance: Cell<&'static [&'static str]>,
}

impl Site {
    /// None, with the reason noted, if the kernel is not ours to use or a program is missing.
    #[track_caller]
    pub(crate) fn counting(test: &str, programs: &[&str]) -> Option<Self> {
        // `ip` because offloads have to be switched off.
        for program in programs.iter().chain(&["ip"]) {
            if find(program).is_none() {
                testing::skip(test, format_args!("`{program}` is not installed"));
                return None;
            }
        }
        let rig = Rig::bare(test, Wiring::Plain)?;
        rig.write("count.yaml", &policy(&[]));
        let run = ["-p", "count.yaml", "-i", Lab::LAN, "--listen"];
        let controller = Controller::start(&rig, &[&run[..], &[metrics::ADDRESS]].concat());
        let site = Self {
            _controller: controller,
            rig,
            logs: AtomicU32::new(0),
            patience: Cell::new(PATIENCE),
            by_chance: Cell::new(&[]),
        };
        for host in [site.alice(), site.server()] {
            // Else what a program writes at once crosses the router as one giant frame.
            let mut ip = Command::new(find("ip")?);
            ip.args(["link", "set", "eth0", "gso_max_segs", "1"]);
            assert!(host.namespace.output(&mut ip).unwrap().status.success());
        }
        Some(site)
    }

    /// The host on the LAN.
    pub(crate) fn alice(&self) -> &Host {
        &self.rig.lab.alice
    }

    /// The server in the world.
    pub(crate) fn server(&self) -> &Host {
        &self.rig.lab.server
    }

    /// The server's address, as programs take it.
    pub(crate) fn address(&self) -> String {
        self.server().v4.to_string()
    }

    /// The address with a port.
    pub(crate) fn at(&self, port: u16) -> String {
        format!("{}:{port}", self.server().v4)
    }

    /// A folder of the case's own; programs run in it.
    pub(crate) fn home(&self) -> &Path {
        self.rig.home.path()
    }

    /// Writes a file into [`Site::home`], and gives its path.
    pub(crate) fn write(&self, name: &str, content: &str) -> PathBuf {
        self.rig.write(name, content);
        self.home().join(name)
    }

    /// A command that knows nobody's settings but the case's.
    #[track_caller]
    pub(crate) fn command(&self, program: impl AsRef<Path>) -> Command {
        let name = program.as_ref();
        let path = name.to_str().and_then(find);
        let mut command = Command::new(path.unwrap_or_else(|| panic!("no {}", name.display())));
        command
            .current_dir(self.home())
            .env("HOME", self.home())
            .env("LC_ALL", "C")
            .env("TERM", "xterm")
            .stdin(Stdio::null());
        command
    }

    /// Starts a program at the server, and waits until it listens.
    #[track_caller]
    pub(crate) fn serve(&self, command: &mut Command, on: &[(Transport, u16)]) -> Program {
        let mut program = self.start(self.server(), command);
        eventually("the server listens", || {
            program.assert_alive();
            on.iter()
                .all(|(transport, port)| scripted::is_open(self.server(), *transport, *port))
        });
        program
    }

    /// Whether a program on the LAN ends well in time, and what it said.
    #[track_caller]
    pub(crate) fn ends_well(&self, command: &mut Command) -> Answer {
        let mut program = self.start(self.alice(), command);
        (program.ends_well(self.patience.get()), program.said())
    }

    /// Whether a program on the LAN says something in time, and all that it said. It is ended then.
    #[track_caller]
    pub(crate) fn says(&self, command: &mut Command, text: &str) -> Answer {
        let mut program = self.start(self.alice(), command);
        (program.says(text, self.patience.get()), program.said())
    }

    #[track_caller]
    fn start(&self, host: &Host, command: &mut Command) -> Program {
        let number = self.logs.fetch_add(1, Ordering::Relaxed);
        let log = self.home().join(format!("program-{number}.log"));
        Program::start(host, command, log)
    }

    /// Drops services from now on.
    #[track_caller]
    pub(crate) fn drop_only(&self, services: &[&str]) {
        self.rig.write("drop.yaml", &policy(services));
        self.rig.ok(&["policy", "apply", "drop.yaml"]);
    }

    /// The client must work, and be told as this service by this evidence, or one of several, and
    /// as nothing else.
    #[track_caller]
    pub(crate) fn counts(&self, service: &str, evidence: &[&str], client: impl FnOnce() -> Answer) {
        let before = self.standing();
        let (works, said) = client();
        assert!(works, "{service} is only counted, and yet fails: {said}");
        let now = self.settled(&before, |now| now.packets_of(service, "counted") > 0);
        self.assert_only(service, &now);
        let allowed: BTreeSet<&str> = evidence.iter().copied().collect();
        assert!(now.evidence().is_subset(&allowed), "{now:?}");
        assert_eq!(now.packets_of(service, "dropped"), 0, "{now:?}");
        self.assert_host_has(service);
    }

    /// The client must fail, because this service is dropped. Comes last in a case: what its kernel
    /// sends again later is counted as well, and would be held against the next one.
    #[track_caller]
    pub(crate) fn refuses(&self, service: &str, evidence: &[&str], client: impl Fn() -> Answer) {
        let before = self.standing();
        let attempt = |patience| {
            self.patience.set(patience);
            let (works, said) = client();
            self.patience.set(PATIENCE);
            assert!(!works, "{service} is dropped, and yet works: {said}");
            let now = self.settled(&before, |now| now.packets_of(service, "dropped") > 0);
            (now, said)
        };
        let (mut now, mut said) = attempt(IMPATIENCE);
        if now == Told::default() {
            // On a machine under load it may not have come to say its first word.
            (now, said) = attempt(4 * IMPATIENCE);
        }
        assert!(now.packets_of(service, "dropped") > 0, "{now:?} {said}");
        self.assert_only(service, &now);
        let allowed: BTreeSet<&str> = evidence.iter().copied().collect();
        assert!(now.evidence().is_subset(&allowed), "{now:?}");
    }

    /// What the clients say is noise, in which services may be found whose evidence is so weak that it
    /// only counts.
    pub(crate) fn is_noisy(&self, by_chance: &'static [&'static str]) {
        self.by_chance.set(by_chance);
    }

    #[track_caller]
    fn assert_only(&self, service: &str, told: &Told) {
        let mut services = told.services();
        services.retain(|told| *told == service || !self.by_chance.get().contains(told));
        assert_eq!(services, BTreeSet::from([service]), "{told:?}");
    }

    /// The client must work, and be told as nothing.
    #[track_caller]
    pub(crate) fn is_innocent(&self, client: impl FnOnce() -> Answer) {
        self.is_innocent_but_for(&[], client);
    }

    /// The client must work, and be told as nothing else than these.
    #[track_caller]
    pub(crate) fn is_innocent_but_for(&self, services: &[&str], client: impl FnOnce() -> Answer) {
        let before = self.standing();
        let (works, said) = client();
        let now = self.told().since(&before);
        assert!(works, "it is nobody's, and yet fails: {now:?} {said}");
        let known: BTreeSet<&str> = services.iter().copied().collect();
        assert!(now.services().is_subset(&known), "{now:?}");
    }

    /// Alice's row of a service shows that traffic passed.
    #[track_caller]
    fn assert_host_has(&self, service: &str) {
        let text = self.rig.ok(&["hosts", "--json"]);
        let hosts: serde_json::Value = serde_json::from_str(&text).unwrap();
        let alice = self.alice().v4.to_string();
        let rows = hosts["hosts"].as_array().unwrap();
        let row = rows
            .iter()
            .find(|row| row["host"] == *alice && row["service"] == *service)
            .unwrap_or_else(|| panic!("no row of {service}: {text}"));
        let sent = row["passed"]["sent"]["packets"].as_u64().unwrap();
        assert!(sent > 0, "{text}");
    }

    fn told(&self) -> Told {
        Told::scrape(&self.rig.lab.router)
    }

    /// What was told so far, once the last words of the clients before are in.
    fn standing(&self) -> Told {
        let mut before = self.told();
        let deadline = Instant::now() + SETTLING;
        loop {
            std::thread::sleep(Duration::from_millis(50));
            let now = self.told();
            if now == before || Instant::now() > deadline {
                return now;
            }
            before = now;
        }
    }

    /// What was told since, once it is what is waited for, or it won't come.
    fn settled(&self, before: &Told, done: impl Fn(&Told) -> bool) -> Told {
        let deadline = Instant::now() + SETTLING;
        loop {
            let now = self.told().since(before);
            if done(&now) || Instant::now() > deadline {
                return now;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Whether a client got what it wanted, and what it said.
pub(crate) type Answer = (bool, String);

/// Counts the catalogue, and drops some of it.
fn policy(dropped: &[&str]) -> String {
    let rules = match dropped {
        [] => String::new(),
        dropped => format!(
            "rules:\n  - {{ services: [{}], action: drop }}\n",
            dropped
                .iter()
                .map(|selector| format!("\"{selector}\""))
                .collect::<Vec<_>>()
                .join(", ")
        ),
    };
    format!("version: 1\nname: clients\ndefaults: {{ action: count }}\n{rules}")
}
