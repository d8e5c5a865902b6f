//! What passes, what does not, and what the counters say of it.

use imblock::lab::{EchoServer, Lab};

use super::support::{ACME, BOLT, Counts, NOBODY, PORTS, Rig, Sink, send};

/// Ethernet, IPv4 and UDP headers.
const HEADERS: u64 = 14 + 20 + 8;

#[test]
fn tcp_and_udp_of_both_families_obey_the_policy() {
    let Some(rig) = Rig::up("tcp_and_udp_of_both_families_obey_the_policy") else {
        return;
    };
    let _server = EchoServer::start(&rig.lab.server, &PORTS).unwrap();
    assert_eq!(rig.alice_reaches(), [true, true, true]);
    rig.ok(&["block", "acme"]);
    assert_eq!(rig.alice_reaches(), [false, true, true]);
    assert_eq!(rig.bob_reaches(), [false, true, true]);
}

#[test]
fn each_direction_is_counted_to_the_byte() {
    const COUNT: u32 = 300;
    const LENGTH: usize = 100;
    let Some(rig) = Rig::up("each_direction_is_counted_to_the_byte") else {
        return;
    };
    let Lab {
        alice, bob, server, ..
    } = &rig.lab;
    let _server = EchoServer::start(server, &PORTS).unwrap();
    // Both at once, so that both CPUs count.
    std::thread::scope(|scope| {
        scope.spawn(|| send(alice, rig.server_at(ACME), COUNT, LENGTH));
        scope.spawn(|| send(bob, rig.server_at(ACME), 2 * COUNT, LENGTH));
    });
    let bytes = HEADERS + LENGTH as u64;
    let of = |count: u32| Counts::of(count.into(), bytes * u64::from(count));
    super::support::eventually("the last echo is in", || {
        rig.hosts().of(bob.v4, "acme").0.received.packets >= u64::from(2 * COUNT)
    });
    let hosts = rig.hosts();
    for (host, count) in [(alice, COUNT), (bob, 2 * COUNT)] {
        let (passed, refused) = hosts.of(host.v4, "acme");
        assert_eq!(
            (passed.sent, passed.received),
            (of(count), of(count)),
            "{}",
            host.name()
        );
        assert_eq!(refused, Default::default());
    }
    assert_eq!(
        rig.services().sum("acme"),
        (of(6 * COUNT), Counts::default())
    );
    assert_eq!(hosts.sum("acme"), rig.services().sum("acme"));
}

#[test]
fn what_is_refused_never_arrives_and_is_counted() {
    const COUNT: u32 = 500;
    let Some(rig) = Rig::up("what_is_refused_never_arrives_and_is_counted") else {
        return;
    };
    let Lab { alice, server, .. } = &rig.lab;
    let acme = Sink::start(server, ACME);
    let nobody = Sink::start(server, NOBODY);
    rig.ok(&["block", "acme"]);
    send(alice, rig.server_at(ACME), COUNT, 32);
    send(alice, rig.server_at(NOBODY), COUNT, 32);
    assert_eq!((nobody.count(COUNT), acme.count(0)), (COUNT, 0));
    let (passed, refused) = rig.hosts().of(alice.v4, "acme");
    assert_eq!(refused.sent, Counts::of(500, 500 * (HEADERS + 32)));
    assert_eq!((passed, refused.received), Default::default());
}

#[test]
fn what_the_server_sends_is_refused_on_its_way_back() {
    let Some(rig) = Rig::up("what_the_server_sends_is_refused_on_its_way_back") else {
        return;
    };
    let Lab { alice, server, .. } = &rig.lab;
    let sink = Sink::start(alice, 40_000);
    rig.ok(&["block", "acme"]);
    // From the messenger's port, as an answer would come.
    let to = (alice.v4, 40_000).into();
    let from = std::net::SocketAddr::new(server.v4.into(), ACME);
    let socket = server
        .namespace
        .run(|| std::net::UdpSocket::bind(from).unwrap())
        .unwrap();
    let to: std::net::SocketAddr = to;
    for number in 0..20_u32 {
        socket.send_to(&number.to_be_bytes(), to).unwrap();
    }
    assert_eq!(sink.count(0), 0);
    let (passed, refused) = rig.hosts().of(alice.v4, "acme");
    assert_eq!(refused.received.packets, 20);
    assert_eq!((passed, refused.sent), Default::default());
}

