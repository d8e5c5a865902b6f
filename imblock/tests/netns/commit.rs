//! Policies that hold until a deadline, on a real network, and applies that are killed half-way.
//!
//! `cargo xtask drill` runs these with as many repetitions as the counts in the documents are of; a
//! plain run makes fewer.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use imblock::kernel::{Instance, InstanceName, Loaded, Maps};
use imblock::lab::{EchoServer, Lab};
use imblock::policy::{Plan, PolicySource, Surroundings};
use imblock_common::View;
use imblock_common::testkit::{Frame, Random};

use super::support::{ACME, BOLT, NOBODY, POLICY, PORTS, Rig, Sink, Stream};

/// How often to do what a plain run does `few` times.
fn repetitions(few: u32, full: u32) -> u32 {
    match std::env::var_os("IMBLOCK_DRILL") {
        Some(_) => full,
        None => few,
    }
}

/// Both forbid `acme` and let `bolt` pass, each in its own way, so that a mix of them would not; and
/// `nobody`'s port tells them apart.
fn policies() -> [String; 2] {
    let ours = "  - { id: cord, name: Cord, category: im, ports: [tcp/7002, udp/7002] }\n";
    let one = format!(
        "{POLICY}{ours}rules:\n  \
         - {{ services: [acme], action: drop }}\n  \
         - {{ services: [bolt], groups: [support], action: drop }}\n"
    );
    let other = format!("{POLICY}{ours}")
        .replace(
            "support: [10.77.0.3/32, 'fd77::3/128']",
            "guests: [10.77.0.0/24]",
        )
        .replace("action: count", "action: drop")
        + "rules:\n  \
           - { services: [bolt], groups: [guests], action: allow }\n";
    [one, other]
}

impl Rig {
    fn name(&self) -> InstanceName {
        self.instance.parse().unwrap()
    }

    /// The plan of a policy for this instance, as the command would make it.
    fn plan(&self, file: &str) -> Plan {
        let path = self.home.path().join(file);
        let source = PolicySource::parse(path.to_str().unwrap());
        let mut numbers = Instance::open(&self.name())
            .unwrap()
            .maps
            .service_numbers()
            .unwrap();
        let policy = imblock::policy::load(&source).unwrap();
        policy
            .compile(&mut numbers, &Surroundings::default())
            .unwrap()
    }
}

/// An operator's session through the router, which echoes what is typed.
struct Session(TcpStream);

impl Session {
    fn open(rig: &Rig) -> Self {
        let to = rig.server_at(ACME);
        let alice = &rig.lab.alice.namespace;
        let stream = alice.run(|| TcpStream::connect(to).unwrap()).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut session = Self(stream);
        assert!(session.answers_within(Duration::from_secs(2)));
        session
    }

    /// Types a letter and waits for its echo.
    fn answers_within(&mut self, patience: Duration) -> bool {
        self.0.write_all(b"x").unwrap();
        self.hears_within(patience)
    }

    fn hears_within(&mut self, patience: Duration) -> bool {
        self.0.set_read_timeout(Some(patience)).unwrap();
        self.0.read(&mut [0; 16]).is_ok_and(|length| length > 0)
    }
}

#[test]
fn who_cuts_himself_off_is_back_when_the_deadline_is_over() {
    /// Shorter than the command line allows, so that many tries don't take long.
    const DEADLINE: Duration = Duration::from_secs(1);
    /// TCP asks again after some 0.2, 0.6, 1.4 and 3.0 s.
    const LATEST: Duration = Duration::from_millis(2_000);
    let test = "who_cuts_himself_off_is_back_when_the_deadline_is_over";
    let Some(rig) = Rig::new(test) else { return };
    let cut = format!("{POLICY}rules:\n  - {{ services: [acme], action: drop }}\n");
    rig.write("cut.yaml", &cut);
    let _server = EchoServer::start(&rig.lab.server, &PORTS).unwrap();
    let arguments = ["-p", "policy.yaml", "-i", Lab::LAN, "--listen", "none"];
    rig.run(&arguments).kill();
    let mut session = Session::open(&rig);

    // By the command line, and nobody of ours lives meanwhile.
    let begin = Instant::now();
    rig.ok(&["policy", "apply", "cut.yaml", "--confirm", "5s"]);
    assert!(!session.answers_within(Duration::from_secs(2)), "not cut");
    assert!(session.hears_within(Duration::from_secs(20)), "not back");
    println!(
        "back {:.2} s after `policy apply --confirm 5s`",
        begin.elapsed().as_secs_f64()
    );
    assert_eq!(rig.status().policy.generation, 1);

    let plan = rig.plan("cut.yaml");
    let tries = repetitions(4, 20);
    let (mut fastest, mut slowest) = (Duration::MAX, Duration::ZERO);
    for number in 0..tries {
        // What TCP has learned of the lost segments must not slow the next try down.
        let mut session = Session::open(&rig);
        let mut instance = Instance::open(&rig.name()).unwrap();
        instance.maps.apply_for(&plan, DEADLINE).unwrap();
        drop(instance);
        let begin = Instant::now();
        assert!(
            !session.answers_within(Duration::from_millis(500)),
            "not cut in try {number}"
        );
        assert!(
            session.hears_within(Duration::from_secs(10)),
            "not back in try {number}"
        );
        let took = begin.elapsed();
        (fastest, slowest) = (fastest.min(took), slowest.max(took));
        assert_eq!(
            Instance::open(&rig.name()).unwrap().maps.settle().unwrap(),
            Some(4 + 2 * number)
        );
    }
    // On a busy machine TCP learns that answers are slow, and asks again later than that.
    assert!(fastest < LATEST, "back after {fastest:?} at best");
    println!(
        "{tries} of {tries} sessions came back with nobody alive, the slowest after {:.2} s of a \
         deadline of {:.0} s",
        slowest.as_secs_f64(),
        DEADLINE.as_secs_f64()
    );
}

