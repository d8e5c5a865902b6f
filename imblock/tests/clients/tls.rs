//! TLS: names in the handshakes of openssl, curl and a browser.

use std::path::PathBuf;

use imblock_common::Transport::Tcp;

use super::support::{Answer, Program, Python, Site};

const HTTPS: u16 = 443;
/// Where nobody expects TLS.
const OTHER: u16 = 8000;
const NAME: &str = "web.whatsapp.com";
/// Ends like the name, begins like the name, and has nothing to do with it.
const OTHERS: [&str; 3] = [
    "notwhatsapp.com",
    "whatsapp.com.example.org",
    "www.example.org",
];

/// A certificate that nobody should trust, and its key.
pub(super) fn certificate(site: &Site) -> (PathBuf, PathBuf) {
    let (certificate, key) = (site.home().join("cert.pem"), site.home().join("key.pem"));
    if !certificate.exists() {
        let mut openssl = site.command("openssl");
        openssl
            .args(["req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=test"])
            .args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"])
            .args(["-keyout", "key.pem", "-out", "cert.pem"]);
        let output = openssl.output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    (certificate, key)
}

/// A server that answers any name, one client at a time. One that is cut off keeps it waiting, so
/// each client gets a server of its own.
pub(super) fn server(site: &Site, port: u16) -> Program {
    let (certificate, key) = certificate(site);
    let mut command = site.command("openssl");
    command
        .args(["s_server", "-www", "-accept", &format!("0.0.0.0:{port}")])
        .arg("-cert")
        .arg(certificate)
        .arg("-key")
        .arg(key);
    site.serve(&mut command, &[(Tcp, port)])
}

/// Shakes hands, and leaves.
pub(super) fn s_client(site: &Site, port: u16, name: &str, more: &[&str]) -> Answer {
    let mut command = site.command("openssl");
    command
        .args(["s_client", "-brief", "-connect", &site.at(port)])
        .args(["-servername", name])
        .args(more);
    site.ends_well(&mut command)
}

fn curl(site: &Site, port: u16, name: &str, more: &[&str]) -> Answer {
    let mut command = site.command("curl");
    command
        .args(["-sS", "--insecure"])
        .args(more)
        .args(["--resolve", &format!("{name}:{port}:{}", site.address())])
        .arg(format!("https://{name}:{port}/"));
    site.ends_well(&mut command)
}

fn is_told_on(test: &str, port: u16) {
    let Some(site) = Site::counting(test, &["openssl", "curl"]) else {
        return;
    };
    let openssl = |name| {
        let _server = server(&site, port);
        s_client(&site, port, name, &[])
    };
    let fetch = |name| {
        let _server = server(&site, port);
        curl(&site, port, name, &[])
    };
    site.counts("whatsapp", &["sni"], || openssl(NAME));
    site.counts("whatsapp", &["sni"], || fetch(NAME));
    site.drop_only(&["whatsapp"]);
    for name in OTHERS {
        site.is_innocent(|| fetch(name));
    }
    site.is_innocent(|| openssl(OTHERS[0]));
    site.refuses("whatsapp", &["sni"], || openssl(NAME));
    site.refuses("whatsapp", &["sni"], || fetch(NAME));
}

#[test]
fn a_name_is_told_on_the_port_of_the_web() {
    is_told_on("a_name_is_told_on_the_port_of_the_web", HTTPS);
}

#[test]
fn a_name_is_told_on_any_port() {
    is_told_on("a_name_is_told_on_any_port", OTHER);
}

/// TCP Fast Open (RFC 7413): the hello comes with the SYN, before anything is known of the connection.
#[test]
fn a_name_is_told_in_a_syn() {
    /// Clients and listeners, data in the SYN without a cookie from an earlier visit, in any program
    /// (`ip-sysctl.rst`, `tcp_fastopen`).
    const ALWAYS: &str = "1543";
    const TEST: &str = "a_name_is_told_in_a_syn";
    let Some(site) = Site::counting(TEST, &["openssl", "curl"]) else {
        return;
    };
    for host in [site.alice(), site.server()] {
        let set = host.namespace.sysctl("ipv4/tcp_fastopen", ALWAYS);
        set.unwrap();
    }
    let fetch = |name| {
        let _server = server(&site, HTTPS);
        curl(&site, HTTPS, name, &["--tcp-fastopen"])
    };
    site.counts("whatsapp", &["sni"], || fetch(NAME));
    assert_eq!(opened_fast(&site), 1, "the hello did not come with the SYN");
    site.drop_only(&["whatsapp"]);
    site.is_innocent(|| fetch(OTHERS[0]));
    assert_eq!(opened_fast(&site), 2);
    site.refuses("whatsapp", &["sni"], || fetch(NAME));
    assert_eq!(opened_fast(&site), 2, "a hello reached the server");
}

/// How many connections the server's kernel took up with what came in their SYN.
fn opened_fast(site: &Site) -> u64 {
    let read = || std::fs::read_to_string("/proc/thread-self/net/netstat");
    let table = site.server().namespace.run(read).unwrap().unwrap();
    let mut rows = table.lines().filter(|row| row.starts_with("TcpExt:"));
    let (names, values) = (rows.next().unwrap(), rows.next().unwrap());
    let mut fields = names.split(' ').zip(values.split(' '));
    let (_, value) = fields
        .find(|(name, _)| *name == "TCPFastOpenPassive")
        .unwrap();
    value.parse().unwrap()
}

/// Its hello takes two packets, with the name in the first or the second as it happens.
#[test]
fn a_name_is_told_in_the_long_hello_of_a_browser() {
    const TEST: &str = "a_name_is_told_in_the_long_hello_of_a_browser";
    const TIMES: usize = 3;
    let Some(python) = Python::or_skip(TEST) else {
        return;
    };
    let Some(site) = Site::counting(TEST, &["openssl"]) else {
        return;
    };
    let browse = |name| {
        let _server = server(&site, HTTPS);
        browser(&site, &python, ["tls", name])
    };
    for _ in 0..TIMES {
        site.counts("whatsapp", &["sni"], || browse(NAME));
    }
    site.drop_only(&["whatsapp"]);
    site.is_innocent(|| browse(OTHERS[0]));
    for _ in 0..TIMES {
        site.refuses("whatsapp", &["sni"], || browse(NAME));
    }
}

/// Fetches `https://NAME/` as Chrome does, over TCP (`tls`) or UDP (`quic`).
pub(super) fn browser(site: &Site, python: &Python, [kind, name]: [&str; 2]) -> Answer {
    let mut command = site.command(python.interpreter());
    command.arg(Python::program("browser.py")).args([
        kind,
        &site.address(),
        &HTTPS.to_string(),
        name,
    ]);
    site.ends_well(&mut command)
}
