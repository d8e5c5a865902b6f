//! Names and prefixes of services: what is read, who gets them, and what the catalogue leaves out.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::HashMap;

use imblock::catalogue;
use imblock::policy::plan::{NameKind, Plan};
use imblock::policy::{
    self, Domain, Policy, PolicyErrors, PolicySource, ServiceNumbers, Source, Surroundings,
};
use imblock_common::layout::{Control, Half, NameKey};
use proptest::prelude::*;

fn read(text: &str) -> Result<Policy, PolicyErrors> {
    policy::parse(Source::new("office.yaml".to_owned(), text.to_owned()))
}

fn compile(text: &str) -> Plan {
    read(text)
        .and_then(|policy| policy.compile(&mut ServiceNumbers::default(), &Surroundings::default()))
        .unwrap_or_else(|errors| panic!("{}", errors.report(100, false)))
}

fn ready(name: &str) -> Plan {
    let policy = policy::load(&PolicySource::parse(name)).unwrap();
    let none = Surroundings::default();
    policy
        .compile(&mut ServiceNumbers::default(), &none)
        .unwrap()
}

fn id(plan: &Plan, number: u16) -> &str {
    let service = plan
        .services
        .iter()
        .find(|service| service.number == number);
    &service.unwrap().id
}

/// The service of the longest suffix that a name ends in.
fn of_name<'a>(plan: &'a Plan, name: &str) -> Option<&'a str> {
    let below = |suffix: &str| match suffix.strip_prefix('*') {
        Some(rest) => name.ends_with(rest),
        None => name == suffix || name.ends_with(&format!(".{suffix}")),
    };
    let suffixes = plan.names.iter().filter(|known| below(&known.suffix));
    let longest = suffixes.max_by_key(|known| known.suffix.len())?;
    Some(id(plan, longest.service))
}

/// The service of the longest prefix around an address.
fn of_address<'a>(plan: &'a Plan, address: &str) -> Option<&'a str> {
    let address: std::net::IpAddr = address.parse().unwrap();
    let around = plan
        .remotes
        .iter()
        .filter(|known| known.net.contains(&address));
    let longest = around.max_by_key(|known| known.net.prefix_len())?;
    Some(id(plan, longest.service))
}

#[test]
fn a_service_is_told_by_its_names_and_prefixes() {
    let plan = compile(
        "
version: 1
name: office
services:
  - id: acme-chat
    name: Acme Chat
    category: im
    names: [Chat.ACME.example, acme-chat.example, chat.acme.example]
    prefixes: [192.0.2.0/24, 203.0.113.9, '2001:db8:7::/48', 192.0.2.0/24]
rules: [{ services: [acme-chat], action: drop }]
",
    );
    assert_eq!(of_name(&plan, "chat.acme.example"), Some("acme-chat"));
    assert_eq!(of_name(&plan, "a.b.acme-chat.example"), Some("acme-chat"));
    assert_eq!(of_name(&plan, "xacme-chat.example"), None);
    assert_eq!(of_address(&plan, "192.0.2.77"), Some("acme-chat"));
    assert_eq!(of_address(&plan, "203.0.113.9"), Some("acme-chat"));
    assert_eq!(of_address(&plan, "203.0.113.8"), None);
    assert_eq!(of_address(&plan, "2001:db8:7:1::1"), Some("acme-chat"));
    assert_eq!(plan.flags() & Control::HAS_NAMES, Control::HAS_NAMES);
    // Sorted and nothing twice, and no warning that dropping has no effect.
    let names = plan.names.iter().filter(|name| name.kind == NameKind::Host);
    assert!(names.is_sorted_by(|a, b| a.suffix < b.suffix));
    assert!(plan.remotes.is_sorted_by(|a, b| a.net < b.net));
    assert_eq!(plan.warnings, [""; 0]);
}

