//! `imblock demo`, as a newcomer runs it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use imblock::testing;
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use tempfile::TempDir;

/// Nobody, on most machines.
const NOBODY: u32 = 65_534;

/// `imblock demo --json`, as far as it is looked at.
#[derive(Debug, Deserialize)]
struct Report {
    instance: String,
    ok: bool,
    seconds: f64,
    steps: Vec<Step>,
    counters_compared: usize,
    failures: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Step {
    commands: Vec<String>,
    cells: Vec<Cell>,
}

#[derive(Debug, Deserialize)]
struct Cell {
    host: String,
    service: Option<String>,
    reachable: bool,
}

fn demo(temp: &TempDir, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_imblock"));
    command
        .arg("demo")
        .args(arguments)
        .env("TMPDIR", temp.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn pins(instance: &str) -> std::path::PathBuf {
    let root = std::env::var_os("IMBLOCK_BPFFS").unwrap_or_else(|| "/sys/fs/bpf".into());
    Path::new(&root).join("imblock").join(instance)
}

#[track_caller]
fn assert_nothing_left(temp: &TempDir, instance: &str) {
    let left: Vec<_> = fs::read_dir(temp.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(!pins(instance).exists());
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn the_demo_shows_and_checks_everything_and_leaves_nothing() {
    if !testing::kernel_or_skip("the_demo_shows_and_checks_everything_and_leaves_nothing") {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let begin = Instant::now();
    let output = demo(&temp, &["--json"]).output().unwrap();
    let took = begin.elapsed().as_secs_f64();
    let report: Report = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    assert!(
        report.ok && output.status.success(),
        "{:?}",
        report.failures
    );
    assert!(report.failures.is_empty());
    // How long that is depends on what else the machine has to do.
    assert!(report.seconds > 0.0 && report.seconds < took, "{took} s");
    assert!(report.counters_compared > 30);
    let reachable = |step: usize, host: &str, service: Option<&str>| {
        let cells = report.steps[step].cells.iter();
        let mut asked =
            cells.filter(|cell| cell.host == host && cell.service.as_deref() == service);
        let first = asked.next().unwrap().reachable;
        assert!(asked.all(|cell| cell.reachable == first));
        first
    };
    assert!(reachable(0, "alice", Some("msn")) && reachable(0, "alice", None));
    assert!(!reachable(1, "alice", Some("msn")) && reachable(1, "alice", None));
    assert!(!reachable(2, "alice", Some("irc")) && reachable(2, "bob", Some("irc")));
    assert!(reachable(3, "alice", Some("irc")) && !reachable(3, "alice", Some("yahoo")));
    assert_eq!(report.steps[1].commands, ["imblock block category:im"]);
    assert_nothing_left(&temp, &report.instance);
}

#[test]
fn the_story_is_plain_text_in_a_pipe() {
    if !testing::kernel_or_skip("the_story_is_plain_text_in_a_pipe") {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let output = demo(&temp, &[]).env("LC_ALL", "C").output().unwrap();
    let story = stdout(&output);
    assert!(output.status.success(), "{story}");
    assert!(story.is_ascii(), "not ASCII in the C locale: {story}");
    assert!(!story.contains('\u{1b}'), "colour in a pipe: {story:?}");
    assert!(
        story.contains("router# imblock block category:im"),
        "{story}"
    );
}

#[test]
fn an_interrupted_demo_leaves_nothing() {
    if !testing::kernel_or_skip("an_interrupted_demo_leaves_nothing") {
        return;
    }
    for signal in [Signal::INT, Signal::TERM] {
        let temp = tempfile::tempdir().unwrap();
        let child = demo(&temp, &[]).process_group(0).spawn().unwrap();
        let instance = format!("demo-{}", child.id());
        wait_for_pins(&instance);
        // Half-way: the first of at least four rounds is under way or just over.
        kill_process(Pid::from_child(&child), signal).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130), "{signal:?}");
        let story = stdout(&output);
        assert!(
            !story.contains("imblock down"),
            "went on to the end: {story}"
        );
        assert_nothing_left(&temp, &instance);
    }
}

fn wait_for_pins(instance: &str) {
    super::support::eventually("the demo is up", || pins(instance).join("links").exists());
}

#[test]
fn without_rights_one_line_says_what_is_missing() {
    if !rustix::process::geteuid().is_root() {
        testing::skip(
            "without_rights_one_line_says_what_is_missing",
            "only root can drop rights",
        );
        return;
    }
    // Where nobody may read the build directory, a copy does it.
    let temp = tempfile::tempdir().unwrap();
    fs::set_permissions(temp.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let copy = temp.path().join("imblock");
    fs::copy(env!("CARGO_BIN_EXE_imblock"), &copy).unwrap();
    let output = Command::new(&copy)
        .arg("demo")
        .uid(NOBODY)
        .gid(NOBODY)
        .output()
        .unwrap();
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(4), "{complaint}");
    assert_eq!(complaint.lines().count(), 1, "{complaint}");
    assert!(
        complaint.contains("CAP_SYS_ADMIN") && complaint.contains("sudo"),
        "{complaint}"
    );
}

#[test]
fn a_closed_pipe_does_not_stop_the_cleaning_up() {
    if !testing::kernel_or_skip("a_closed_pipe_does_not_stop_the_cleaning_up") {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let mut child: Child = demo(&temp, &[]).spawn().unwrap();
    let instance = format!("demo-{}", child.id());
    drop(child.stdout.take());
    let status = child.wait().unwrap();
    assert!(status.success(), "{status}");
    std::thread::sleep(Duration::from_millis(50));
    assert_nothing_left(&temp, &instance);
}