#[test]
fn hosts_without_room_are_counted_as_overflow() {
    const COUNT: u32 = 20;
    /// The smallest table has eight slots a CPU.
    const SERVICES: u16 = 30;
    let Some(rig) = Rig::new("hosts_without_room_are_counted_as_overflow") else {
        return;
    };
    let mut policy = String::from("version: 1\nname: tight\nlimits: { hosts: 1 }\nservices:\n");
    for service in 0..SERVICES {
        let port = ACME + service;
        policy +=
            &format!("  - {{ id: s{service}, name: S, category: im, ports: [udp/{port}] }}\n");
    }
    rig.write("tight.yaml", &policy);
    rig.ok(&["up", "-p", "tight.yaml", "-i", Lab::LAN]);
    let sinks: Vec<Sink> = (0..SERVICES)
        .map(|service| Sink::start(&rig.lab.server, ACME + service))
        .collect();
    for host in rig.lab.lan_hosts() {
        for service in 0..SERVICES {
            send(host, rig.server_at(ACME + service), COUNT, 32);
        }
    }
    super::support::eventually("the last packet is counted", || {
        let services = rig.services();
        let passed = |service| services.sum(&format!("s{service}")).0.packets;
        (0..SERVICES).all(|service| passed(service) >= u64::from(2 * COUNT))
    });
    drop(sinks);
    let (hosts, services) = (rig.hosts(), rig.services());
    assert!(!hosts.overflow.is_empty(), "{hosts:?}");
    for service in 0..SERVICES {
        let id = format!("s{service}");
        assert_eq!(hosts.sum(&id), services.sum(&id));
        assert_eq!(hosts.sum(&id).0.packets, u64::from(2 * COUNT));
    }
}

#[test]
fn a_server_of_ones_own_on_a_listed_port_is_left_alone() {
    let Some(rig) = Rig::up("a_server_of_ones_own_on_a_listed_port_is_left_alone") else {
        return;
    };
    let Lab { alice, server, .. } = &rig.lab;
    let _own = EchoServer::start(alice, &PORTS).unwrap();
    rig.ok(&["block", "all"]);
    assert!(rig.reaches(server, alice, ACME));
    assert!(rig.reaches(server, alice, BOLT));
    assert_eq!(rig.hosts().sum("acme"), Default::default());
}

#[test]
fn ipv6_hosts_are_counted_by_their_own_address() {
    let Some(rig) = Rig::up("ipv6_hosts_are_counted_by_their_own_address") else {
        return;
    };
    let Lab { alice, server, .. } = &rig.lab;
    let (Some(own), Some(to)) = (alice.v6, server.v6) else {
        imblock::testing::skip(
            "ipv6_hosts_are_counted_by_their_own_address",
            "no IPv6 here",
        );
        return;
    };
    let _server = EchoServer::start(server, &PORTS).unwrap();
    rig.ok(&["block", "bolt"]);
    send(alice, (to, ACME).into(), 10, 32);
    send(alice, (to, BOLT).into(), 20, 32);
    super::support::eventually("twenty refused", || {
        rig.hosts().of(own, "bolt").1.sent.packets == 20
    });
    let hosts = rig.hosts();
    assert_eq!(
        hosts.of(own, "acme").0.sent,
        Counts::of(10, 10 * (HEADERS + 20 + 32))
    );
    assert_eq!(
        hosts.of(own, "bolt").1.sent,
        Counts::of(20, 20 * (HEADERS + 20 + 32))
    );
}

#[test]
fn a_wan_side_alone_blocks_and_counts_received_traffic() {
    let Some(rig) = Rig::new("a_wan_side_alone_blocks_and_counts_received_traffic") else {
        return;
    };
    let wan = format!("{}:wan", Lab::WAN);
    rig.ok(&["up", "-p", "policy.yaml", "-i", &wan]);
    let _server = EchoServer::start(&rig.lab.server, &PORTS).unwrap();
    assert_eq!(rig.alice_reaches(), [true, true, true]);
    let (passed, _) = rig.hosts().of(rig.lab.alice.v4, "bolt");
    assert!(passed.received.packets > 0, "{passed:?}");
    rig.ok(&["block", "acme"]);
    assert_eq!(rig.alice_reaches(), [false, true, true]);
}

