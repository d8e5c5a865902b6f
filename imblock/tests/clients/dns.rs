//! DNS: questions of dig, over UDP and TCP, to dnsmasq.

use imblock_common::Transport::{Tcp, Udp};

use super::support::{Answer, Program, Site};

const DNS: u16 = 53;
/// What every name leads to.
const ADDRESS: &str = "203.0.113.9";

fn dnsmasq(site: &Site) -> Program {
    let mut command = site.command("dnsmasq");
    command
        .args([
            "--keep-in-foreground",
            "--conf-file=/dev/null",
            "--pid-file=",
        ])
        .args(["--user=root", "--no-resolv", "--no-hosts"])
        .arg(format!("--address=/#/{ADDRESS}"));
    site.serve(&mut command, &[(Udp, DNS), (Tcp, DNS)])
}

fn dig(site: &Site, name: &str, how: &str) -> Answer {
    let mut command = site.command("dig");
    command.args([&format!("@{}", site.address()), name, how]);
    command.args(["+short", "+tries=1", "+timeout=20"]);
    let (well, said) = site.ends_well(&mut command);
    (well && said.contains(ADDRESS), said)
}

fn is_told_over(test: &str, how: &str) {
    let Some(site) = Site::counting(test, &["dig", "dnsmasq"]) else {
        return;
    };
    let _server = dnsmasq(&site);
    let ask = |name| dig(&site, name, how);
    site.counts("whatsapp", &["dns"], || ask("mmg.whatsapp.net"));
    site.counts("signal", &["dns"], || ask("Chat.Signal.ORG"));
    site.drop_only(&["whatsapp"]);
    site.counts("signal", &["dns"], || ask("chat.signal.org"));
    for name in ["notwhatsapp.net", "whatsapp.net.example.org", "example.org"] {
        site.is_innocent(|| ask(name));
    }
    site.refuses("whatsapp", &["dns"], || ask("mmg.whatsapp.net"));
}

#[test]
fn a_question_is_told_over_udp() {
    is_told_over("a_question_is_told_over_udp", "+notcp");
}

#[test]
fn a_question_is_told_over_tcp() {
    is_told_over("a_question_is_told_over_tcp", "+tcp");
}
