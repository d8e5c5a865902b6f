//! IRC: ngircd, with irssi and sic; and the log-ins of FTP and POP3, which begin alike.

use std::process::Stdio;

use imblock_common::Transport::Tcp;

use super::support::{Answer, Dialogue, Program, Python, Site};

const IRC: u16 = 6667;
/// A port that is nobody's, least of all IRC's.
const WEB: u16 = 8080;
/// What the server says last, when a client is in.
const IN: &str = "End of MOTD";

const NGIRCD: &str = "\
[Global]
Name = irc.example.test
Info = a test
Listen = 0.0.0.0
Ports = 6667, 8080
MotdPhrase = hello
[Options]
DNS = no
Ident = no
PAM = no
";

fn ngircd(site: &Site) -> Program {
    let config = site.write("ngircd.conf", NGIRCD);
    let mut command = site.command("ngircd");
    command.args(["--nodaemon", "--config"]).arg(config);
    site.serve(&mut command, &[(Tcp, IRC), (Tcp, WEB)])
}

/// A client for people: it opens with capability negotiation. It wants a terminal.
fn irssi(site: &Site, port: u16) -> Answer {
    let home = site.home().join("irssi");
    std::fs::create_dir_all(&home).unwrap();
    let settings = format!(
        "servers = ( {{ address = \"{}\"; port = \"{port}\"; chatnet = \"lab\"; autoconnect = \"yes\"; }} );\n\
         chatnets = {{ lab = {{ type = \"IRC\"; nick = \"alice\"; }}; }};\n",
        site.address()
    );
    std::fs::write(home.join("config"), settings).unwrap();
    let mut command = site.command("script");
    let irssi = format!("irssi --home={}", home.display());
    site.says(command.args(["-qec", &irssi, "/dev/null"]), IN)
}

/// A client for scripts: it opens with `NICK`.
fn sic(site: &Site, port: u16) -> Answer {
    let mut command = site.command("sic");
    command.args(["-h", &site.address(), "-p", &port.to_string(), "-n", "bob"]);
    // It leaves when its input ends.
    site.says(command.stdin(Stdio::piped()), IN)
}

#[test]
fn irc_is_told_on_its_port() {
    let Some(site) = Site::counting("irc_is_told_on_its_port", &["ngircd", "sic"]) else {
        return;
    };
    let _server = ngircd(&site);
    site.counts("irc", &["port", "marker"], || sic(&site, IRC));
    site.drop_only(&["irc"]);
    site.refuses("irc", &["port", "marker"], || sic(&site, IRC));
}

#[test]
fn irc_of_scripts_is_told_on_any_port() {
    let Some(site) = Site::counting("irc_of_scripts_is_told_on_any_port", &["ngircd", "sic"])
    else {
        return;
    };
    let _server = ngircd(&site);
    site.counts("irc", &["marker"], || sic(&site, WEB));
    site.drop_only(&["irc"]);
    site.refuses("irc", &["marker"], || sic(&site, WEB));
}

#[test]
fn irc_of_people_is_told_on_any_port() {
    let programs = ["ngircd", "irssi", "script"];
    let Some(site) = Site::counting("irc_of_people_is_told_on_any_port", &programs) else {
        return;
    };
    let _server = ngircd(&site);
    site.counts("irc", &["marker"], || irssi(&site, WEB));
    site.drop_only(&["irc"]);
    site.refuses("irc", &["marker"], || irssi(&site, WEB));
}

/// A mail server that has no mail.
fn mailbox(site: &Site, port: u16) -> Dialogue {
    Dialogue::start(site.server(), port, |client| {
        client.answer(b"+OK mail.example.test\r\n")?;
        while let Some(line) = client.next()? {
            let (answer, over): (&[u8], bool) = match line.split(' ').next() {
                Some("USER" | "PASS") => (b"+OK\r\n", false),
                Some("STAT") => (b"+OK 0 0\r\n", false),
                Some("LIST") => (b"+OK\r\n.\r\n", false),
                Some("QUIT") => (b"+OK bye\r\n", true),
                _ => (b"-ERR unknown\r\n", false),
            };
            client.answer(answer)?;
            if over {
                break;
            }
        }
        Ok(())
    })
}

#[test]
fn a_log_in_for_mail_is_innocent() {
    // The one that opens with `USER`; curl asks for capabilities first.
    const POPLIB: &str = "import poplib, sys; box = poplib.POP3(sys.argv[1], int(sys.argv[2]), 2); \
                          box.user('bob'); box.pass_('secret'); print(box.stat()); box.quit()";
    let programs = ["curl", "python3"];
    let Some(site) = Site::counting("a_log_in_for_mail_is_innocent", &programs) else {
        return;
    };
    let _servers = [110, WEB].map(|port| mailbox(&site, port));
    site.drop_only(&["all"]);
    for port in [110, WEB] {
        site.is_innocent(|| {
            let url = format!("pop3://{}/", site.at(port));
            let mut curl = site.command("curl");
            curl.args(["-sS", "--user", "bob:secret", &url]);
            site.ends_well(&mut curl)
        });
        site.is_innocent(|| {
            let mut python = site.command("python3");
            python.args(["-c", POPLIB, &site.address(), &port.to_string()]);
            site.ends_well(&mut python)
        });
    }
}

#[test]
fn a_log_in_for_files_is_innocent() {
    const TEST: &str = "a_log_in_for_files_is_innocent";
    let Some(python) = Python::or_skip(TEST) else {
        return;
    };
    let Some(site) = Site::counting(TEST, &["curl"]) else {
        return;
    };
    site.write("file.txt", "what was asked for\n");
    site.drop_only(&["all"]);
    for port in [21, WEB] {
        let mut command = site.command(python.interpreter());
        // The data connections must not hit a port of somebody's by chance.
        command
            .args([
                "-m",
                "pyftpdlib",
                "-i",
                &site.address(),
                "-r",
                "30100-30199",
            ])
            .args(["-p", &port.to_string(), "-u", "bob", "-P", "secret"]);
        let _server = site.serve(&mut command, &[(Tcp, port)]);
        site.is_innocent(|| {
            let url = format!("ftp://{}/file.txt", site.at(port));
            let mut curl = site.command("curl");
            curl.args(["-sS", "--user", "bob:secret", &url]);
            let (well, said) = site.ends_well(&mut curl);
            (well && said.contains("what was asked for"), said)
        });
    }
}
