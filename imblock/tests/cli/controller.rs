//! `run`: readiness, signals, and what stays behind.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use imblock::lab::{Answer, Probe, probe};
use imblock_common::Transport;
use rustix::process::{Pid, Resource, Signal, getrlimit, prlimit};

use crate::fifo;
use crate::site::{Network as _, Site};

#[test]
fn hangup_reads_the_policy_again() {
    let Some(site) = Site::or_skip("hangup_reads_the_policy_again") else {
        return;
    };
    let policy = site.file("policy.yaml", "version: 1\nname: first\n");
    let running = site.start(&[
        "run",
        "-i",
        "lan0",
        "-p",
        &policy,
        "--listen",
        "127.0.0.1:0",
    ]);
    running.await_log("serving http://127.0.0.1:");
    let in_force = || {
        let status = site.imblock(&["status", "--json"]).exits(0).json();
        let policy = &status["policy"];
        (
            policy["name"].as_str().unwrap().to_owned(),
            policy["generation"].as_u64().unwrap(),
        )
    };
    assert_eq!(in_force(), ("first".to_owned(), 1));

    fs::write(
        &policy,
        "version: 1\nname: second\nrules: [{ services: [irc], action: drop }]\n",
    )
    .unwrap();
    running.signal(Signal::HUP);
    running.await_log("policy second is in force, generation 2");
    assert_eq!(in_force(), ("second".to_owned(), 2));

    fs::write(&policy, "version: 1\nname: third\nrulez: []\n").unwrap();
    running.signal(Signal::HUP);
    running.await_log("the old policy stays in force");
    assert!(
        running.log().contains("policy.yaml:3:1"),
        "{}",
        running.log()
    );
    assert_eq!(in_force(), ("second".to_owned(), 2));

    fs::remove_file(&policy).unwrap();
    running.signal(Signal::HUP);
    running.await_log("No such file");

    // It is still there, and still listens.
    fs::write(&policy, "version: 1\nname: fourth\n").unwrap();
    running.signal(Signal::HUP);
    running.await_log("policy fourth is in force, generation 3");
}

#[test]
fn a_reload_does_not_wait_for_a_pipe() {
    let Some(site) = Site::or_skip("a_reload_does_not_wait_for_a_pipe") else {
        return;
    };
    let policy = site.file("policy.yaml", "version: 1\nname: first\n");
    let fifo = fifo::made(&site);
    let running = site.start(&["run", "-i", "lan0", "-p", &policy, "--listen", "none"]);
    // Itself, or what it includes.
    let including = "version: 1\nname: second\ninclude: [policy.fifo]\n";
    fs::write(&policy, including).unwrap();
    running.signal(Signal::HUP);
    running.await_log("policy.fifo:\n  × cannot read the policy: it is no regular file");
    running.await_log("the old policy stays in force");
    fs::remove_file(&policy).unwrap();
    fs::rename(&fifo, &policy).unwrap();
    running.signal(Signal::HUP);
    running.await_log("policy.yaml:\n  × cannot read the policy: it is no regular file");

    fs::remove_file(&policy).unwrap();
    fs::write(&policy, "version: 1\nname: third\n").unwrap();
    running.signal(Signal::HUP);
    running.await_log("policy third is in force, generation 2");
    running.signal(Signal::TERM);
    assert_eq!(running.end().0, Some(0));
}

#[test]
fn who_waits_for_a_policy_can_be_told_to_stop() {
    let Some(site) = Site::or_skip("who_waits_for_a_policy_can_be_told_to_stop") else {
        return;
    };
    let fifo = &fifo::made(&site);
    let waiting = site.launch(&["run", "-i", "lan0", "-p", fifo, "--listen", "none"]);
    let _pipe = fifo::awaited(fifo);
    waiting.signal(Signal::INT);
    // Ended by the signal, as nothing is attached.
    assert_eq!(waiting.end().0, None);
    site.imblock(&["status"]).exits(7);
}

