//! What `up`, `run` and the others refuse, with which exit code, and what they leave behind.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::site::{Network as _, Site};
use crate::support::{Ran, command_of, executable, run};

/// The uid and gid of nobody.
const NOBODY: u32 = 65534;

/// Somebody without any rights, who has a copy of the binary: theirs need not be a world that sees
/// the build directory.
pub(crate) struct Nobody(TempDir);

impl Nobody {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        // Not by this process: a test that forks meanwhile would hold the copy open for writing,
        // and nobody could run it.
        let copied = Command::new("cp")
            .arg(executable())
            .arg(dir.path().join("imblock"))
            .status();
        assert!(copied.unwrap().success());
        Self(dir)
    }

    /// Runs the binary to its end.
    pub(crate) fn imblock(&self, arguments: &[&str]) -> Ran {
        let mut command = command_of(&self.0.path().join("imblock"), arguments);
        if rustix::process::geteuid().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        run(command.current_dir("/"))
    }
}

#[test]
fn without_rights_it_is_exit_4_and_one_line() {
    let nobody = Nobody::new();
    for arguments in [
        ["up", "-i", "lo"].as_slice(),
        &["run", "-i", "lo", "--listen", "none"],
        &["down"],
        &["block", "irc"],
        &["reset"],
        &["status"],
        &["services"],
        &["hosts"],
        &["policy", "show"],
        &["policy", "apply", "audit"],
    ] {
        nobody
            .imblock(arguments)
            .exits(4)
            .in_one_line()
            .says("CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN, CAP_SYS_ADMIN")
            .says("root");
    }
}

#[test]
fn what_needs_no_rights_works_without() {
    let nobody = Nobody::new();
    for arguments in [
        ["policy", "check", "office"].as_slice(),
        &["policy", "show", "-p", "office"],
        &["completions", "fish"],
        &["man"],
    ] {
        nobody.imblock(arguments).exits(0);
    }
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let capture = dir.path().join("irc.pcap");
    fs::write(&capture, crate::replay::irc_capture()).unwrap();
    let capture = capture.to_str().unwrap();
    nobody.imblock(&["replay", capture]).exits(0).prints("irc");
}

#[test]
fn interfaces_must_exist_and_be_named_once() {
    let Some(site) = Site::or_skip("interfaces_must_exist_and_be_named_once") else {
        return;
    };
    let ran = site.imblock(&["up", "-i", "lan1"]).exits(6).in_one_line();
    ran.says("no interface `lan1`").says("lan0").says("wan0");
    // The good one is not left attached.
    site.imblock(&["up", "-i", "lan0", "-i", "nope:wan"])
        .exits(6)
        .says("`nope`");
    assert!(!site.is_up());
    site.imblock(&["up"]).exits(2).says("-i br-lan:lan");
    site.imblock(&["up", "-i", "lan0:wan", "-i", "lan0"])
        .exits(2)
        .says("`lan0` is named twice");
    assert!(!site.is_up());
    site.imblock(&["up", "-i", "lan0:lan", "-i", "wan0:wan"])
        .exits(0)
        .says("attached to lan0 (lan side")
        .says("attached to wan0 (wan side");
    site.imblock(&["down"]).exits(0);
}

#[test]
fn what_is_not_running_is_exit_7() {
    let Some(site) = Site::or_skip("what_is_not_running_is_exit_7") else {
        return;
    };
    for arguments in [
        ["status"].as_slice(),
        &["hosts"],
        &["hosts", "--watch"],
        &["services"],
        &["block", "irc"],
        &["reset"],
        &["policy", "show"],
        &["policy", "apply", "audit"],
        &["down"],
    ] {
        let ran = site.imblock(arguments).exits(7).in_one_line();
        ran.says(&format!("instance `{}` is not running", site.instance))
            .says("`imblock up` or `imblock run`, or");
    }
}

