//! Readers that go away, readers that want no colour, and a standard error that nobody reads.

use std::fs::{self, File};
use std::io::Read as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::site::{Network as _, PATIENCE, Site};
use crate::support::{Ran, command, imblock, run};

const ESCAPE: char = '\u{1b}';

/// Runs a command whose reader goes away after some bytes.
fn closed_early(mut command: Command, bytes: usize) -> Ran {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = child.stdout.take().unwrap();
    let mut head = vec![0; bytes];
    let _ = out.read_exact(&mut head);
    drop(out);
    Ran::new(&command, &child.wait_with_output().unwrap())
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    for arguments in [
        ["--help"].as_slice(),
        &["man"],
        &["completions", "bash"],
        &["policy", "show", "-p", "office"],
        &["policy", "show", "-p", "office", "--json"],
        &["policy", "check", "office", "--json"],
    ] {
        for bytes in [0, 20] {
            let ran = closed_early(command(arguments), bytes).exits(0);
            assert_eq!(ran.err, "", "{ran}");
        }
    }
}

#[test]
fn what_can_not_be_written_is_an_error() {
    for arguments in [
        ["--help"].as_slice(),
        &["help", "run"],
        &["policy", "check", "--help"],
        &["--version"],
        &["man"],
        &["completions", "bash"],
        &["policy", "schema"],
        &["policy", "check", "audit"],
        &["policy", "show", "-p", "audit"],
    ] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let ran = run(command(arguments).stdout(full)).exits(1).in_one_line();
        ran.says("could not write the output").says("No space left");
    }
    // The complaint went nowhere, and the exit code tells of it.
    let full = File::options().write(true).open("/dev/full").unwrap();
    run(command(&["blok"]).stderr(full)).exits(2);
}

#[test]
fn a_reader_that_goes_away_does_not_make_a_difference_go_away() {
    let diff = ["policy", "diff", "--from", "audit", "office"];
    for arguments in [&diff[..], &[&diff[..], &["--json"]].concat()] {
        for bytes in [0, 20] {
            let ran = closed_early(command(arguments), bytes).exits(1);
            assert_eq!(ran.err, "", "{ran}");
        }
    }
}

#[test]
fn a_reader_of_live_output_may_go_away() {
    let Some(site) = Site::or_skip("a_reader_of_live_output_may_go_away") else {
        return;
    };
    site.imblock(&["up", "-i", "lan0"]).exits(0);
    for arguments in [
        ["services"].as_slice(),
        &["services", "--json"],
        &["status"],
        &["hosts"],
        &["policy", "show"],
        &["hosts", "--watch", "--interval", "0.1"],
    ] {
        let ran = site
            .network
            .router()
            .run(|| closed_early(site.command(arguments), 1))
            .unwrap()
            .exits(0);
        assert_eq!(ran.err, "", "{ran}");
    }
}