#[test]
fn a_packet_that_crosses_two_managed_interfaces_is_counted_once() {
    const COUNT: u32 = 100;
    let Some(rig) = Rig::new("a_packet_that_crosses_two_managed_interfaces_is_counted_once") else {
        return;
    };
    let wan = format!("{}:wan", Lab::WAN);
    rig.ok(&["up", "-p", "policy.yaml", "-i", Lab::LAN, "-i", &wan]);
    let Lab { alice, server, .. } = &rig.lab;
    let _server = EchoServer::start(server, &PORTS).unwrap();
    send(alice, rig.server_at(ACME), COUNT, 32);
    super::support::eventually("the last echo is in", || {
        rig.hosts().of(alice.v4, "acme").0.received.packets >= u64::from(COUNT)
    });
    let (passed, _) = rig.hosts().of(alice.v4, "acme");
    assert_eq!(passed.sent.packets, u64::from(COUNT));
    assert_eq!(passed.received.packets, u64::from(COUNT));
    assert_eq!(rig.hosts().sum("acme"), rig.services().sum("acme"));
}

#[test]
fn bulk_tcp_adds_up() {
    use std::io::{Read, Write};
    const MEGABYTES: usize = 4;
    let Some(rig) = Rig::up("bulk_tcp_adds_up") else {
        return;
    };
    let Lab { alice, server, .. } = &rig.lab;
    let _server = EchoServer::start(server, &PORTS).unwrap();
    let at = rig.server_at(ACME);
    let stream = alice
        .namespace
        .run(|| std::net::TcpStream::connect(at).unwrap())
        .unwrap();
    let mut sender = stream.try_clone().unwrap();
    let writer = std::thread::spawn(move || {
        for _ in 0..MEGABYTES {
            sender.write_all(&vec![7; 1 << 20]).unwrap();
        }
        sender.shutdown(std::net::Shutdown::Write).unwrap();
    });
    let mut back = Vec::new();
    (&stream).read_to_end(&mut back).unwrap();
    writer.join().unwrap();
    assert_eq!(back.len(), MEGABYTES << 20);
    let payload = (MEGABYTES << 20) as u64;
    super::support::eventually("hosts and totals agree", || {
        rig.hosts().sum("acme") == rig.services().sum("acme")
    });
    let (passed, refused) = rig.hosts().of(alice.v4, "acme");
    assert_eq!(refused, Default::default());
    for direction in [passed.sent, passed.received] {
        // Each packet on the wire holds at most 1,448 bytes and repeats 66 bytes of headers; a GSO
        // buffer that was counted as one packet would have far fewer of both.
        assert!(direction.packets >= payload / 1448, "{direction:?}");
        assert!(
            direction.bytes >= payload + payload / 1448 * 66,
            "{direction:?}"
        );
    }
}

#[test]
fn a_device_keeps_its_group_whatever_its_address() {
    let Some(rig) = Rig::new("a_device_keeps_its_group_whatever_its_address") else {
        return;
    };
    let Lab {
        alice,
        router,
        server,
        ..
    } = &rig.lab;
    let echo = EchoServer::start(server, &PORTS).unwrap();
    assert_eq!(rig.alice_reaches(), [true, true, true]);
    let neighbours = router
        .namespace
        .run(|| std::fs::read_to_string("/proc/thread-self/net/arp").unwrap())
        .unwrap();
    let address = alice.v4.to_string();
    let of_alice = |line: &&str| line.split_whitespace().next() == Some(&address);
    let line = neighbours.lines().find(of_alice).unwrap();
    let device = line.split_whitespace().nth(3).unwrap();
    let rules = "rules: [{ services: [acme], groups: [kids], action: drop }]\n";
    let kids = format!("groups:\n  kids: [\"{device}\"]\n  rest:");
    let policy = super::support::POLICY.replace("groups:\n  support:", &kids);
    rig.write("devices.yaml", &format!("{policy}{rules}"));
    rig.ok(&["up", "-p", "devices.yaml", "-i", Lab::LAN]);
    // By IPv4 and IPv6, of which the policy knows neither.
    assert_eq!(rig.alice_reaches(), [false, true, true]);
    assert_eq!(rig.bob_reaches(), [true, true, true]);

    let (_, refused) = rig.hosts().of(alice.v4, "acme");
    assert!(refused.sent.packets > 0, "{refused:?}");
    drop(echo);

    // And what is sent to it, on its way out to the LAN.
    let sink = Sink::start(alice, 40_000);
    let from = std::net::SocketAddr::new(server.v4.into(), ACME);
    let socket = server
        .namespace
        .run(|| std::net::UdpSocket::bind(from).unwrap())
        .unwrap();
    for number in 0..20_u32 {
        let to = std::net::SocketAddr::new(alice.v4.into(), 40_000);
        socket.send_to(&number.to_be_bytes(), to).unwrap();
    }
    assert_eq!(sink.count(0), 0);
    let (_, refused) = rig.hosts().of(alice.v4, "acme");
    assert_eq!(refused.received.packets, 20);
}