#[test]
fn an_apply_that_is_killed_leaves_the_old_policy_or_the_new_one() {
    let test = "an_apply_that_is_killed_leaves_the_old_policy_or_the_new_one";
    let Some(rig) = Rig::new(test) else { return };
    for (file, text) in ["one.yaml", "other.yaml"].into_iter().zip(policies()) {
        rig.write(file, &text);
    }
    rig.ok(&["up", "-p", "one.yaml", "-i", Lab::LAN]);
    let kernel = Loaded::of_instance(&rig.name()).unwrap();
    let passes = |port| {
        let frame = Frame::eth()
            .ipv4("10.77.0.2", "198.51.100.7")
            .tcp(40_000, port)
            .build();
        kernel.test_run(View::ALL[0], &frame, None).unwrap()
    };
    let apply = |file| {
        let mut command = rig.command(&rig.instance, &["policy", "apply", file]);
        command.stderr(Stdio::null());
        rig.lab.router.namespace.spawn(&mut command).unwrap()
    };
    let files = ["one.yaml", "other.yaml"];
    let mut maps = Instance::open(&rig.name()).unwrap().maps;
    let generation = |maps: &Maps| maps.live().unwrap().header.generation;
    let begin = Instant::now();
    assert!(apply("one.yaml").wait().unwrap().success());
    let whole = begin.elapsed();
    let begin = Instant::now();
    maps.apply(&rig.plan("one.yaml")).unwrap();
    let writing = begin.elapsed();

    let kills = repetitions(30, 200);
    let mut random = Random::new(20_040_101);
    let (mut old, mut new, mut unfinished) = (0, 0, 0);
    for number in 0..10 * kills {
        // What an apply takes was measured once, and the machine may have been busier then, or less.
        if number >= kills && old > 0 && new > 0 && unfinished > 0 {
            break;
        }
        if maps.previous().is_err() {
            maps.apply(&rig.plan("one.yaml")).unwrap();
        }
        let was_one = passes(NOBODY);
        let before = generation(&maps);
        let mut child = apply(files[usize::from(was_one)]);
        let share = f64::from(random.below(1_000) as u32) / 1_000.0;
        if number % 3 == 0 {
            // Anywhere.
            sleep(whole.mul_f64(1.2 * share));
        } else {
            // While it writes the tables.
            while maps.previous().is_ok_and(|it| it < before) && child.try_wait().unwrap().is_none()
            {
            }
            sleep(writing.mul_f64(1.2 * share));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let seen = [ACME, BOLT].map(passes);
        assert_eq!(seen, [false, true], "a mix after kill {number}");
        let after = generation(&maps);
        assert_eq!(
            passes(NOBODY) == was_one,
            after == before,
            "kill {number}: {before} {after}"
        );
        if after == before {
            old += 1;
            unfinished += u32::from(maps.previous().is_err());
        } else {
            new += 1;
        }
    }
    println!(
        "{} kills of `policy apply`: {old} times the old policy in force ({unfinished} times \
         with the idle half unfinished), {new} times the new one, never a mix",
        old + new
    );
    assert!(
        old > 0 && new > 0 && unfinished > 0,
        "the kills all came at one end: {old} {new} {unfinished}"
    );
}

#[test]
fn no_packet_is_lost_or_leaks_in_thousands_of_applies() {
    let test = "no_packet_is_lost_or_leaks_in_thousands_of_applies";
    let Some(rig) = Rig::new(test) else { return };
    let Lab { alice, server, .. } = &rig.lab;
    let files = ["one.yaml", "other.yaml"];
    for (file, text) in files.into_iter().zip(policies()) {
        rig.write(file, &text);
    }
    rig.ok(&["up", "-p", "one.yaml", "-i", Lab::LAN]);
    let plans = files.map(|file| rig.plan(file));
    let mut maps = Instance::open(&rig.name()).unwrap().maps;
    let sinks = [ACME, BOLT].map(|port| Sink::start(server, port));
    let streams = [ACME, BOLT].map(|port| Stream::start(alice, rig.server_at(port)));
    let applies = repetitions(100, 2_000);
    let begin = Instant::now();
    for (plan, _) in plans.iter().rev().cycle().zip(0..applies) {
        maps.apply(plan).unwrap();
    }
    let took = begin.elapsed();
    let [forbidden, allowed] = streams.map(Stream::stop);
    let [leaked, arrived] = &sinks;
    let arrived = arrived.count(allowed);
    let leaked = leaked.count(0);
    println!(
        "{applies} applies in {:.1} s under {forbidden} forbidden and {allowed} allowed packets: \
         {leaked} leaked, {} lost",
        took.as_secs_f64(),
        allowed - arrived
    );
    assert!(
        forbidden > applies && allowed > applies,
        "too little traffic"
    );
    assert_eq!((leaked, arrived), (0, allowed));
    let hosts = rig.hosts();
    let (passed, refused) = hosts.of(alice.v4, "acme");
    assert_eq!(
        (passed.sent.packets, refused.sent.packets),
        (0, forbidden.into())
    );
}