#[test]
fn a_reader_of_a_watch_need_not_wait_for_the_next_picture() {
    let Some(site) = Site::or_skip("a_reader_of_a_watch_need_not_wait_for_the_next_picture") else {
        return;
    };
    site.imblock(&["up", "-i", "lan0"]).exits(0);
    for format in [None, Some("--json")] {
        let mut watch = site.command(&["hosts", "--watch", "--interval", "3600"]);
        watch
            .args(format)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = site.network.router().spawn(&mut watch).unwrap();
        drop(child.stdout.take());
        let begin = Instant::now();
        while child.try_wait().unwrap().is_none() {
            if begin.elapsed() > PATIENCE {
                child.kill().unwrap();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let ran = Ran::new(&watch, &child.wait_with_output().unwrap()).exits(0);
        assert_eq!(ran.err, "", "{ran}");
    }
}

#[test]
fn pipes_get_no_colour() {
    let Some(site) = Site::or_skip("pipes_get_no_colour") else {
        return;
    };
    site.imblock(&["up", "-i", "lan0", "-p", "historic"])
        .exits(0);
    site.imblock(&["block", "irc"]).exits(0);
    let bad = site.file("bad.yaml", "version: 1\nname: x\nrulez: []\n");
    for no_color in [None, Some("1"), Some("")] {
        for arguments in [
            ["status"].as_slice(),
            &["services"],
            &["hosts"],
            &["policy", "show"],
            &["--help"],
            &["frob"],
            &["policy", "check", &bad],
        ] {
            let mut command = site.command(arguments);
            if let Some(value) = no_color {
                command.env("NO_COLOR", value);
            }
            let ran = site.run(&mut command);
            assert!(
                !ran.out.contains(ESCAPE) && !ran.err.contains(ESCAPE),
                "{ran}"
            );
        }
    }
}

#[test]
fn a_terminal_that_wants_no_colour_gets_none() {
    // util-linux's `script` gives the command a terminal.
    let on_a_terminal = |no_color: Option<&str>| {
        let executable = crate::support::executable();
        let mut script = Command::new("script");
        let line = format!("{} policy show -p historic", executable.display());
        script
            .args(["-qec", &line, "/dev/null"])
            .env("TERM", "xterm")
            .env_remove("NO_COLOR")
            .stdin(Stdio::null());
        if let Some(value) = no_color {
            script.env("NO_COLOR", value);
        }
        script.output()
    };
    let Ok(coloured) = on_a_terminal(None) else {
        return imblock::testing::skip(
            "a_terminal_that_wants_no_colour_gets_none",
            "there is no script(1) here",
        );
    };
    let has_colour = |out: &[u8]| out.contains(&0x1b);
    assert!(has_colour(&coloured.stdout), "a terminal gets colour");
    assert!(!has_colour(&on_a_terminal(Some("1")).unwrap().stdout));
}

#[test]
fn control_characters_of_a_policy_do_not_reach_the_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("policy.yaml");
    for text in [
        "version: 1\nname: x\n\"\\e[31mrulez\": []\n",
        "version: 1\nname: x\nrules: [{ services: [\"\\e]0;title\\a\"], action: drop }]\n",
        "version: 1\nname: \u{1b}[2Jx\n",
        "version: 1\nname: \"\\e[2Jx\"\n",
        "version: 1\nname: x\ngroups: { \"\\e[2J\": [] }\n",
    ] {
        fs::write(&path, text).unwrap();
        let path = path.to_str().unwrap();
        for arguments in [
            ["policy", "check", path].as_slice(),
            &["policy", "check", "--json", path],
            &["policy", "show", "-p", path],
        ] {
            let ran = imblock(arguments);
            assert!(
                !ran.out.contains(ESCAPE) && !ran.err.contains(ESCAPE),
                "{ran}"
            );
            assert!(!ran.err.contains("panicked"), "{ran}");
        }
    }
}

#[test]
fn control_characters_of_file_names_do_not_reach_the_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let whole = crate::replay::irc_capture();
    for (name, content) in [
        ("whole\u{1b}[2J\n.pcap", whole.as_slice()),
        ("cut\u{1b}[2J\n.pcap", &whole[..whole.len() - 1]),
        ("text\u{1b}[2J\n.pcap", b"no capture"),
    ] {
        fs::write(dir.path().join(name), content).unwrap();
    }
    let path = dir.path().to_str().unwrap();
    let ran = imblock(&["replay", "--flows", path]).exits(1);
    assert!(
        !ran.out.contains(ESCAPE) && !ran.err.contains(ESCAPE),
        "{ran}"
    );
    assert_eq!(ran.err.lines().count(), 2, "{ran}");
}

#[test]
fn a_standard_error_that_nobody_reads_ends_nothing() {
    let full = || File::options().write(true).open("/dev/full").unwrap();
    let status = command(&["policy", "check", "office"])
        .stderr(full())
        .stdout(Stdio::null())
        .status();
    assert_eq!(
        status.unwrap().code(),
        Some(0),
        "warnings that can't be said"
    );
    let status = command(&["policy", "check", "nowhere"])
        .stderr(full())
        .status();
    assert_eq!(status.unwrap().code(), Some(3));
    let Some(site) = Site::or_skip("a_standard_error_that_nobody_reads_ends_nothing") else {
        return;
    };
    let mut up = site.command(&["up", "-i", "lan0"]);
    let ran = site.run(up.stderr(full()));
    assert_eq!(ran.code, Some(0));
    site.imblock(&["down"]).exits(0);

    let policy = site.file("policy.yaml", "version: 1\nname: first\n");
    let running = site.start_into(
        &["run", "-i", "lan0", "-p", &policy, "--listen", "none"],
        full(),
    );
    fs::write(&policy, "version: 1\nname: second\n").unwrap();
    running.signal(Signal::HUP);
    running.signal(Signal::TERM);
    assert_eq!(running.end().0, Some(0));
}