#[test]
fn one_controller_at_a_time() {
    let Some(site) = Site::or_skip("one_controller_at_a_time") else {
        return;
    };
    let running = site.start(&["run", "-i", "lan0", "--listen", "none"]);
    let pid = format!("(process {})", running.pid());
    for arguments in [
        ["run", "-i", "lan0", "--listen", "none"].as_slice(),
        &["up", "-i", "wan0"],
        &["down"],
    ] {
        site.imblock(arguments).exits(8).in_one_line().says(&pid);
    }
    // It has not been disturbed, and the interface of the second `up` has not been touched.
    let status = site.imblock(&["status", "--json"]).exits(0).json();
    assert_eq!(status["controller"], running.pid());
    assert_eq!(status["interfaces"].as_array().unwrap().len(), 1);
}

#[test]
fn another_instance_is_a_foreign_program() {
    let Some(site) = Site::or_skip("another_instance_is_a_foreign_program") else {
        return;
    };
    site.imblock(&["up", "-i", "lan0"]).exits(0);
    let other = format!("{}-b", site.instance);
    let mut command = site.command_of(&other, &["up", "-i", "lan0"]);
    site.run(&mut command)
        .exits(8)
        .says("`lan0` already has the XDP program `lan_ingress`");
    let mut command = site.command_of(&other, &["status"]);
    site.run(&mut command).exits(7);
}

#[test]
fn a_taken_port_leaves_nothing_attached() {
    let Some(site) = Site::or_skip("a_taken_port_leaves_nothing_attached") else {
        return;
    };
    let taken = site
        .network
        .router()
        .run(|| TcpListener::bind("127.0.0.1:0").unwrap())
        .unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ran = site
        .imblock(&["run", "-i", "lan0", "--listen", &address])
        .exits(1)
        .in_one_line();
    ran.says(&address).says("in use").says("--listen");
    site.imblock(&["status"]).exits(7);
}

#[test]
fn a_wrong_policy_leaves_nothing_attached() {
    let Some(site) = Site::or_skip("a_wrong_policy_leaves_nothing_attached") else {
        return;
    };
    let policy = site.file("bad.yaml", "version: 1\nname: x\nrulez: []\n");
    site.imblock(&["up", "-i", "lan0", "-p", &policy])
        .exits(3)
        .says("bad.yaml:3:1");
    site.imblock(&["status"]).exits(7);
}

#[test]
fn a_bpf_file_system_is_mounted_where_there_is_none() {
    let Some(site) = Site::or_skip("a_bpf_file_system_is_mounted_where_there_is_none") else {
        return;
    };
    let mounted = Mounted(tempfile::tempdir().unwrap());
    let with = |arguments: &[&str]| {
        let mut command = site.command(arguments);
        command.env("IMBLOCK_BPFFS", mounted.path());
        site.run(&mut command)
    };
    with(&["status"]).exits(7);
    with(&["up", "-i", "lan0"]).exits(0);
    assert!(mounted.path().join("imblock").join(&site.instance).is_dir());
    with(&["status"]).exits(0).prints("lan0");
    // A second start finds it mounted, and does not mount another over it.
    with(&["up", "-i", "lan0"])
        .exits(0)
        .says("attached to lan0");
    with(&["down"]).exits(0);
    with(&["status"]).exits(7);
}

#[test]
fn a_bpf_file_system_that_can_not_be_mounted_is_exit_5() {
    let Some(site) = Site::or_skip("a_bpf_file_system_that_can_not_be_mounted_is_exit_5") else {
        return;
    };
    let missing = site.dir().join("nowhere");
    let mut command = site.command(&["up", "-i", "lan0"]);
    command.env("IMBLOCK_BPFFS", &missing);
    let ran = site.run(&mut command).exits(5).in_one_line();
    ran.says(missing.to_str().unwrap())
        .says("mount -t bpf")
        .says("mkdir -p");
}

/// A directory that something is mounted on.
struct Mounted(TempDir);

impl Mounted {
    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = rustix::mount::unmount(self.path(), rustix::mount::UnmountFlags::DETACH);
    }
}
