//! Services told by name and address, with real sockets and real programs.

use std::io::{Read as _, Write as _};
use std::net::{TcpStream, UdpSocket};
use std::process::{Command, Stdio};
use std::time::Duration;

use imblock::lab::{EchoServer, Host};
use imblock_common::Transport;
use imblock_common::testkit::{ClientHello, dns_query};
use rustix::process::{Pid, Signal, kill_process};

use super::support::{Rig, eventually};

/// How long an answer may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long `openssl` may take to say its first word.
const START: &str = "30";
const TLS: u16 = 443;
const DNS: u16 = 53;

const POLICY: &str = "
version: 1
name: names
services:
  - { id: chatter, name: Chatter, category: im, names: [chatter.example] }
  - { id: towers, name: Towers, category: im, prefixes: [198.51.100.0/24] }
rules:
  - { services: [towers], action: allow }
";

fn rig(test: &str) -> Option<Rig> {
    let rig = Rig::new(test)?;
    rig.write("names.yaml", POLICY);
    rig.ok(&["up", "-p", "names.yaml", "-i", imblock::lab::Lab::LAN]);
    Some(rig)
}

/// Whether the server echoes what is written to it over TCP, once.
fn echoes_tcp(rig: &Rig, from: &Host, port: u16, bytes: Vec<u8>) -> bool {
    let to = rig.server_at(port);
    let talk = move || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&to, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(&bytes)?;
        let mut answer = vec![0; bytes.len()];
        stream.read_exact(&mut answer)?;
        Ok(answer == bytes)
    };
    from.namespace.run(talk).unwrap().unwrap_or(false)
}

/// The same over UDP.
fn echoes_udp(rig: &Rig, from: &Host, port: u16, bytes: Vec<u8>) -> bool {
    let to = rig.server_at(port);
    let talk = move || -> std::io::Result<bool> {
        let socket = UdpSocket::bind("0.0.0.0:0")?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.send_to(&bytes, to)?;
        let mut answer = [0; 2048];
        let (length, _) = socket.recv_from(&mut answer)?;
        Ok(answer.get(..length) == Some(&bytes[..]))
    };
    from.namespace.run(talk).unwrap().unwrap_or(false)
}

#[test]
fn a_handshake_is_told_by_its_server_name_on_any_port() {
    let Some(rig) = rig("a_handshake_is_told_by_its_server_name_on_any_port") else {
        return;
    };
    let ports = [(Transport::Tcp, TLS), (Transport::Tcp, 8080)];
    let _server = EchoServer::start(&rig.lab.server, &ports).unwrap();
    let alice = &rig.lab.alice;
    let reaches = |port, name: &str| echoes_tcp(&rig, alice, port, ClientHello::new(name).build());
    for port in [TLS, 8080] {
        assert!(reaches(port, "web.chatter.example"));
    }
    rig.ok(&["block", "chatter"]);
    for port in [TLS, 8080] {
        assert!(!reaches(port, "web.chatter.example"));
        assert!(!reaches(port, "CHATTER.example"));
        assert!(reaches(port, "xchatter.example"));
        assert!(reaches(port, "chatter.example.org"));
    }
    let (_, refused) = rig.hosts().of(alice.v4, "chatter");
    assert!(refused.sent.packets >= 4);
}

#[test]
fn a_question_is_told_by_its_name() {
    let Some(rig) = rig("a_question_is_told_by_its_name") else {
        return;
    };
    let _server = EchoServer::start(&rig.lab.server, &[(Transport::Udp, DNS)]).unwrap();
    let alice = &rig.lab.alice;
    let reaches = |name: &str| echoes_udp(&rig, alice, DNS, dns_query(name));
    assert!(reaches("web.chatter.example"));
    rig.ok(&["block", "chatter"]);
    assert!(!reaches("web.chatter.example"));
    assert!(!reaches("wEb.cHaTtEr.eXaMpLe"));
    assert!(reaches("xchatter.example"));
    assert_eq!(rig.hosts().of(alice.v4, "chatter").1.sent.packets, 2);
}