#[test]
fn own_services_take_names_and_prefixes_from_the_catalogue() {
    let plan = compile(
        "
version: 1
name: office
services:
  - { id: ours, name: Ours, category: im, names: [signal.org, whatsapp.com], prefixes: [149.154.160.0/20] }
  - { id: theirs, name: Theirs, category: im, names: [signal.org, web.whatsapp.com], prefixes: [149.154.160.0/24] }
",
    );
    assert_eq!(of_name(&plan, "chat.signal.org"), Some("ours"));
    assert_eq!(of_name(&plan, "signal.art"), Some("signal"));
    // A longer name or prefix inside another's is no clash.
    assert_eq!(of_name(&plan, "web.whatsapp.com"), Some("theirs"));
    assert_eq!(of_name(&plan, "www.whatsapp.com"), Some("ours"));
    assert_eq!(of_address(&plan, "149.154.160.1"), Some("theirs"));
    assert_eq!(of_address(&plan, "149.154.167.1"), Some("ours"));
    insta::assert_snapshot!(plan.warnings.join("\n"), @r#"
    ours and theirs both claim signal.org; ours keeps it
    ours and signal both claim signal.org; ours keeps it
    ours and whatsapp both claim whatsapp.com; ours keeps it
    ours and telegram both claim 149.154.160.0/20; ours keeps it
    "#);
}

#[test]
fn a_service_without_any_evidence_is_warned_about() {
    let warned = |evidence: &str| {
        let own = format!("services: [{{ id: ours, name: Ours, category: im{evidence} }}]");
        let rule = "rules: [{ services: [ours], action: drop }]";
        compile(&format!("version: 1\nname: a\n{own}\n{rule}")).warnings
    };
    insta::assert_snapshot!(warned("").join("\n"), @r#"dropping has no effect yet on ours: this version tells services by their ports, names, prefixes and payloads, and these have nothing of their own"#);
    for evidence in [
        ", ports: [tcp/7000]",
        ", names: [a.example]",
        ", prefixes: [192.0.2.1]",
    ] {
        assert_eq!(warned(evidence), [""; 0], "{evidence}");
    }
}

#[test]
fn mistakes_in_names_and_prefixes() {
    let told = read(
        r#"version: 1
name: office
services:
  - id: ours
    name: Ours
    category: im
    names:
      - "*.ours.example"
      - ours.example.
      - com
      - https://ours.example/chat
      - 192.0.2.1
      - bücher.example
      - ours..example
      - our s.example
      - a-label-after-label.and-another-label.and-one-more.ours.example
    prefixes: [0.0.0.0/0, 192.0.2.1/24, ours.example]
    collateral:
      - { port: tcp/7000, name: ours.example, breaks: "two at once" }
      - { breaks: "nothing" }
      - { name: example, breaks: "everything" }
"#,
    );
    insta::assert_snapshot!(told.unwrap_err().report(80, false), @r#"
     × `*.ours.example` is no name of a service: a name stands for all names
     │ below it without the `*.`
      ╭─[office.yaml:8:9]
    8 │       - "*.ours.example"
      ·         ────────────────
      ╰────
     help: write ours.example

     × `ours.example.` is no name of a service: a dot stands between labels only
      ╭─[office.yaml:9:9]
    9 │       - ours.example.
      ·         ─────────────
      ╰────
     help: write ours.example

     × `com` is no name of a service: it would match every name under it
       ╭─[office.yaml:10:9]
    10 │       - com
       ·         ───
       ╰────
     help: write at least two labels, as in whatsapp.com

     × `https://ours.example/chat` is no name of a service: it is a link, or a
     │ part of one
       ╭─[office.yaml:11:9]
    11 │       - https://ours.example/chat
       ·         ─────────────────────────
       ╰────
     help: write the host's name alone, as in whatsapp.com

     × `192.0.2.1` is no name of a service: it is an address
       ╭─[office.yaml:12:9]
    12 │       - 192.0.2.1
       ·         ─────────
       ╰────
     help: write it under `prefixes`

     × `bücher.example` is no name of a service: on the network it has another
     │ form, of plain letters
       ╭─[office.yaml:13:9]
    13 │       - bücher.example
       ·         ──────────────
       ╰────
     help: write it in punycode, each label beyond ASCII as xn--…: `idn` converts
           it

     × `ours..example` is no name of a service: there is nothing between two dots
       ╭─[office.yaml:14:9]
    14 │       - ours..example
       ·         ─────────────
       ╰────
     help: a name has labels of letters, digits, `-` and `_` with dots between,
           as in whatsapp.com

     × `our s.example` is no name of a service: it has ' ' in it
       ╭─[office.yaml:15:9]
    15 │       - our s.example
       ·         ─────────────
       ╰────
     help: a name has labels of letters, digits, `-` and `_` with dots between,
           as in whatsapp.com

     × `a-label-after-label.and-another-label.and-one-more.ours.example` is no
     │ name of a service: it is longer than 59 bytes
       ╭─[office.yaml:16:9]
    16 │       - a-label-after-label.and-another-label.and-one-more.ours.example
       ·         ───────────────────────────────────────────────────────────────
       ╰────
     help: write its end: that stands for all names below it

     × `0.0.0.0/0` is no prefix: it would match every address
       ╭─[office.yaml:17:16]
    17 │     prefixes: [0.0.0.0/0, 192.0.2.1/24, ours.example]
       ·                ─────────
       ╰────
     help: name the addresses that the service alone lives at

     × `192.0.2.1/24` is no prefix: the address has bits behind the prefix length
       ╭─[office.yaml:17:27]
    17 │     prefixes: [0.0.0.0/0, 192.0.2.1/24, ours.example]
       ·                           ────────────
       ╰────
     help: for the network write 192.0.2.0/24, for the host 192.0.2.1

     × `ours.example` is no prefix: it is no IPv4 or IPv6 address
       ╭─[office.yaml:17:41]
    17 │     prefixes: [0.0.0.0/0, 192.0.2.1/24, ours.example]
       ·                                         ────────────
       ╰────
     help: write 10.0.5.0/24, 10.0.5.9, 2001:db8:5::/64 or 2001:db8::9

     × an item of `collateral` is about one port, one name or one prefix
       ╭─[office.yaml:19:9]
    19 │       - { port: tcp/7000, name: ours.example, breaks: "two at once" }
       ·         ─
       ╰────
     help: write `{ port: tcp/4000, breaks: "…" }`, with `name` or `prefix` in
           place of `port`, and an item for each

     × an item of `collateral` is about one port, one name or one prefix
       ╭─[office.yaml:20:9]
    20 │       - { breaks: "nothing" }
       ·         ─
       ╰────
     help: write `{ port: tcp/4000, breaks: "…" }`, with `name` or `prefix` in
           place of `port`, and an item for each

     × `example` is no name of a service: it would match every name under it
       ╭─[office.yaml:21:17]
    21 │       - { name: example, breaks: "everything" }
       ·                 ───────
       ╰────
     help: write at least two labels, as in whatsapp.com
    "#);
}

#[test]
fn more_names_than_the_tables_hold() {
    let letters = || 'a'..='z';
    let labels =
        letters().flat_map(|a| letters().flat_map(move |b| letters().map(move |c| (a, b, c))));
    // 17,576 labels under each of eight top-level names.
    let names: Vec<_> = labels
        .flat_map(|(a, b, c)| ('a'..='h').map(move |top| format!("{a}{b}{c}.{top}")))
        .collect();
    let text = format!(
        "version: 1\nname: a\nservices: [{{ id: ours, name: Ours, category: im, names: [{}] }}]",
        names.join(",")
    );
    let mut numbers = ServiceNumbers::default();
    let refused = read(&text)
        .unwrap()
        .compile_with(&[], &mut numbers, &Surroundings::default());
    insta::assert_snapshot!(refused.unwrap_err().report(80, false), @r#"
     × the services have 140608 names, and there is room for 131072
      ╭─[office.yaml:2:7]
    2 │ name: a
      ·       ─
      ╰────
     help: a name stands for all names below it: write the shorter one alone
    "#);
    assert_eq!(numbers, ServiceNumbers::default());
}

#[test]
fn no_two_services_of_the_catalogue_claim_a_name_or_a_prefix() {
    let mut owners = HashMap::new();
    for service in catalogue::services().unwrap() {
        let names = service.names.iter().map(ToString::to_string);
        let prefixes = service.prefixes.iter().map(ToString::to_string);
        for claim in names.chain(prefixes) {
            let first = owners.insert(claim.clone(), service.id.as_str());
            assert_eq!(first, None, "{claim} of {}", service.id.as_str());
        }
    }
    assert!(owners.len() > 200, "the catalogue has names and prefixes");
}

#[test]
fn every_name_of_the_catalogue_fits_in_the_table_and_is_needed() {
    for service in catalogue::services().unwrap() {
        for name in &service.names {
            assert!(NameKey::of_suffix(Half::of_generation(0), name.as_str()).is_some());
            let shorter = |other: &&Domain| name.as_str().ends_with(&format!(".{other}"));
            let shorter = service.names.iter().find(shorter);
            assert_eq!(
                shorter,
                None,
                "{name} of {} is below it",
                service.id.as_str()
            );
        }
    }
}

/// What carries mail, log-in, portals, clouds: dropping it breaks far more than a messenger.
const NEVER: [&str; 39] = [
    "aol.com",
    "yahoo.com",
    "live.com",
    "msn.com",
    "hotmail.com",
    "mail.ru",
    "qq.com",
    "qq.com.cn",
    "qpic.cn",
    "video.qq.com",
    "tencent.com",
    "kakao.com",
    "kakaocdn.net",
    "google.com",
    "googleapis.com",
    "storage.googleapis.com",
    "turns.goog",
    "gstatic.com",
    "facebook.com",
    "fbcdn.net",
    "instagram.com",
    "akamaihd.net",
    "akadns.net",
    "cloudfront.net",
    "amazonaws.com",
    "azureedge.net",
    "msedge.net",
    "mapbox.com",
    "cloudflare.com",
    "appspot.com",
    "cisco.com",
    "events.data.microsoft.com",
    "apple.com",
    "icloud.com",
    "microsoft.com",
    "office.com",
    "office.net",
    "steampowered.com",
    "mtalk.google.com",
];

#[test]
fn no_suffix_of_the_catalogue_takes_in_half_of_the_world() {
    let plan = ready("audit");
    for name in NEVER {
        assert_eq!(of_name(&plan, name), None, "{name}");
        assert_eq!(of_name(&plan, &format!("www.{name}")), None, "www.{name}");
    }
    for address in [
        // Apple; Meta; a cloud's name service; a host of game servers; hosts of Threema's and
        // Viber's neighbours; the name services that everybody asks.
        "17.0.0.1",
        "31.13.64.1",
        "205.251.192.1",
        "5.200.20.1",
        "5.148.160.1",
        "52.0.252.1",
        "8.8.8.8",
        "1.1.1.1",
        "9.9.9.9",
    ] {
        assert_eq!(of_address(&plan, address), None, "{address}");
    }
}

#[test]
fn no_prefix_of_the_catalogue_is_a_cloud() {
    for service in catalogue::services().unwrap() {
        for net in &service.prefixes {
            // 65,536 addresses of IPv4 at most, but for the two blocks that Microsoft publishes
            // for Teams.
            let widest = match (service.id.as_str(), net.addr().is_ipv4()) {
                ("teams", true) => 14,
                (_, true) => 16,
                (_, false) => 32,
            };
            assert!(
                net.prefix_len() >= widest,
                "{net} of {}",
                service.id.as_str()
            );
        }
    }
}

#[test]
fn the_services_that_everybody_knows_have_their_names() {
    let plan = ready("audit");
    for (name, service) in [
        ("web.whatsapp.com", "whatsapp"),
        ("mmg.whatsapp.net", "whatsapp"),
        ("chat.signal.org", "signal"),
        ("gateway.discord.gg", "discord"),
        ("api.telegram.org", "telegram"),
        ("wss-primary.slack.com", "slack"),
        ("edge-mqtt.facebook.com", "messenger"),
        ("long.weixin.qq.com", "wechat"),
        ("irc.libera.chat", "irc"),
        ("scs.msg.yahoo.com", "yahoo"),
        ("login.oscar.aol.com", "aim"),
        ("ars.oscar.aol.com", "oscar-oft"),
        ("us04web.zoom.us", "zoom"),
        ("teams.microsoft.com", "teams"),
        // Skype is dead, Teams lives on under its name.
        ("www.skype.com", "skype"),
        ("api.asm.skype.com", "teams"),
        ("go.teams.skype.com", "teams"),
        ("mlccdnprod.azureedge.net", "teams"),
        // End-to-end encrypted chat has names of its own under those of the networks.
        ("web-chat-e2ee.facebook.com", "messenger"),
        ("web-chat-e2ee.instagram.com", "instagram-direct"),
        ("z-p42-chat-e2ee-ig.facebook.com", "instagram-direct"),
        // Files and pictures of chats, at content networks.
        (
            "discord-attachments-uploads-prd.storage.googleapis.com",
            "discord",
        ),
        ("multimedia.nt.qq.com.cn", "qq"),
        ("shmmsns.qpic.cn", "wechat"),
        ("szzjwxsns.video.qq.com", "wechat"),
        ("sf16-sg.larksuitecdn.com", "lark"),
        ("file-stal-22.dlfl.vn", "zalo"),
        ("static-web.imoim.net", "imo"),
        // Names of the web clients, and of the relays of calls.
        ("webpush.wx2.qq.com", "wechat"),
        ("meet.turns.goog", "google-meet"),
        ("katalk.kakao.com", "kakaotalk"),
        ("smp1.simplexonflux.com", "simplex"),
        ("nodes.tox.chat", "tox"),
    ] {
        assert_eq!(of_name(&plan, name), Some(service), "{name}");
    }
    for name in [
        "pankwire.com",
        "shimo.im",
        "notwhatsapp.com",
        "example.com",
        "messenger.live.com",
        // More than chat.
        "gateway.facebook.com",
        "vv.video.qq.com",
        "q1.qlogo.cn",
        "thirdwx.qlogo.cn",
        "accounts.kakao.com",
        "hangouts.googleapis.com",
    ] {
        assert_eq!(of_name(&plan, name), None, "{name}");
    }
    assert_eq!(of_address(&plan, "149.154.167.50"), Some("telegram"));
    assert_eq!(of_address(&plan, "2001:67c:4e8::1"), Some("telegram"));
    assert_eq!(of_address(&plan, "52.113.1.1"), Some("teams"));
    assert_eq!(of_address(&plan, "170.72.1.1"), Some("webex"));
    assert_eq!(of_address(&plan, "142.250.82.7"), Some("google-meet"));
    // Its operator gave it back to the cloud.
    assert_eq!(of_address(&plan, "52.202.62.193"), None);
}

#[test]
fn what_ready_policies_allow_is_not_dropped_by_another_name() {
    use imblock_common::Action;
    use imblock_common::layout::ActionCell;
    let plan = ready("office");
    let action = |service: &str| {
        let number = plan.service(service).unwrap().number;
        let cell = plan.actions.first().unwrap().0.get(usize::from(number));
        ActionCell(*cell.unwrap()).policy()
    };
    for name in [
        "teams.microsoft.com",
        "go.teams.skype.com",
        "api.asm.skype.com",
        "config.edge.skype.com",
        "slack.com",
        "chat.google.com",
        "meet.google.com",
        "www.webex.com",
        "zoom.us",
        "www.dingtalk.com",
        "www.larksuite.com",
    ] {
        assert_eq!(
            action(of_name(&plan, name).unwrap()),
            Action::Allow,
            "{name}"
        );
    }
    assert_eq!(
        action(of_name(&plan, "mrim.mail.ru").unwrap()),
        Action::Drop
    );
}

proptest! {
    #[test]
    fn whatever_is_read_as_a_name_fits_in_the_table(text in r"([-a-zA-Z0-9_.*/:ü ]|xn--|\.){0,70}") {
        if let Ok(name) = Domain::parse(&text) {
            let name = name.as_str();
            prop_assert!(NameKey::of_suffix(Half::of_generation(0), name).is_some());
            prop_assert!(name.split('.').count() >= 2 && name.split('.').all(|label| !label.is_empty()));
            prop_assert_eq!(name, &text.to_ascii_lowercase());
        }
    }
}
