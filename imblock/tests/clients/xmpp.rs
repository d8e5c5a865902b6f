//! XMPP: prosody and go-sendxmpp, as a stream that turns to TLS later, and TLS from the start.

use imblock_common::Transport::Tcp;

use super::support::{Answer, Program, Site};
use super::tls;

const XMPP: u16 = 5222;
/// Where a firewall lets everything through.
const HTTPS: u16 = 443;
const DOMAIN: &str = "chat.example.test";

fn prosody(site: &Site) -> Program {
    let (certificate, key) = tls::certificate(site);
    let home = site.home().display();
    let config = site.write(
        "prosody.cfg.lua",
        &format!(
            r#"
run_as_root = true
pidfile = "{home}/prosody.pid"
data_path = "{home}/prosody"
modules_enabled = {{ "roster", "saslauth", "tls" }}
modules_disabled = {{ "s2s", "posix" }}
interfaces = {{ "0.0.0.0" }}
c2s_ports = {{ {XMPP}, {HTTPS} }}
s2s_ports = {{}}
c2s_require_encryption = true
authentication = "internal_plain"
log = {{ info = "*console" }}
VirtualHost "{DOMAIN}"
  ssl = {{ key = "{}"; certificate = "{}" }}
"#,
            key.display(),
            certificate.display()
        ),
    );
    std::fs::create_dir_all(site.home().join("prosody")).unwrap();
    let mut register = site.command("prosodyctl");
    register.arg("--config").arg(&config);
    register.args(["register", "alice", DOMAIN, "secret"]);
    let output = register.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let mut command = site.command("prosody");
    command.arg("--config").arg(config).arg("-F");
    site.serve(&mut command, &[(Tcp, XMPP), (Tcp, HTTPS)])
}

/// Logs in and sends a message.
fn sendxmpp(site: &Site, port: u16) -> Answer {
    let mut command = site.command("go-sendxmpp");
    let message = site.write("message.txt", "hello\n");
    let user = format!("alice@{DOMAIN}");
    command
        .args(["--no-tls-verify", "--debug"])
        .args(["--username", &user, "--password", "secret"])
        .args(["--jserver", &site.at(port), "--message"])
        .arg(message)
        .arg(&user);
    let (well, said) = site.ends_well(&mut command);
    (well && said.contains("<success"), said)
}

fn is_told_on(test: &str, port: u16) {
    let Some(site) = Site::counting(test, &["prosody", "go-sendxmpp", "openssl"]) else {
        return;
    };
    let _server = prosody(&site);
    site.counts("xmpp", &["marker"], || sendxmpp(&site, port));
    site.drop_only(&["xmpp"]);
    site.refuses("xmpp", &["marker"], || sendxmpp(&site, port));
}

#[test]
fn a_stream_is_told_on_its_port() {
    is_told_on("a_stream_is_told_on_its_port", XMPP);
}

#[test]
fn a_stream_is_told_on_the_port_of_the_web() {
    is_told_on("a_stream_is_told_on_the_port_of_the_web", HTTPS);
}

#[test]
fn direct_tls_is_told_by_the_protocol_it_names() {
    const TEST: &str = "direct_tls_is_told_by_the_protocol_it_names";
    let Some(site) = Site::counting(TEST, &["openssl"]) else {
        return;
    };
    let connect = |protocol| {
        let _server = tls::server(&site, HTTPS);
        tls::s_client(&site, HTTPS, DOMAIN, &["-alpn", protocol])
    };
    site.counts("xmpp", &["alpn"], || connect("xmpp-client"));
    site.drop_only(&["xmpp"]);
    site.is_innocent(|| connect("http/1.1"));
    site.refuses("xmpp", &["alpn"], || connect("xmpp-client"));
}
