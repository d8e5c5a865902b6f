//! `policy check` and `policy show`, with every kind of wrong file. A policy that is wrong or can't
//! be read is exit 3, whatever the reason: what to do is the same.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use crate::fifo;
use crate::refusals::Nobody;
use crate::site::Site;
use crate::support::{Ran, command, imblock, run};

const READY: [&str; 5] = ["audit", "historic", "office", "school", "home"];

/// Checks a policy of these bytes, in a file `policy.yaml`.
fn check(bytes: impl AsRef<[u8]>) -> Ran {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("policy.yaml"), bytes).unwrap();
    run(command(&["policy", "check", "policy.yaml"]).current_dir(dir.path()))
}

#[test]
fn ready_policies_are_right_and_can_be_shown() {
    let mut arguments = vec!["policy", "check"];
    arguments.extend(READY);
    let ran = imblock(&arguments).exits(0);
    for name in READY {
        assert!(ran.out.contains(&format!("{name}: ok\n")), "{ran}");
        imblock(&["policy", "show", "-p", name])
            .exits(0)
            .prints(&format!("policy {name} ("));
    }
}

#[test]
fn check_proves_that_nobody_is_cut_off() {
    let policy = "version: 1\nname: x\nprotect: { ports: [tcp/443], hosts: [10.0.0.2] }\n";
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("policy.yaml"), policy).unwrap();
    let mut check = command(&["policy", "check", "policy.yaml"]);
    check.current_dir(dir.path());
    check.env("SSH_CONNECTION", "192.0.2.9 50000 192.0.2.1 2222");
    let ran = run(&mut check).exits(0);
    let held = "  no rule can drop ARP, neighbour discovery, DHCP, your session from 192.0.2.9, \
                tcp/22 of this box, tcp/2222 of this box, tcp/9863 of this box, tcp/443, 10.0.0.2/32";
    assert_eq!(ran.out, format!("policy.yaml: ok\n{held}\n"), "{ran}");
}

#[test]
fn show_says_what_is_done_and_why() {
    let ran = imblock(&["policy", "show", "-p", "historic", "--json"]).exits(0);
    let policy = ran.json()["policy"].clone();
    let cell = |service: &str| {
        let cells = policy["cells"].as_array().unwrap();
        cells
            .iter()
            .find(|cell| cell["service"] == service)
            .unwrap()
            .clone()
    };
    assert_eq!(cell("msn")["action"], "drop");
    assert_eq!(cell("msn")["group"], "everyone");
    let from = cell("msn")["from"].as_str().unwrap().to_owned();
    assert!(from.starts_with("rule 1 (historic"), "{from}");
    assert_eq!(cell("irc")["action"], "count");
    assert_eq!(cell("irc")["from"], "defaults");
}

#[test]
fn the_matrix_has_only_what_differs_by_group() {
    let dir = tempfile::tempdir().unwrap();
    let policy = "version: 1\nname: school\ngroups: { staff: [10.0.5.0/24], lab: [10.0.6.0/24] }\nrules:\n- { services: [irc, xmpp], groups: [staff], action: allow }\n- { services: [\"category:im\"], groups: [everyone, staff], action: drop }\n- { services: [bittorrent, edonkey], action: drop }\n";
    fs::write(dir.path().join("school.yaml"), policy).unwrap();
    let ran =
        run(command(&["policy", "show", "-p", "school.yaml"]).current_dir(dir.path())).exits(0);
    let (matrix, rest) = ran.out.split_once("\n\ndrop in every group").unwrap();
    let wanted = |line: &&str| {
        line.split_whitespace().next().is_some_and(|word| {
            ["policy", "SERVICE", "irc", "msn", "rule", "without"].contains(&word)
        })
    };
    let lines: Vec<&str> = matrix.lines().skip(1).filter(wanted).collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    SERVICE           everyone  staff    lab
    irc               drop 2    allow 1  count
    msn               drop 2    drop 2   count
      rule 1 (school.yaml:5)
      rule 2 (school.yaml:6)
      without a number: defaults
    ");
    assert!(
        rest.starts_with(", rule 3 (school.yaml:7): 2 services\n  bittorrent edonkey\n"),
        "{ran}"
    );
    assert!(rest.contains("\ncount in every group, defaults: "), "{ran}");
    let told = rest.split("warning: ").next().unwrap();
    assert!(!told.contains(" irc "), "{ran}");
    let mut lines = ran.out.lines().filter(|line| !line.starts_with("warning"));
    assert!(lines.all(|line| line.len() <= 100), "{ran}");
}