#[test]
fn clients_of_the_metrics_that_only_hold_on_take_nothing_from_the_controller() {
    let Some(site) = Site::or_skip("clients_of_the_metrics_that_only_hold_on") else {
        return;
    };
    let policy = site.file("policy.yaml", "version: 1\nname: first\n");
    let run = ["run", "-i", "lan0", "-p", &policy];
    let running = site.start(&[&run[..], &["--listen", "127.0.0.1:0"]].concat());
    running.await_log("/metrics");
    let log = running.log();
    let (_, address) = log.split_once("serving http://").unwrap();
    let (address, _) = address.split_once("/metrics").unwrap();
    let address: SocketAddr = address.parse().unwrap();
    // As many files as it has now, and what a reload opens beside them.
    let open = fs::read_dir(format!("/proc/{}/fd", running.pid())).unwrap();
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = Some(open.count() as u64 + 250);
    let pid = Pid::from_raw(running.pid().cast_signed());
    prlimit(pid, Resource::Nofile, limit).unwrap();

    let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(200));
    let namespace = site.network.router();
    let _held: Vec<TcpStream> = namespace
        .run(|| (0..500).map_while(|_| connect().ok()).collect())
        .unwrap();
    let answer = namespace.run(|| ask(&address)).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    fs::write(&policy, "version: 1\nname: second\n").unwrap();
    running.signal(Signal::HUP);
    running.await_log("policy second is in force, generation 2");
}

