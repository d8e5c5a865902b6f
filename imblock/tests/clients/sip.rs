//! SIP: a call of sipp to sipp; and a web request that shares a verb with it.

use imblock_common::Transport::{self, Tcp, Udp};

use super::support::{Answer, Dialogue, Program, Site};

const SIP: u16 = 5060;
/// A port that providers use, too, but that is not SIP's.
const OTHER: u16 = 5070;

fn mode(transport: Transport) -> &'static str {
    match transport {
        Tcp => "t1",
        Udp => "u1",
    }
}

fn answering(site: &Site, transport: Transport, port: u16) -> Program {
    let mut command = site.command("sipp");
    command
        .args(["-sn", "uas", "-nostdin", "-t", mode(transport)])
        .args(["-i", &site.address(), "-p", &port.to_string()]);
    site.serve(&mut command, &[(transport, port)])
}

/// A call that is taken, and ended a moment later.
fn call(site: &Site, transport: Transport, port: u16) -> Answer {
    let mut command = site.command("sipp");
    command
        .args([
            "-sn",
            "uac",
            &site.at(port),
            "-nostdin",
            "-t",
            mode(transport),
        ])
        .args(["-i", &site.alice().v4.to_string(), "-m", "1", "-d", "100"]);
    site.ends_well(&mut command)
}

fn is_told_on(test: &str, transport: Transport, port: u16, evidence: &[&str]) {
    let Some(site) = Site::counting(test, &["sipp"]) else {
        return;
    };
    let _server = answering(&site, transport, port);
    site.counts("sip", evidence, || call(&site, transport, port));
    site.drop_only(&["sip"]);
    site.refuses("sip", evidence, || call(&site, transport, port));
}

#[test]
fn a_call_is_told_on_its_port() {
    is_told_on("a_call_is_told_on_its_port", Udp, SIP, &["port", "marker"]);
}

#[test]
fn a_call_is_told_on_any_port() {
    is_told_on("a_call_is_told_on_any_port", Udp, OTHER, &["marker"]);
}

#[test]
fn a_call_over_tcp_is_told_on_any_port() {
    let test = "a_call_over_tcp_is_told_on_any_port";
    is_told_on(test, Tcp, OTHER, &["marker"]);
}

#[test]
fn the_options_of_a_web_server_are_innocent() {
    let Some(site) = Site::counting("the_options_of_a_web_server_are_innocent", &["curl"]) else {
        return;
    };
    let _server = Dialogue::start(site.server(), OTHER, |client| {
        while client.next()?.is_some_and(|line| !line.is_empty()) {}
        client.answer(b"HTTP/1.1 204 Fine\r\nAllow: GET\r\nConnection: close\r\n\r\n")
    });
    site.drop_only(&["all"]);
    for target in ["*", "/sip:alice"] {
        site.is_innocent(|| {
            let mut curl = site.command("curl");
            curl.args(["-sS", "-X", "OPTIONS"])
                .args(["--request-target", target])
                .arg(format!("http://{}/", site.at(OTHER)));
            site.ends_well(&mut curl)
        });
    }
}
