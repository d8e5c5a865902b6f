//! JSON: every document is what `docs/JSON.md` says, no field more and none less.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use imblock::lab::{Answer, Probe, probe};
use imblock_common::{Evidence, Transport};
use serde_json::Value;

use crate::site::{Network as _, Site};
use crate::support::{imblock, run};

/// Fields of a document, and the unit of each. `list[].field` is a field of a list's entries.
type Fields = BTreeMap<String, String>;

/// The fields of one section of the page.
fn documented(heading: &str) -> Fields {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/JSON.md");
    let text = fs::read_to_string(page).unwrap();
    let (_, section) = text
        .split_once(&format!("\n## {heading}\n"))
        .unwrap_or_else(|| panic!("docs/JSON.md has no section {heading}"));
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    let fields = rows.map(|row| {
        let (field, rest) = row.split_once("` | ").unwrap_or_else(|| panic!("{row}"));
        let unit = rest.split('|').next().unwrap().trim();
        (field.to_owned(), unit.to_owned())
    });
    fields.collect()
}

/// Fails unless these documents, together, have the documented fields, each with the unit that
/// stands there.
#[track_caller]
pub(crate) fn hold(heading: &str, documents: &[Value]) {
    let fields = documented(heading);
    let mut seen = BTreeSet::new();
    for document in documents {
        walk(document, "", &fields, &mut seen);
    }
    // Nothing overflows here: what would stand there has the form of `hosts`.
    let overflow = |name: &&String| name.starts_with("overflow[].");
    let form = |list: &str| -> BTreeSet<String> {
        let of_list = fields.keys().filter_map(|name| name.strip_prefix(list));
        of_list.map(str::to_owned).collect()
    };
    if fields.contains_key("overflow") {
        let mut of_hosts = form("hosts[].");
        of_hosts.remove("host");
        assert_eq!(form("overflow[]."), of_hosts, "{heading}");
    }
    let missing: Vec<_> = fields
        .keys()
        .filter(|name| !overflow(name) && !seen.contains(*name))
        .collect();
    assert!(
        missing.is_empty(),
        "{heading}: {missing:?} are in docs/JSON.md, but in no output"
    );
}

fn walk(value: &Value, at: &str, fields: &Fields, seen: &mut BTreeSet<String>) {
    let Value::Object(object) = value else {
        panic!("{at} is no object: {value}");
    };
    for (key, value) in object {
        let name = if at.is_empty() {
            key.clone()
        } else {
            format!("{at}.{key}")
        };
        let unit = fields
            .get(&name)
            .unwrap_or_else(|| panic!("`{name}` is not in docs/JSON.md"));
        check_unit(&name, unit, value);
        let has_fields = |prefix: &str| fields.keys().any(|field| field.starts_with(prefix));
        match value {
            Value::Array(entries) if has_fields(&format!("{name}[].")) => {
                for entry in entries {
                    walk(entry, &format!("{name}[]"), fields, seen);
                }
            }
            // What has no fields on the page has names of groups and the like for keys.
            Value::Object(_) if has_fields(&format!("{name}.")) => walk(value, &name, fields, seen),
            _ => {}
        }
        seen.insert(name);
    }
}

fn check_unit(name: &str, unit: &str, value: &Value) {
    let keys = |value: &Value| -> Vec<String> {
        value
            .as_object()
            .map(|o| o.keys().cloned().collect())
            .unwrap_or_default()
    };
    let is_count = |value: &Value| {
        keys(value) == ["bytes", "packets"] && value["bytes"].is_u64() && value["packets"].is_u64()
    };
    let text = || {
        value
            .as_str()
            .unwrap_or_else(|| panic!("{name} is no text: {value}"))
    };
    let holds = match unit {
        _ if value.is_null() => true,
        "boolean" => value.is_boolean(),
        "list" => value.is_array(),
        "list of texts" => value
            .as_array()
            .is_some_and(|texts| texts.iter().all(Value::is_string)),
        "object" => value.is_object(),
        "count" => is_count(value),
        "both ways" => {
            keys(value) == ["received", "sent"]
                && is_count(&value["sent"])
                && is_count(&value["received"])
        }
        "time" => text().parse::<jiff::Timestamp>().is_ok() && text().ends_with('Z'),
        "address" => text().parse::<IpAddr>().is_ok(),
        "hexadecimal" => text().len() == 64 && text().chars().all(|c| c.is_ascii_hexdigit()),
        "seconds" | "1/s" => value.is_number(),
        "packets" | "bytes" | "pairs" | "prefixes" | "process id" | "port" | "captures"
        | "hosts" | "frames" | "flows" | "counters" | "entries" => value.is_u64(),
        // A list of words that it can be.
        words if words.starts_with('`') => words
            .split(", ")
            .any(|word| word.trim_matches('`') == text()),
        _ => value.is_string() || value.is_u64(),
    };
    assert!(holds, "{name} is not of unit `{unit}`: {value}");
}

#[test]
fn the_page_has_every_word_for_evidence() {
    let words: Vec<String> = Evidence::ALL
        .iter()
        .map(|evidence| format!("`{}`", evidence.name()))
        .collect();
    let fields = documented("imblock replay --format json");
    for field in ["services[].evidence", "flows[].evidence"] {
        assert_eq!(fields[field], words.join(", "), "{field}");
    }
}