#[test]
fn mistakes_are_shown_where_they_are() {
    let name = "version: 1\nname: x\n";
    for (text, at, words) in [
        (
            format!("{name}rules:\n  - {{ services: [icq, action: drop }}\n"),
            "4:17",
            "mismatched bracket",
        ),
        (format!("{name}\tbad: 1\n"), "2:7", "tab"),
        (format!("{name}rulez: []\n"), "3:1", "did you mean `rules`?"),
        (
            format!("{name}rules:\n  - {{ services: [ircc], action: drop }}\n"),
            "4:18",
            "did you mean `irc`?",
        ),
        (
            format!("{name}rules:\n  - {{ services: [irc], action: dorp }}\n"),
            "4:32",
            "`drop`",
        ),
        (
            format!(
                "{name}groups: {{ support: [10.0.0.0/8] }}\nrules:\n  - {{ services: [irc], groups: [suport], action: drop }}\n"
            ),
            "5:33",
            "did you mean `support`?",
        ),
        (
            "version: 7\nname: x\n".to_owned(),
            "1:10",
            "version 1, not 7",
        ),
        ("name: x\n".to_owned(), "1:1", "`version` is missing"),
        (
            format!("{name}---\nversion: 1\n"),
            "4:1",
            "a second one begins",
        ),
        (
            format!("{name}rules: {}", "[".repeat(5000)),
            "3:",
            "nested too deeply",
        ),
        (
            "version: 1\nname: a\0b\n".to_owned(),
            "2:8",
            "unexpected character",
        ),
        // Line ends and byte order marks of other systems neither hurt nor shift the place.
        (
            format!("{name}rules:\n  - {{ services: [ircc], action: drop }}\n")
                .replace('\n', "\r\n"),
            "4:18",
            " 4 │",
        ),
        (
            format!("\u{feff}{name}rules:\n  - {{ services: [ircc], action: drop }}\n"),
            "4:18",
            "irc",
        ),
    ] {
        check(&text)
            .exits(3)
            .says(&format!("policy.yaml:{at}"))
            .says(words);
    }
    check("# nothing\n")
        .exits(3)
        .says("policy.yaml")
        .says("the policy is empty");
    check(b"version: 1\nname: \xff\xfe\n")
        .exits(3)
        .says("policy.yaml:2:7")
        .says("not UTF-8");
}

#[test]
fn files_of_other_systems_are_read() {
    check("version: 1\r\nname: x\r\n").exits(0);
    check("\u{feff}version: 1\nname: x\n").exits(0);
    check("version: 1\nname: x").exits(0);
}

#[test]
fn size_is_bounded() {
    let comment = format!("version: 1\nname: x\n{}", "#".repeat(2 << 20));
    check(comment)
        .exits(3)
        .says("policy.yaml")
        .says("larger than 1024 KiB");
    // Nine to the twelfth strings, if it were expanded.
    let mut bomb = "version: 1\nname: x\ngroups:\n  a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned();
    for n in 1..12 {
        let alias = format!("*a{}", n - 1);
        bomb.push_str(&format!(
            "  a{n}: &a{n} [{}]\n",
            [alias.as_str(); 9].join(",")
        ));
    }
    let begin = std::time::Instant::now();
    check(bomb).exits(3).says("policy.yaml");
    assert!(begin.elapsed().as_secs() < 20);
    imblock(&["policy", "check", "/dev/zero"])
        .exits(3)
        .says("larger than");
}

