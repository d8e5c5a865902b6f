//! QUIC: names in the handshakes of aioquic and of a browser.

use imblock_common::Transport::Udp;

use super::support::{Answer, Program, Python, Site};
use super::tls;

const HTTPS: u16 = 443;
const NAME: &str = "web.whatsapp.com";
const ANOTHER: &str = "notwhatsapp.com";

fn server(site: &Site, python: &Python) -> Program {
    let (certificate, key) = tls::certificate(site);
    let mut command = site.command(python.interpreter());
    command
        .arg(Python::program("quic_server.py"))
        .args([&site.address(), &HTTPS.to_string()])
        .arg(certificate)
        .arg(key);
    site.serve(&mut command, &[(Udp, HTTPS)])
}

fn aioquic(site: &Site, python: &Python, name: &str) -> Answer {
    let mut command = site.command(python.interpreter());
    command.arg(Python::program("quic_client.py")).args([
        &site.address(),
        &HTTPS.to_string(),
        name,
    ]);
    site.ends_well(&mut command)
}

fn is_told(test: &str, fetch: impl Fn(&Site, &Python, &str) -> Answer) {
    let Some(python) = Python::or_skip(test) else {
        return;
    };
    let Some(site) = Site::counting(test, &["openssl"]) else {
        return;
    };
    let _server = server(&site, &python);
    let fetch = |name| fetch(&site, &python, name);
    site.counts("whatsapp", &["quic"], || fetch(NAME));
    site.drop_only(&["whatsapp"]);
    site.is_innocent(|| fetch(ANOTHER));
    site.refuses("whatsapp", &["quic"], || fetch(NAME));
}

#[test]
fn a_name_is_told_in_the_hello_of_aioquic() {
    is_told("a_name_is_told_in_the_hello_of_aioquic", aioquic);
}

/// Its hello takes two datagrams, in pieces that are out of order.
#[test]
fn a_name_is_told_in_the_scattered_hello_of_a_browser() {
    let test = "a_name_is_told_in_the_scattered_hello_of_a_browser";
    is_told(test, |site, python, name| {
        tls::browser(site, python, ["quic", name])
    });
}