/// Asks the controller whether it is well.
fn ask(address: &SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn what_a_new_policy_can_not_change_is_said() {
    const BEGINNING: &str = "version: 1\nname: new\n";
    let Some(site) = Site::or_skip("what_a_new_policy_can_not_change_is_said") else {
        return;
    };
    let on = |interfaces: &str| format!("{BEGINNING}interfaces: [{interfaces}]\n");
    let policy = site.file("policy.yaml", &on("{ name: lan0, side: lan }"));
    let limits = || {
        site.file(
            "policy.yaml",
            &format!("{BEGINNING}limits: {{ hosts: 64 }}\n"),
        )
    };
    let run = ["run", "-p", &policy, "--listen", "none"];

    let running = site.start(&run);
    running.signal(Signal::HUP);
    running.await_log("generation 2");
    let apply = || site.imblock(&["policy", "apply", &policy]).exits(0);
    apply().in_one_line().says("generation 3");
    assert!(!running.log().contains("warning"), "{}", running.log());
    for other in [
        "{ name: lan0, side: wan }",
        "{ name: lan0, side: lan, egress: false }",
        "{ name: lan0, side: lan }, { name: wan0, side: wan }",
    ] {
        site.file("policy.yaml", &on(other));
        apply().says("warning: the policy's `interfaces` are not what is attached");
        let again = apply();
        assert!(!again.err.contains("warning"), "{}", again.err);
    }
    site.file("policy.yaml", &on("{ name: eth9, side: lan }"));
    running.signal(Signal::HUP);
    running.await_log("generation 10");
    let log = running.log();
    assert!(
        log.contains("which would fail") && log.contains("eth9"),
        "{log}"
    );
    limits();
    running.signal(Signal::HUP);
    running.await_log("generation 11");
    running.await_log("room for 16384 hosts");
    apply().says("the policy's `limits` take effect after `imblock down`");
    running.signal(Signal::TERM);
    running.end();

    // What the command line names holds, whatever a policy says then; sizes are those it began with.
    let named = site.start(&[&run[..], &["-i", "lan0"]].concat());
    site.file(
        "policy.yaml",
        &(on("{ name: eth9, side: lan }") + "limits: { hosts: 64 }\n"),
    );
    named.signal(Signal::HUP);
    named.await_log("generation 2");
    assert!(!named.log().contains("warning"), "{}", named.log());
}

#[test]
fn interfaces_of_a_policy_that_is_in_force_are_no_news() {
    let Some(site) = Site::or_skip("interfaces_of_a_policy_that_is_in_force_are_no_news") else {
        return;
    };
    const WARNING: &str = "warning: the policy's `interfaces` are not what is attached";
    let on = |name: &str, interface: &str| {
        let text =
            format!("version: 1\nname: {name}\ninterfaces: [{{ name: {interface}, side: lan }}]\n");
        site.file(&format!("{name}.yaml"), &text)
    };
    let (one, other) = (on("one", "wan0"), on("other", "eth9"));
    let warns = |arguments: &[&str]| {
        let ran = site.imblock(arguments).exits(0);
        ran.err.contains(WARNING)
    };
    // The command line said where to attach, and the policy is the same.
    assert!(!warns(&["up", "-p", &one, "-i", "lan0"]));
    assert!(!warns(&["policy", "apply", &one]));
    assert!(warns(&["policy", "apply", &other]));
    assert!(!warns(&["policy", "apply", &other]));
    assert!(warns(&["policy", "apply", &one]));
    assert!(warns(&["policy", "apply", &other]));
    // Back at the one, the other one's are others again.
    assert!(!warns(&["policy", "rollback"]));
    assert!(!warns(&["policy", "apply", &one]));
    assert!(warns(&["policy", "apply", &other]));
}

#[test]
fn stop_signals_detach() {
    let Some(site) = Site::or_skip("stop_signals_detach") else {
        return;
    };
    for signal in [Signal::TERM, Signal::INT] {
        let running = site.start(&["run", "-i", "lan0", "--listen", "none"]);
        assert!(site.is_up());
        running.signal(signal);
        let (code, log) = running.end();
        assert_eq!(code, Some(0), "{log}");
        assert!(log.contains("detached"), "{log}");
        site.imblock(&["status"]).exits(7);
    }
}

#[test]
fn a_stop_while_it_starts_leaves_nothing_attached() {
    let Some(site) = Site::or_skip("a_stop_while_it_starts_leaves_nothing_attached") else {
        return;
    };
    for milliseconds in [0, 3, 10, 20, 40, 80, 160] {
        let running = site.launch(&["run", "-i", "lan0", "--listen", "none"]);
        std::thread::sleep(Duration::from_millis(milliseconds));
        running.signal(Signal::TERM);
        running.end();
        site.imblock(&["status"]).exits(7);
    }
}

#[test]
fn a_killed_controller_is_taken_over() {
    let Some(site) = Site::or_skip("a_killed_controller_is_taken_over") else {
        return;
    };
    let running = site.start(&["run", "-i", "lan0", "--listen", "none"]);
    running.signal(Signal::KILL);
    running.end();
    // The kernel went on without it.
    let status = site.imblock(&["status", "--json"]).exits(0).json();
    assert!(status["controller"].is_null());
    assert_ne!(status["interfaces"][0]["xdp"], "none");
    let next = site.start(&["run", "-i", "lan0", "--listen", "none"]);
    let status = site.imblock(&["status", "--json"]).exits(0).json();
    assert_eq!(status["controller"], next.pid());
    assert_eq!(status["policy"]["generation"], 2);
}

#[test]
fn an_instance_that_was_taken_down_behind_its_back_does_not_hang_the_controller() {
    let Some(site) = Site::or_skip("an_instance_that_was_taken_down_behind_its_back") else {
        return;
    };
    let running = site.start(&["run", "-i", "lan0", "--listen", "none"]);
    let pins = format!("/sys/fs/bpf/imblock/{}", site.instance);
    fs::remove_dir_all(&pins).unwrap();
    running.signal(Signal::HUP);
    running.await_log("is not running");
    running.signal(Signal::TERM);
    assert_eq!(running.end().0, Some(0));
}

#[test]
fn keep_leaves_enforcement_and_counters_to_the_next() {
    let Some(site) = Site::with_hosts_or_skip("keep_leaves_enforcement_and_counters_to_the_next")
    else {
        return;
    };
    let lab = &site.network;
    let irc = Probe {
        transport: Transport::Tcp,
        to: (lab.server.v4, 6667).into(),
    };
    // Nobody listens there: what comes back is a reset.
    let ask = || {
        // Long enough for a busy machine, and over well before TCP asks again: that is a packet more.
        let patience = Duration::from_millis(600);
        probe(&lab.alice.namespace, &[irc], patience).unwrap()[0]
    };
    let seen = || {
        let json = site.imblock(&["services", "irc", "--json"]).exits(0).json();
        let packets = |what: &str| json["services"][0][what]["packets"].as_u64().unwrap();
        (packets("passed"), packets("refused"))
    };
    let run = ["run", "-i", "lan0", "--keep", "--listen", "none"];
    let running = site.start(&run);
    assert!(matches!(ask(), Answer::Error(_)));
    assert_eq!(seen(), (2, 0), "a SYN, and its reset");
    site.imblock(&["block", "irc"]).exits(0);
    running.signal(Signal::TERM);
    let (code, log) = running.end();
    assert_eq!(code, Some(0), "{log}");
    assert!(!log.contains("detached"), "{log}");

    // Without a controller it is dropped, and counted.
    assert_eq!(ask(), Answer::Silence);
    assert_eq!(seen(), (2, 1));
    let status = site.imblock(&["status", "--json"]).exits(0).json();
    assert!(status["controller"].is_null());

    let running = site.start(&run);
    assert_eq!(seen(), (2, 1), "the counters were taken over");
    assert_eq!(ask(), Answer::Silence);
    assert_eq!(seen(), (2, 2));
    running.signal(Signal::TERM);
    running.end();
}