#[test]
fn an_address_tells_a_service_whatever_the_port() {
    let Some(rig) = rig("an_address_tells_a_service_whatever_the_port") else {
        return;
    };
    let _server = EchoServer::start(&rig.lab.server, &[(Transport::Udp, 12_345)]).unwrap();
    let alice = &rig.lab.alice;
    let reaches = || echoes_udp(&rig, alice, 12_345, b"anything".to_vec());
    assert!(reaches());
    let (passed, _) = rig.hosts().of(alice.v4, "towers");
    assert_eq!((passed.sent.packets, passed.received.packets), (1, 1));
    rig.ok(&["block", "towers"]);
    assert!(!reaches());
    rig.ok(&["reset", "towers"]);
    assert!(reaches());
}

/// A ClientHello of a real TLS library, post-quantum key share and all if it has one.
#[test]
fn the_hello_of_openssl_is_told() {
    let Some(rig) = rig("the_hello_of_openssl_is_told") else {
        return;
    };
    if Command::new("openssl").arg("version").output().is_err() {
        imblock::testing::skip("the_hello_of_openssl_is_told", "no openssl here");
        return;
    }
    let _server = EchoServer::start(&rig.lab.server, &[(Transport::Tcp, TLS)]).unwrap();
    let alice = &rig.lab.alice;
    let hello = |name: &str| {
        let mut command = Command::new("timeout");
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let address = rig.server_at(TLS).to_string();
        command.args([
            START,
            "openssl",
            "s_client",
            "-connect",
            &address,
            "-servername",
            name,
        ]);
        alice
            .namespace
            .spawn(command.stderr(Stdio::null()))
            .unwrap()
    };
    // The echo is no TLS server: it ends the handshake, and the hello was sent by then.
    hello("somewhere.example").wait().unwrap();
    assert_eq!(rig.hosts().of(alice.v4, "chatter"), Default::default());
    hello("web.chatter.example").wait().unwrap();
    let (passed, _) = rig.hosts().of(alice.v4, "chatter");
    assert!(passed.sent.packets >= 1, "{passed:?}");
    rig.ok(&["block", "chatter"]);
    let mut waiting = hello("web.chatter.example");
    eventually("the hello is refused", || {
        rig.hosts().of(alice.v4, "chatter").1.sent.packets >= 1
    });
    // `timeout` hands this on.
    kill_process(Pid::from_child(&waiting), Signal::TERM).unwrap();
    waiting.wait().unwrap();
}

/// What the box itself says lies in other memory than its headers.
#[test]
fn the_box_itself_is_told_by_name_on_its_way_out() {
    let test = "the_box_itself_is_told_by_name_on_its_way_out";
    let Some(rig) = Rig::bare(test, imblock::lab::Wiring::Plain) else {
        return;
    };
    let interfaces = "interfaces: [{ name: wan0, side: wan, egress: true }]\n";
    rig.write("names.yaml", &(POLICY.to_owned() + interfaces));
    rig.ok(&["up", "-p", "names.yaml"]);
    let _server = EchoServer::start(&rig.lab.server, &[(Transport::Tcp, TLS)]).unwrap();
    let router = &rig.lab.router;
    let hello = |padding| {
        ClientHello::new("web.chatter.example")
            .padded(padding)
            .build()
    };
    for padding in [0, 300, 900] {
        assert!(echoes_tcp(&rig, router, TLS, hello(padding)));
    }
    rig.ok(&["block", "chatter"]);
    // A name in the first 160 bytes of the frame, behind which nothing need be in one piece.
    let short = ClientHello::new("chatter.example").session_id(0).build();
    assert!(!echoes_tcp(&rig, router, TLS, short));
    for padding in [0, 300, 900] {
        let reaches = echoes_tcp(&rig, router, TLS, hello(padding));
        assert!(!reaches, "padded by {padding}");
    }
}
