//! BitTorrent: two peers of libtorrent, the hash table that finds peers, and a tracker.

use imblock::lab::Host;
use imblock_common::Transport::{self, Tcp, Udp};

use super::support::{Answer, Dialogue, Program, Python, Site};

/// A port that is nobody's.
const PEER: u16 = 51_413;
const TRACKER: u16 = 8000;
const SERVICE: &str = "bittorrent";

fn at(host: &Host) -> String {
    format!("{}:{PEER}", host.v4)
}

/// One who has the file, or a node of the hash table.
fn peer(site: &Site, python: &Python, kind: &str, transport: Transport) -> Program {
    let mut command = site.command(python.interpreter());
    let program = Python::program("torrent.py");
    command.args([&program, kind, &at(site.server())]);
    if kind != "dht" {
        command.arg("seed");
    }
    site.serve(&mut command, &[(transport, PEER)])
}

/// Gets the file into an empty folder.
fn get(site: &Site, python: &Python, kind: &str, from: &str) -> Answer {
    let folder = tempfile::tempdir_in(site.home()).unwrap();
    let mut command = site.command(python.interpreter());
    command
        .args([&Python::program("torrent.py"), kind, &at(site.alice())])
        .arg(folder.path())
        .arg(from);
    site.ends_well(&mut command)
}

fn peers_are_told_over(test: &str, kind: &str, transport: Transport) {
    let Some(python) = Python::or_skip(test) else {
        return;
    };
    let Some(site) = Site::counting(test, &[]) else {
        return;
    };
    let _seed = peer(&site, &python, kind, transport);
    let get = || get(&site, &python, kind, &at(site.server()));
    site.counts(SERVICE, &["marker"], get);
    site.drop_only(&[SERVICE]);
    site.refuses(SERVICE, &["marker"], get);
}

#[test]
fn peers_are_told_over_tcp() {
    peers_are_told_over("peers_are_told_over_tcp", "tcp", Tcp);
}

#[test]
fn peers_are_told_over_utp() {
    peers_are_told_over("peers_are_told_over_utp", "utp", Udp);
}

#[test]
fn the_hash_table_is_told() {
    const TEST: &str = "the_hash_table_is_told";
    let Some(python) = Python::or_skip(TEST) else {
        return;
    };
    let Some(site) = Site::counting(TEST, &[]) else {
        return;
    };
    let _node = peer(&site, &python, "dht", Udp);
    let ask = || {
        let mut command = site.command(python.interpreter());
        let program = Python::program("torrent.py");
        command.args([&program, "dht", &at(site.alice()), &at(site.server())]);
        site.ends_well(&mut command)
    };
    site.counts(SERVICE, &["marker"], ask);
    site.drop_only(&[SERVICE]);
    site.refuses(SERVICE, &["marker"], ask);
}

/// Peers whose talk looks like noise still have to find each other.
#[test]
fn a_tracker_is_told_where_peers_are_encrypted() {
    const TEST: &str = "a_tracker_is_told_where_peers_are_encrypted";
    /// `recent`: whatever follows on the heels of a tracker's answer.
    const EVIDENCE: [&str; 3] = ["marker", "http", "recent"];
    let Some(python) = Python::or_skip(TEST) else {
        return;
    };
    let Some(site) = Site::counting(TEST, &[]) else {
        return;
    };
    // One in five hundred such beginnings is as good as Telegram's, by two bytes that are only counted.
    site.is_noisy(&["telegram"]);
    let _seed = peer(&site, &python, "encrypted", Tcp);
    let address = site.server().v4;
    let _tracker = Dialogue::start(site.server(), TRACKER, move |client| {
        while client.next()?.is_some_and(|line| !line.is_empty()) {}
        let mut body = b"d8:intervali60e5:peers6:".to_vec();
        body.extend(address.octets());
        body.extend(PEER.to_be_bytes());
        body.push(b'e');
        let head = format!("HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        client.answer(&[head.as_bytes(), &body].concat())
    });
    let announce = format!("http://{}/announce", site.at(TRACKER));
    let get = || get(&site, &python, "encrypted", &announce);
    site.counts(SERVICE, &EVIDENCE, get);
    site.drop_only(&[SERVICE]);
    site.refuses(SERVICE, &EVIDENCE, get);
}
