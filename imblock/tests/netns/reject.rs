//! Rejected packets, as the kernel's own stacks take the answers: clients learn at once, and both ends
//! of a connection let go.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::time::{Duration, Instant};

use imblock::lab::{Host, Lab, Wiring};
use imblock::testing;

use super::support::{ACME, Rig, eventually};

/// What "at once" means on a busy machine. A client that is only dropped waits for a second at least.
const AT_ONCE: Duration = Duration::from_millis(800);
/// Long enough for what is not timed.
const PATIENCE: Duration = Duration::from_secs(5);
const NOBODY: u16 = 8080;
const DNS: u16 = 53;

/// A messenger with a port, one that is told by what is said, and one by its name.
const POLICY: &str = "\
version: 1
name: reject
defaults: { action: count }
services:
  - { id: acme, name: Acme Chat, category: im, ports: [tcp/7000, udp/7000] }
  - id: bolt
    name: Bolt
    category: im
    markers: [{ transport: tcp, from: client, text: \"BOLT hello\" }]
    names: [bolt.example]
";

/// A network where `acme` and `bolt` are rejected on the LAN, XDP attached in a mode.
fn rejecting(test: &str, wiring: Wiring, mode: &str) -> Option<Rig> {
    let rig = counting(test, wiring, mode)?;
    rig.ok(&["reject", "acme", "bolt"]);
    Some(rig)
}

fn counting(test: &str, wiring: Wiring, mode: &str) -> Option<Rig> {
    let rig = Rig::bare(test, wiring)?;
    let interfaces = format!("interfaces: [{{ name: lan0, side: lan, mode: {mode} }}]\n");
    rig.write("policy.yaml", &(POLICY.to_owned() + &interfaces));
    rig.ok(&["up", "-p", "policy.yaml"]);
    if mode == "native" {
        // A veth sends what XDP gives it only to a peer that has XDP, too.
        let instance = format!("{}-switch", rig.instance);
        let up = ["up", "-p", "audit", "-i", Lab::SWITCH_UP];
        let mut command = rig.command(&instance, &up);
        let output = rig.lab.switch.output(&mut command).unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    Some(rig)
}

/// How a connection fares, and how long that took to know.
fn connect(from: &Host, to: SocketAddr) -> (Result<TcpStream, ErrorKind>, Duration) {
    let connect = || {
        let begin = Instant::now();
        let stream = TcpStream::connect_timeout(&to, PATIENCE);
        (stream.map_err(|error| error.kind()), begin.elapsed())
    };
    from.namespace.run(connect).unwrap()
}

/// A server that listens.
fn listen(on: &Host, port: u16) -> TcpListener {
    let any: IpAddr = match on.v6 {
        Some(_) => Ipv6Addr::UNSPECIFIED.into(),
        None => Ipv4Addr::UNSPECIFIED.into(),
    };
    let listen = || TcpListener::bind(SocketAddr::new(any, port)).unwrap();
    on.namespace.run(listen).unwrap()
}

/// A connection from alice to the server, both ends of it.
fn connection(rig: &Rig, to: IpAddr, port: u16) -> (TcpStream, TcpStream) {
    let listener = listen(&rig.lab.server, port);
    let (client, _) = connect(&rig.lab.alice, SocketAddr::new(to, port));
    let (server, _) = listener.accept().unwrap();
    let client = client.unwrap();
    for end in [&client, &server] {
        end.set_read_timeout(Some(PATIENCE)).unwrap();
    }
    (client, server)
}

/// What reading ends in, and how long it took.
fn read(from: &mut TcpStream) -> (Result<usize, ErrorKind>, Duration) {
    let begin = Instant::now();
    let read = from.read(&mut [0; 100]).map_err(|error| error.kind());
    (read, begin.elapsed())
}

#[track_caller]
fn assert_reset(end: &mut TcpStream) {
    let (read, took) = read(end);
    assert_eq!(read, Err(ErrorKind::ConnectionReset));
    assert!(took < AT_ONCE, "{took:?}");
}

#[track_caller]
fn assert_refused(rig: &Rig) {
    let Lab { alice, server, .. } = &rig.lab;
    let _listener = listen(server, ACME);
    for address in server.addresses() {
        // The first packet may wait for a neighbour to be found.
        drop(connect(alice, SocketAddr::new(address, NOBODY)));
        let (stream, took) = connect(alice, SocketAddr::new(address, ACME));
        assert_eq!(
            stream.err(),
            Some(ErrorKind::ConnectionRefused),
            "{address}"
        );
        println!("{address} refused in {took:?}");
        assert!(took < AT_ONCE, "{address}: {took:?}");
    }
}

#[test]
fn a_connection_is_refused_at_once() {
    let Some(rig) = rejecting("a_connection_is_refused_at_once", Wiring::Plain, "native") else {
        return;
    };
    assert_refused(&rig);
    let status = rig.ok(&["status"]);
    assert!(status.contains("packets answered"), "{status}");
}

#[test]
fn a_connection_is_refused_in_generic_mode() {
    const TEST: &str = "a_connection_is_refused_in_generic_mode";
    let Some(rig) = rejecting(TEST, Wiring::Plain, "generic") else {
        return;
    };
    assert_refused(&rig);
}

#[test]
fn a_connection_in_a_vlan_is_refused() {
    const TEST: &str = "a_connection_in_a_vlan_is_refused";
    let Some(rig) = rejecting(TEST, Wiring::Vlan(42), "native") else {
        return;
    };
    assert_refused(&rig);
}

/// What tells the service is the client's first word, in a connection that exists by then.
fn a_condemned_connection_ends(test: &str, mode: &str) {
    let Some(rig) = rejecting(test, Wiring::Plain, mode) else {
        return;
    };
    for address in rig.lab.server.addresses() {
        let (mut client, mut server) = connection(&rig, address, NOBODY);
        client.write_all(b"BOLT hello\r\n").unwrap();
        assert_reset(&mut client);
        // It never got the word, and learns when it says something itself.
        server.write_all(b"Are you there?").unwrap();
        assert_reset(&mut server);
    }
}

#[test]
fn both_ends_of_a_condemned_connection_let_go() {
    a_condemned_connection_ends("both_ends_of_a_condemned_connection_let_go", "native");
}

#[test]
fn both_ends_of_a_condemned_connection_let_go_in_generic_mode() {
    const TEST: &str = "both_ends_of_a_condemned_connection_let_go_in_generic_mode";
    a_condemned_connection_ends(TEST, "generic");
}

#[test]
fn a_client_that_only_listens_lets_go_and_so_does_its_server() {
    const TEST: &str = "a_client_that_only_listens_lets_go_and_so_does_its_server";
    let Some(rig) = counting(TEST, Wiring::Plain, "native") else {
        return;
    };
    for address in rig.lab.server.addresses() {
        let (mut client, mut server) = connection(&rig, address, ACME);
        server.write_all(b"news").unwrap();
        assert_eq!(read(&mut client).0, Ok(4));
        rig.ok(&["reject", "acme"]);
        server.write_all(b"more news").unwrap();
        assert_reset(&mut client);
        assert_reset(&mut server);
        rig.ok(&["reset"]);
    }
    let status = rig.ok(&["status", "--json"]);
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    let cut = status["rejections"]["cut"].as_u64().unwrap();
    let families = rig.lab.server.addresses().count();
    assert!(cut >= u64::try_from(families).unwrap(), "{status}");
}

/// Where the router translates addresses, and lets through only what belongs to a connection.
#[test]
fn both_ends_let_go_through_nat_and_a_firewall() {
    const TEST: &str = "both_ends_let_go_through_nat_and_a_firewall";
    const RULES: &str = "\
add table ip t
add chain ip t post { type nat hook postrouting priority 100; }
add rule ip t post oifname wan0 masquerade
add chain ip t forward { type filter hook forward priority 0; policy drop; }
add rule ip t forward ct state established,related accept
add rule ip t forward iifname lan0 ct state new tcp flags syn accept
";
    let Some(rig) = counting(TEST, Wiring::Plain, "native") else {
        return;
    };
    rig.write("rules", RULES);
    let Lab { router, server, .. } = &rig.lab;
    let mut nft = Command::new("nft");
    nft.arg("-f").arg(rig.home.path().join("rules"));
    match router.namespace.output(&mut nft) {
        Ok(output) if output.status.success() => {}
        failed => return testing::skip(TEST, format_args!("nft can't translate: {failed:?}")),
    }
    let address = server.v4.into();
    let (mut client, mut far) = connection(&rig, address, ACME);
    assert_eq!(far.peer_addr().unwrap().ip().to_canonical(), wan_of(router));
    far.write_all(b"news").unwrap();
    assert_eq!(read(&mut client).0, Ok(4));
    rig.ok(&["reject", "acme", "bolt"]);
    far.write_all(b"more news").unwrap();
    assert_reset(&mut client);
    assert_reset(&mut far);
    // By what the client says: the server learns when it says something.
    let (mut client, mut far) = connection(&rig, address, NOBODY);
    client.write_all(b"BOLT hello\r\n").unwrap();
    assert_reset(&mut client);
    far.write_all(b"Are you there?").unwrap();
    assert_reset(&mut far);
}

/// The router's address in the world.
fn wan_of(router: &Host) -> IpAddr {
    let socket = || {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        socket.connect("198.51.100.7:9").unwrap();
        socket.local_addr().unwrap().ip()
    };
    router.namespace.run(socket).unwrap()
}

/// What the server says may be more than a packet, and leave in one buffer.
#[test]
fn a_server_in_full_flow_lets_go() {
    const TEST: &str = "a_server_in_full_flow_lets_go";
    let Some(rig) = counting(TEST, Wiring::Plain, "native") else {
        return;
    };
    for address in rig.lab.server.addresses() {
        let (mut client, mut server) = connection(&rig, address, ACME);
        let reading = std::thread::spawn(move || {
            let mut buffer = vec![0; 1 << 16];
            loop {
                match client.read(&mut buffer) {
                    Ok(0) => return None,
                    Ok(_) => {}
                    Err(error) => return Some(error.kind()),
                }
            }
        });
        let writing = std::thread::spawn(move || {
            let begin = Instant::now();
            while begin.elapsed() < 6 * PATIENCE {
                if let Err(error) = server.write_all(&[7; 1 << 16]) {
                    return Some(error.kind());
                }
            }
            None
        });
        std::thread::sleep(Duration::from_millis(200));
        rig.ok(&["reject", "acme"]);
        assert_eq!(reading.join().unwrap(), Some(ErrorKind::ConnectionReset));
        let ended = writing.join().unwrap();
        let ends = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
        assert!(ended.is_some_and(|kind| ends.contains(&kind)), "{ended:?}");
        rig.ok(&["reset"]);
    }
}

#[test]
fn a_datagram_is_answered_by_an_error() {
    const TEST: &str = "a_datagram_is_answered_by_an_error";
    let Some(rig) = rejecting(TEST, Wiring::Plain, "native") else {
        return;
    };
    let Lab { alice, server, .. } = &rig.lab;
    for address in server.addresses() {
        let ask = |length: usize| {
            let any: IpAddr = match address {
                IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
                IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
            };
            let socket = UdpSocket::bind(SocketAddr::new(any, 0)).unwrap();
            socket.connect(SocketAddr::new(address, ACME)).unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            let begin = Instant::now();
            socket.send(&vec![7; length]).unwrap();
            let error = socket.recv(&mut [0; 10]).unwrap_err();
            (error.kind(), begin.elapsed())
        };
        drop(connect(alice, SocketAddr::new(address, NOBODY)));
        for length in [1, 400] {
            let (kind, took) = alice.namespace.run(|| ask(length)).unwrap();
            let wanted = match address {
                IpAddr::V4(_) => ErrorKind::HostUnreachable,
                IpAddr::V6(_) => ErrorKind::PermissionDenied,
            };
            assert_eq!(kind, wanted, "{address}, {length} bytes");
            assert!(took < AT_ONCE, "{took:?}");
        }
    }
}

#[test]
fn dig_is_told_that_there_is_no_such_name() {
    const TEST: &str = "dig_is_told_that_there_is_no_such_name";
    if Command::new("dig").arg("-v").output().is_err() {
        testing::skip(TEST, "`dig` is not installed");
        return;
    }
    let Some(rig) = rejecting(TEST, Wiring::Plain, "native") else {
        return;
    };
    let Lab { alice, server, .. } = &rig.lab;
    for address in server.addresses() {
        drop(connect(alice, SocketAddr::new(address, DNS)));
        let mut dig = Command::new("dig");
        dig.arg(format!("@{address}"))
            .args(["+tries=1", "+time=3", "www.Bolt.example", "AAAA"]);
        let output = alice.namespace.output(&mut dig).unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}");
        assert!(said.contains("status: NXDOMAIN"), "{said}");
        assert!(!said.contains("WARNING"), "{said}");
    }
}

/// The box's own clients, where there is no LAN.
#[test]
fn the_box_itself_is_refused_on_its_way_out() {
    const TEST: &str = "the_box_itself_is_refused_on_its_way_out";
    for mode in ["native", "generic"] {
        let Some(rig) = Rig::bare(TEST, Wiring::Plain) else {
            return;
        };
        let interfaces =
            format!("interfaces: [{{ name: wan0, side: wan, mode: {mode}, egress: true }}]\n");
        rig.write("policy.yaml", &(POLICY.to_owned() + &interfaces));
        rig.ok(&["up", "-p", "policy.yaml"]);
        rig.ok(&["reject", "acme", "bolt"]);
        let Lab { router, server, .. } = &rig.lab;
        let listener = listen(server, NOBODY);
        for address in server.addresses() {
            let (stream, took) = connect(router, SocketAddr::new(address, ACME));
            assert_eq!(stream.err(), Some(ErrorKind::ConnectionRefused), "{mode}");
            assert!(took < AT_ONCE, "{took:?}");
            // In mid-stream the server is told at once, too.
            let (client, _) = connect(router, SocketAddr::new(address, NOBODY));
            let (mut client, mut far) = (client.unwrap(), listener.accept().unwrap().0);
            for end in [&client, &far] {
                end.set_read_timeout(Some(PATIENCE)).unwrap();
            }
            client.write_all(b"BOLT hello\r\n").unwrap();
            assert_reset(&mut client);
            assert_reset(&mut far);
        }
    }
}

/// Others of the same hosts go on.
#[test]
fn nobody_else_is_answered() {
    let Some(rig) = rejecting("nobody_else_is_answered", Wiring::Plain, "native") else {
        return;
    };
    for address in rig.lab.server.addresses() {
        let (mut client, mut server) = connection(&rig, address, NOBODY);
        client.write_all(b"USER alice\r\n").unwrap();
        assert_eq!(read(&mut server).0, Ok(12));
        server.write_all(b"hello").unwrap();
        assert_eq!(read(&mut client).0, Ok(5));
    }
    eventually("nothing was answered", || {
        !rig.ok(&["status"]).contains("answered")
    });
}
