//! What most traffic is: web, remote log-ins, the calls home of games. Whatever is dropped, it goes
//! on.

use std::net::UdpSocket;
use std::time::Duration;

use imblock_common::Transport::Tcp;

use super::support::{Datagrams, Site};

#[test]
fn a_web_page_is_innocent() {
    /// The web's own ports, and that of two messengers, which its own users use, too.
    const PORTS: [u16; 3] = [80, 8080, 5222];
    let Some(site) = Site::counting("a_web_page_is_innocent", &["curl", "python3"]) else {
        return;
    };
    site.write("page.html", "NICK alice, of all people\n");
    site.drop_only(&["all"]);
    for port in PORTS {
        let mut command = site.command("python3");
        command.args(["-m", "http.server", &port.to_string()]);
        let _server = site.serve(&mut command, &[(Tcp, port)]);
        site.is_innocent(|| {
            let mut curl = site.command("curl");
            curl.args(["-sS", "--fail"])
                .arg(format!("http://{}/page.html", site.at(port)));
            let (well, said) = site.ends_well(&mut curl);
            (well && said.contains("NICK alice"), said)
        });
    }
}

#[test]
fn a_remote_log_in_is_innocent() {
    /// Said over a connection that is encrypted already: so far it worked.
    const REFUSED: &str = "Permission denied (publickey)";
    let programs = ["dropbear", "dropbearkey", "ssh"];
    let Some(site) = Site::counting("a_remote_log_in_is_innocent", &programs) else {
        return;
    };
    let mut key = site.command("dropbearkey");
    assert!(
        key.args(["-t", "ed25519", "-f", "host.key"])
            .output()
            .unwrap()
            .status
            .success()
    );
    site.drop_only(&["all"]);
    for port in [22_u16, 2222] {
        let mut command = site.command("dropbear");
        command
            .args(["-F", "-E", "-s", "-r", "host.key", "-P", "dropbear.pid"])
            .args(["-p", &port.to_string()]);
        let _server = site.serve(&mut command, &[(Tcp, port)]);
        site.is_innocent(|| {
            let mut ssh = site.command("ssh");
            ssh.args(["-F", "none", "-o", "BatchMode=yes"])
                .args(["-o", "StrictHostKeyChecking=no"])
                .args(["-o", "UserKnownHostsFile=/dev/null"])
                .args(["-p", &port.to_string()])
                .arg(format!("nobody@{}", site.address()));
            site.says(&mut ssh, REFUSED)
        });
    }
}

/// A binding request (RFC 8489) with nothing of a messenger's in it.
#[test]
fn a_game_that_asks_for_its_address_is_innocent() {
    const STUN: u16 = 3478;
    const PATIENCE: Duration = Duration::from_secs(5);
    const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
    const TRANSACTION: &[u8; 12] = b"of-some-game";
    let Some(site) = Site::counting("a_game_that_asks_for_its_address_is_innocent", &[]) else {
        return;
    };
    // A success response with MAPPED-ADDRESS.
    let _server = Datagrams::start(site.server(), STUN, |request, client| {
        let std::net::IpAddr::V4(address) = client.ip() else {
            return Vec::new();
        };
        let mut answer = vec![1, 1, 0, 12];
        answer.extend(&request[4..20]);
        answer.extend([0, 1, 0, 8, 0, 1]);
        answer.extend(client.port().to_be_bytes());
        answer.extend(address.octets());
        answer
    });
    let to = site.at(STUN);
    let ask = || {
        let socket = UdpSocket::bind("0.0.0.0:0")?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let header: &[u8] = &[0, 1, 0, 0];
        socket.send_to(&[header, &COOKIE, TRANSACTION].concat(), &to)?;
        let mut answer = [0; 128];
        let (length, _) = socket.recv_from(&mut answer)?;
        Ok::<_, std::io::Error>(answer[..length].to_vec())
    };
    site.drop_only(&["category:im", "category:p2p"]);
    // Its protocol may be told, but nobody's messenger.
    site.is_innocent_but_for(&["stun"], || {
        let answer = site.alice().namespace.run(ask).unwrap();
        let good = answer
            .as_ref()
            .is_ok_and(|answer| answer[8..20] == *TRANSACTION);
        (good, format!("{answer:?}"))
    });
}
