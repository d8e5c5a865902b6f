//! A router in a network namespace of its own, with an instance and a state directory of its own.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use imblock::lab::{Lab, Namespace, Wiring, cable};
use imblock::testing::kernel_or_skip;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::support::{self, Ran};

/// Longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A router with the interfaces `lan0` and `wan0`. Its instance is down when this is dropped.
pub(crate) struct Site<N: Network = Bare> {
    pub(crate) network: N,
    pub(crate) instance: String,
    dir: TempDir,
}

/// What has a router.
pub(crate) trait Network {
    fn router(&self) -> &Namespace;
}

/// A router whose cables lead to nobody.
pub(crate) struct Bare {
    router: Namespace,
    _world: Namespace,
}

impl Network for Bare {
    fn router(&self) -> &Namespace {
        &self.router
    }
}

impl Network for Lab {
    fn router(&self) -> &Namespace {
        &self.router.namespace
    }
}

impl Site {
    /// Nothing where the kernel refuses, which is noted as a skip.
    pub(crate) fn or_skip(test: &str) -> Option<Self> {
        if !kernel_or_skip(test) {
            return None;
        }
        let (router, world) = (
            Namespace::new("router").unwrap(),
            Namespace::new("world").unwrap(),
        );
        cable((&router, "lan0"), (&world, "eth0")).unwrap();
        cable((&router, "wan0"), (&world, "eth1")).unwrap();
        Some(Self::at(Bare {
            router,
            _world: world,
        }))
    }
}

impl Site<Lab> {
    /// A router with hosts and a server around it, for what needs traffic.
    pub(crate) fn with_hosts_or_skip(test: &str) -> Option<Self> {
        kernel_or_skip(test).then(|| Self::at(Lab::new(Wiring::Plain).unwrap()))
    }
}

impl<N: Network> Site<N> {
    fn at(network: N) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        Self {
            network,
            dir: tempfile::tempdir().unwrap(),
            instance: format!("cli-{}-{next}", std::process::id()),
        }
    }

    /// The directory of the site's files.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The state file.
    pub(crate) fn state_file(&self) -> PathBuf {
        self.dir()
            .join("state")
            .join(&self.instance)
            .join("state.json")
    }

    /// Writes a file; its path.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path = self.dir().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// The binary, for this instance.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        self.command_of(&self.instance, arguments)
    }

    /// The binary, for another instance of the site.
    pub(crate) fn command_of(&self, instance: &str, arguments: &[&str]) -> Command {
        let mut command = support::command(&["--instance", instance]);
        command
            .args(arguments)
            .env("IMBLOCK_STATE_DIR", self.dir().join("state"));
        command
    }

    /// Runs the binary at the router, to its end.
    pub(crate) fn imblock(&self, arguments: &[&str]) -> Ran {
        self.run(&mut self.command(arguments))
    }

    /// Runs a command at the router, to its end.
    pub(crate) fn run(&self, command: &mut Command) -> Ran {
        let output = self.network.router().output(command).unwrap();
        Ran::new(command, &output)
    }

    /// Whether the instance is up.
    pub(crate) fn is_up(&self) -> bool {
        self.imblock(&["status"]).code == Some(0)
    }

    /// Starts the binary at the router; it is ready when this returns, as systemd is told.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        let log = fs::File::create(self.dir().join("log")).unwrap();
        self.start_into(arguments, log)
    }

    /// Starts the binary at the router, and does not wait.
    pub(crate) fn launch(&self, arguments: &[&str]) -> Running {
        let log = self.dir().join("log");
        let mut command = self.command(arguments);
        command
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log).unwrap());
        let child = self.network.router().spawn(&mut command).unwrap();
        Running { child, log }
    }

    /// The same with another standard error.
    pub(crate) fn start_into(&self, arguments: &[&str], stderr: fs::File) -> Running {
        let socket = self.dir().join("notify");
        let _ = fs::remove_file(&socket);
        let notify = UnixDatagram::bind(&socket).unwrap();
        notify.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut command = self.command(arguments);
        command
            .env("NOTIFY_SOCKET", &socket)
            .stdout(Stdio::null())
            .stderr(stderr);
        let running = Running {
            child: self.network.router().spawn(&mut command).unwrap(),
            log: self.dir().join("log"),
        };
        let mut word = [0; 64];
        let length = notify
            .recv(&mut word)
            .unwrap_or_else(|error| panic!("{error}: {}", running.log()));
        assert!(word[..length].starts_with(b"READY=1"), "{}", running.log());
        running
    }
}

impl<N: Network> Drop for Site<N> {
    fn drop(&mut self) {
        // Most are down already, or never came up.
        let _ = self.network.router().output(&mut self.command(&["down"]));
    }
}

/// A controller in the foreground. Killed if it is still there when this is dropped.
pub(crate) struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it said so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits until it has said this.
    #[track_caller]
    pub(crate) fn await_log(&self, text: &str) {
        let begin = Instant::now();
        while !self.log().contains(text) {
            assert!(
                begin.elapsed() < PATIENCE,
                "no `{text}` in:\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits for its end; its exit code and what it said.
    #[track_caller]
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        let begin = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(
                begin.elapsed() < PATIENCE,
                "it does not end:\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(10));
        };
        (status.code(), self.log())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
