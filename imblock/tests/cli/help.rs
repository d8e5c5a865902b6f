//! Help, version, completions, manual page: what people meet first.

use std::io::Write as _;
use std::process::{Command, Stdio};

use clap::CommandFactory as _;
use imblock::cli::Cli;
use imblock::testing::skip;

use crate::support::{command, imblock};

#[test]
fn the_help_at_the_top() {
    let ran = imblock(&["--help"]).exits(0);
    insta::assert_snapshot!(ran.out, @r"
    Tell, count and block instant messengers, VoIP and peer-to-peer at the network card

    Usage: imblock [OPTIONS] <COMMAND>

    Commands:
      demo         Show the whole thing on a throw-away network
      run          Attach, serve metrics, and stay in the foreground until told to stop
      up           Attach and leave: enforcement and counters go on without a process
      down         Detach from everything and forget the counters; what was set by hand is remembered
      block        Drop services from now on
      reject       Drop services from now on, and tell those who use them at once
      count        Let services pass from now on, as traffic that is watched
      allow        Let services pass from now on, as traffic that is wanted
      reset        Undo block, reject, count and allow: go back to what the policy says
      status       Show what is attached and in force
      services     Show services, what is done with them, and how much was seen
      hosts        Show which host uses which service
      why          Say what happens to a packet, and whose doing that is
      policy       Check, show and apply policies
      replay       Run captures through a policy, without any rights
      completions  Print a completion script for a shell
      man          Print the manual page, in roff
      help         Print this message or the help of the given subcommand(s)

    Options:
          --instance <NAME>  Which instance is meant, where several run side by side [default: main]
      -h, --help             Print help
      -V, --version          Print version

    Exit codes:
      0  done
      1  failed, for a reason without a number of its own
      2  the command line is wrong
      3  the policy is wrong, or can't be read
      4  a capability or file permission is missing
      5  the kernel lacks something
      6  the interface is unknown or refuses
      7  the instance is not running
      8  the instance is busy, or somebody else's XDP program is attached
    ");
}

#[test]
fn the_help_of_a_command() {
    let ran = imblock(&["run", "-h"]).exits(0);
    insta::assert_snapshot!(ran.out, @r"
    Attach, serve metrics, and stay in the foreground until told to stop

    Usage: imblock run [OPTIONS]

    Options:
          --instance <NAME>           Which instance is meant, where several run side by side [default:
                                      main]
      -p, --policy <POLICY>           A policy file, - for the standard input, or the name of an
                                      embedded policy: audit, historic, office, school, home [default:
                                      audit]
      -i, --interface <IFACE[:SIDE]>  An interface, and which way it leads: `lan` (default), to the
                                      hosts you police, or `wan`, to the Internet. Instead of the
                                      interfaces that the policy names
          --listen <ADDR>             Address of /metrics, or `none` [default: 127.0.0.1:9863]
          --per-host <K>              Also export the K hosts with the most traffic one by one, the
                                      others together [default: 0]
          --keep                      Leave enforcement and counters in place when stopping, for the
                                      next start to take over
      -h, --help                      Print help (see more with '--help')
    ");
}

#[test]
fn every_command_and_option_is_described() {
    let mut cli = Cli::command();
    cli.build();
    let mut commands: Vec<(Vec<String>, &clap::Command)> = vec![(Vec::new(), &cli)];
    let mut seen = 0;
    while let Some((path, command)) = commands.pop() {
        for sub in command
            .get_subcommands()
            .filter(|sub| sub.get_name() != "help")
        {
            commands.push((
                [path.as_slice(), &[sub.get_name().to_owned()]].concat(),
                sub,
            ));
        }
        assert!(command.get_about().is_some(), "{path:?}");
        for argument in command.get_arguments() {
            assert!(argument.get_help().is_some(), "{path:?} {argument}");
        }
        let mut arguments: Vec<&str> = path.iter().map(String::as_str).collect();
        arguments.push("--help");
        imblock(&arguments).exits(0).prints("Usage: imblock");
        seen += 1;
    }
    assert!(seen > 15, "{seen}");
}

#[test]
fn version_is_that_of_the_package() {
    let ran = imblock(&["--version"]).exits(0);
    assert_eq!(ran.out, format!("imblock {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_wrong_command_line_is_exit_2() {
    imblock(&[]).exits(2).says("Usage: imblock");
    imblock(&["blok"]).exits(2).says("'block'");
    imblock(&["status", "--jsno"]).exits(2).says("'--json'");
    imblock(&["up", "-i", "eth0:dmz"])
        .exits(2)
        .says("no side `dmz`")
        .says("`wan`");
    imblock(&["up", "-i", ":lan"])
        .exits(2)
        .says("name of the interface is missing");
    imblock(&["block"]).exits(2).says("<SERVICE>");
    imblock(&["run", "--listen", "9863"])
        .exits(2)
        .says("127.0.0.1:9863");
    imblock(&["hosts", "--watch", "--interval", "0"])
        .exits(2)
        .says("between 0.1 and 3600");
    imblock(&["hosts", "--interval", "2"])
        .exits(2)
        .says("--watch");
    imblock(&["replay", "--local", "lan", "x.pcap"])
        .exits(2)
        .says("write 10.0.5.0/24");
    for name in ["", "..", "a/b", "a b", "ä", &"x".repeat(33)] {
        imblock(&["--instance", name, "status"])
            .exits(2)
            .says("can't name an instance");
    }
}

#[test]
fn completions_are_written_for_shells() {
    for shell in ["bash", "zsh", "fish"] {
        let script = imblock(&["completions", shell])
            .exits(0)
            .prints("imblock")
            .out;
        assert!(
            script.contains("policy") && script.contains("replay"),
            "{shell}"
        );
    }
    imblock(&["completions", "cmd"]).exits(2).says("bash");
}

#[test]
fn bash_takes_its_completions() {
    let script = imblock(&["completions", "bash"]).exits(0).out;
    let Some((code, said)) = feed("bash", &["-n"], &script) else {
        return skip("bash_takes_its_completions", "there is no bash here");
    };
    assert_eq!((code, said.as_str()), (Some(0), ""));
}

#[test]
fn the_manual_page_renders() {
    let page = imblock(&["man"]).exits(0).prints(".TH").out;
    for section in [
        "EXIT STATUS",
        "ENVIRONMENT",
        "FILES",
        "IMBLOCK POLICY CHECK",
        "IMBLOCK REPLAY",
    ] {
        assert!(
            page.contains(&format!(".SH \"{section}\""))
                || page.contains(&format!(".SH {section}")),
            "{section}"
        );
    }
    // How each command is written, with what its options want.
    for usage in [
        r"\fBimblock\fR [\fB\-\-instance\fR \fI<NAME>\fR]",
        r"[\fB\-i\fR|\fB\-\-interface\fR \fI<IFACE[:SIDE]>\fR]",
        r"[\fB\-\-max\-new\-drops\fR \fI<N>\fR]",
        r"\fBimblock hosts\fR [\fB\-w\fR|\fB\-\-watch\fR] [\fB\-\-interval\fR \fI<SECONDS>\fR]",
    ] {
        assert!(page.contains(usage), "{usage}");
    }
    let Some((code, said)) = feed("groff", &["-man", "-ww", "-Tascii", "-z"], &page) else {
        return skip("the_manual_page_renders", "there is no groff here");
    };
    assert_eq!((code, said.as_str()), (Some(0), ""));
}

#[test]
fn nothing_of_this_needs_rights_or_state() {
    for arguments in [
        ["completions", "bash"].as_slice(),
        &["man"],
        &["policy", "check", "audit"],
    ] {
        let ran = crate::support::run(command(arguments).env("IMBLOCK_BPFFS", "/nowhere"));
        ran.exits(0);
    }
}

/// Runs a program over a text; its exit code and its standard error. None where it is missing.
fn feed(program: &str, arguments: &[&str], text: &str) -> Option<(Option<i32>, String)> {
    let child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.ok()?;
    child
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    Some((
        output.status.code(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    ))
}