#[test]
fn what_is_no_file_is_exit_3_too() {
    let missing = imblock(&["policy", "check", "offise"]).exits(3);
    missing
        .says("offise")
        .says("No such file")
        .says("audit, historic, office, school, home");
    imblock(&["policy", "check", "/"])
        .exits(3)
        .says("/")
        .says("Is a directory");
    imblock(&["policy", "show", "-p", "nowhere.yaml"])
        .exits(3)
        .says("nowhere.yaml");
    imblock(&["replay", "-p", "nowhere.yaml", "x.pcap"])
        .exits(3)
        .says("nowhere.yaml");
}

#[test]
fn a_file_that_may_not_be_read_is_exit_3() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("policy.yaml");
    fs::write(&path, "version: 1\nname: x\n").unwrap();
    set_mode(&path, 0o000);
    set_mode(dir.path(), 0o755);
    Nobody::new()
        .imblock(&["policy", "check", path.to_str().unwrap()])
        .exits(3)
        .says("policy.yaml")
        .says("Permission denied");
}

#[test]
fn one_bad_file_does_not_hide_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    write("good.yaml", "version: 1\nname: good\n");
    write(
        "bad.yaml",
        "version: 1\nname: bad\nrules:\n  - { services: [ircc, whatsap], action: drop }\n",
    );
    let files = ["good.yaml", "bad.yaml", "missing.yaml", "home"];
    let check = |options: &[&str]| {
        let mut arguments = vec!["policy", "check"];
        arguments.extend(options);
        arguments.extend(files);
        run(command(&arguments).current_dir(dir.path())).exits(3)
    };
    let text = check(&[]);
    let text = text
        .prints("good.yaml: ok")
        .prints("home: ok")
        .says("bad.yaml:4:")
        .says("missing.yaml");
    assert!(!text.out.contains("bad.yaml"), "{text}");

    let json = check(&["--json"]).json();
    assert_eq!(json["version"], 1);
    let policies = json["policies"].as_array().unwrap();
    let verdicts: Vec<_> = policies
        .iter()
        .map(|p| (p["file"].as_str().unwrap(), p["ok"].as_bool().unwrap()))
        .collect();
    assert_eq!(
        verdicts,
        [
            ("good.yaml", true),
            ("bad.yaml", false),
            ("missing.yaml", false),
            ("home", true)
        ]
    );
    let errors = policies[1]["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 2, "all mistakes at once");
    assert_eq!(
        (&errors[0]["line"], &errors[0]["column"]),
        (&4.into(), &18.into())
    );
    assert_eq!(
        errors[0]["message"],
        "unknown service `ircc`; did you mean `irc`?"
    );
    assert!(policies[2]["errors"][0]["line"].is_null());
    assert!(!policies[3]["warnings"].as_array().unwrap().is_empty());
}

fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_policy_that_comes_slowly_keeps_nobody_waiting() {
    let Some(site) = Site::or_skip("a_policy_that_comes_slowly_keeps_nobody_waiting") else {
        return;
    };
    let fifo = &fifo::made(&site);
    site.imblock(&["up", "-i", "lan0"]).exits(0);
    let capture = site.dir().join("irc.pcap");
    fs::write(&capture, crate::replay::irc_capture()).unwrap();
    let compared = [
        "--replay",
        capture.to_str().unwrap(),
        "--max-new-drops",
        "99",
    ];
    for (generation, more) in [(2, &[][..]), (3, &compared)] {
        let apply = site.launch(&[&["policy", "apply", fifo], more].concat());
        let mut pipe = fifo::awaited(fifo);
        let toggle = site.launch(&["block", "irc"]);
        assert_eq!(toggle.end().0, Some(0));
        // In one piece and no more: who reads it again finds nothing.
        pipe.write_all(b"version: 1\nname: slow\n").unwrap();
        drop(pipe);
        let (code, said) = apply.end();
        assert_eq!(code, Some(0), "{said}");
        let status = site.imblock(&["status", "--json"]).exits(0).json();
        assert_eq!(status["policy"]["name"], "slow");
        assert_eq!(status["policy"]["generation"], generation);
        assert_eq!(status["overrides"][0]["service"], "irc");
    }
}