#[test]
fn an_explained_service_is_what_the_page_says() {
    // Without an instance; `live_documents…` has the rest of the document.
    let explained = |service: &str| {
        imblock(&["--instance", "not-there", "services", service, "--json"])
            .exits(0)
            .json()
    };
    let zoom = explained("zoom");
    assert_eq!(zoom["services"][0]["id"], "zoom");
    assert_eq!(
        zoom["services"][0]["about"]["ready_policies"]["audit"],
        "count"
    );
    hold("imblock services SERVICE --json", &[zoom, explained("aim")]);
}

#[test]
fn live_documents_are_what_the_page_says() {
    let Some(site) = Site::with_hosts_or_skip("live_documents_are_what_the_page_says") else {
        return;
    };
    let policy = site.file("policy.yaml", "version: 1\nname: x\ngroups: { support: [10.1.0.0/16] }\nrules: [{ services: [msn], action: drop, when: { days: mon-fri } }]\n");
    let controller = site.start(&[
        "run", "-i", "lan0", "-i", "wan0:wan", "-p", &policy, "--listen", "none",
    ]);
    site.imblock(&["policy", "apply", &policy, "--confirm", "1h"])
        .exits(0);
    site.imblock(&["block", "icq", "--group", "support"])
        .exits(0);

    let mut watch = site.command(&["hosts", "--watch", "--interval", "0.2", "--json"]);
    watch.stdout(std::process::Stdio::piped());
    let mut watch = site.network.router().spawn(&mut watch).unwrap();
    let (first_line, lines) = std::sync::mpsc::channel();
    let out = watch.stdout.take().unwrap();
    std::thread::spawn(move || {
        let mut line = String::new();
        let _ = std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut line);
        let _ = first_line.send(line);
    });
    let line = loop {
        talk(&site);
        if let Ok(line) = lines.recv_timeout(Duration::from_millis(300)) {
            break line;
        }
    };
    hold(
        "imblock hosts --watch --json",
        &[serde_json::from_str(&line).unwrap()],
    );
    let _ = watch.kill();
    let _ = watch.wait();

    let show = |arguments: &[&str]| {
        let json = site.imblock(arguments).exits(0).json();
        assert_eq!(
            (&json["version"], &json["instance"]),
            (&1.into(), &site.instance.as_str().into())
        );
        json
    };
    let status = show(&["status", "--json"]);
    assert_eq!(status["controller"], controller.pid());
    hold("imblock status --json", &[status]);
    let services = show(&["services", "--json"]);
    hold("imblock services --json", &[services]);
    let telegram = show(&["services", "telegram", "--json"]);
    hold(
        "imblock services SERVICE --json",
        &[telegram, show(&["services", "zoom", "--json"])],
    );
    let hosts = show(&["hosts", "--json"]);
    let alice = site.network.alice.v4.to_string();
    assert_eq!(
        (&hosts["hosts"][0]["host"], &hosts["hosts"][0]["service"]),
        (&alice.into(), &"irc".into())
    );
    hold("imblock hosts --json", &[hosts]);
    let live = show(&["policy", "show", "--json"]);
    let of_file = show(&["policy", "show", "-p", "historic", "--json"]);
    hold("imblock policy show --json", &[live, of_file]);
}

/// One connection attempt to an IRC port; nobody listens there, and a reset comes back.
fn talk(site: &Site<imblock::lab::Lab>) {
    let irc = Probe {
        transport: Transport::Tcp,
        to: (site.network.server.v4, 6667).into(),
    };
    let answers = probe(
        &site.network.alice.namespace,
        &[irc],
        Duration::from_secs(1),
    )
    .unwrap();
    assert!(matches!(answers[0], Answer::Error(_)), "{answers:?}");
}

#[test]
fn the_document_of_a_check_is_what_the_page_says() {
    let check = imblock(&["policy", "check", "--json", "historic", "nowhere.yaml"]).exits(3);
    hold("imblock policy check --json", &[check.json()]);
}

#[test]
fn the_document_of_a_replay_is_what_the_page_says() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("irc.pcap"), crate::replay::irc_capture()).unwrap();
    let replay = |options: &[&str]| {
        let mut arguments = vec!["replay", "irc.pcap"];
        arguments.extend(options);
        run(crate::support::command(&arguments).current_dir(dir.path())).exits(0)
    };
    let document = replay(&["--format", "json", "--flows"]).json();
    let flow = document["flows"][0].clone();
    hold("imblock replay --format json", &[document]);
    // The same as lines.
    let line = replay(&["--format", "ndjson", "--flows"]).out;
    assert_eq!(line.lines().count(), 1);
    assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), flow);
    let line = replay(&["--format", "ndjson"]).out;
    assert_eq!(line.lines().count(), 1);
    assert_eq!(serde_json::from_str::<Value>(&line).unwrap()["version"], 1);
}

#[test]
fn the_document_of_the_demo_is_what_the_page_says() {
    if !imblock::testing::kernel_or_skip("the_document_of_the_demo_is_what_the_page_says") {
        return;
    }
    let demo = imblock(&["demo", "--json"]).exits(0).json();
    assert_eq!((&demo["version"], &demo["ok"]), (&1.into(), &true.into()));
    hold("imblock demo --json", &[demo]);
}
