//! `include:`: policies out of several files, and what is told when one of them is wrong.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::fs;
use std::path::Path;

use imblock::policy::{self, Policy, PolicyErrors, PolicySource};
use tempfile::TempDir;

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn load(folder: &Path) -> Result<Policy, PolicyErrors> {
    policy::load(&PolicySource::File(folder.join("office.yaml")))
}

/// What is told, without the folder.
fn told(files: &[(&str, &str)]) -> String {
    let folder = folder(files);
    let errors = load(folder.path()).unwrap_err();
    let path = format!("{}/", folder.path().display());
    errors.report(200, false).replace(&path, "")
}

const OFFICE: &str = "version: 1
name: office
include: [site/groups.yaml, rules.yaml]
groups: { lab: [10.1.0.0/16] }
rules:
  - { services: [xmpp, acme], groups: [lab, support], action: allow }
";
const GROUPS: &str = "version: 1
include: [../services.yaml]
groups: { support: [10.0.5.0/24] }
protect: { ports: [tcp/22] }
trust: [telegram]
";
const SERVICES: &str = "version: 1
services:
  - { id: acme, name: Acme, category: im, ports: [tcp/7000] }
";
const RULES: &str = "version: 1
include: [services.yaml]
rules:
  - { services: [irc], groups: [support], action: allow }
  - { services: [irc], action: drop, when: { days: mon-fri } }
tests:
  - { from: 10.0.5.9, to: '198.51.100.7:6667/tcp', expect: allow }
";

#[test]
fn what_is_included_stands_in_front() {
    let folder = folder(&[
        ("office.yaml", OFFICE),
        ("site/groups.yaml", GROUPS),
        ("services.yaml", SERVICES),
        ("rules.yaml", RULES),
    ]);
    let policy = load(folder.path()).unwrap_or_else(|errors| panic!("{errors}"));
    let groups: Vec<&str> = policy
        .groups()
        .iter()
        .map(|group| group.name.as_str())
        .collect();
    assert_eq!(groups, ["support", "lab"]);
    let rules: Vec<String> = policy
        .rules()
        .iter()
        .map(|rule| {
            rule.services
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(" ")
        })
        .collect();
    assert_eq!(rules, ["irc", "irc", "xmpp acme"]);
    // Reached on two ways, read once.
    assert_eq!(policy.services().len(), 1);
    assert_eq!((policy.trust().len(), policy.protect().ports.len()), (1, 1));
    assert_eq!(policy.trials().len(), 1);
    // Places are those of the files.
    let plan = policy
        .compile(&mut Default::default(), &Default::default())
        .unwrap();
    let places: Vec<&str> = plan
        .origins
        .iter()
        .map(|origin| origin.place.as_str())
        .collect();
    assert!(
        places.iter().any(|place| place.ends_with("/rules.yaml:4")),
        "{places:?}"
    );
    assert!(
        places.iter().any(|place| place.ends_with("/office.yaml:6")),
        "{places:?}"
    );
}

#[test]
fn a_mistake_in_an_included_file_is_shown_there() {
    insta::assert_snapshot!(told(&[
        ("office.yaml", "version: 1\nname: office\ninclude: [rules.yaml]\nrules:\n  - { services: [irk], action: drop }\n"),
        ("rules.yaml", "version: 1\n\n\nrules:\n  - { services: [icr], groups: [kids], action: drop }\n"),
    ]), @r#"
     × unknown service `irk`; did you mean `irc`?
      ╭─[office.yaml:5:18]
    5 │   - { services: [irk], action: drop }
      ·                  ───
      ╰────
     help: `imblock services` lists what is known; a service of your own goes under `services:`

     × unknown service `icr`; did you mean `icq`?
      ╭─[rules.yaml:5:18]
    5 │   - { services: [icr], groups: [kids], action: drop }
      ·                  ───
      ╰────
     help: `imblock services` lists what is known; a service of your own goes under `services:`

     × unknown group `kids`
      ╭─[rules.yaml:5:33]
    5 │   - { services: [icr], groups: [kids], action: drop }
      ·                                 ────
      ╰────
     help: groups are named under `groups:`; `everyone` is who is in none
    "#);
}

#[test]
fn form_of_an_included_file() {
    insta::assert_snapshot!(told(&[
        ("office.yaml", "version: 1\nname: office\ninclude: [a.yaml, b.yaml, c.yaml]\n"),
        ("a.yaml", "version: 1\ninterfaces: []\n"),
        ("b.yaml", "version: 2\n"),
        ("c.yaml", ""),
    ]), @r#"
    c.yaml:
      × the policy is empty
      help: begin with `version: 1` and `name: …`; docs/POLICY.md has examples

      × unknown key `interfaces`
       ╭─[a.yaml:2:1]
     2 │ interfaces: []
       · ──────────
       ╰────
      help: the keys here are version, include, groups, protect, rules, services, trust, tests

      × this imblock reads policies of version 1, not 2
       ╭─[b.yaml:1:10]
     1 │ version: 2
       ·          ─
       ╰────
      help: write `version: 1`, or use the imblock that the policy is for
    "#);
}

#[test]
fn a_group_or_service_in_two_files() {
    insta::assert_snapshot!(told(&[
        ("office.yaml", "version: 1\nname: office\ninclude: [base.yaml]\ngroups: { kids: [10.0.9.0/24], lab: [10.0.8.0/24] }\nservices: [{ id: acme, name: Acme, category: im }]\n"),
        ("base.yaml", "version: 1\ngroups:\n  kids: [10.0.7.0/24]\n  pets: [10.0.8.0/24]\nservices: [{ id: acme, name: Acme, category: im }]\n"),
    ]), @r#"
     × the group `kids` is there twice
      ╭─[office.yaml:4:11]
    4 │ groups: { kids: [10.0.9.0/24], lab: [10.0.8.0/24] }
      ·           ────
      ╰────
     help: it is first in base.yaml:3

     × 10.0.8.0/24 is in the group `pets` and in `lab`
      ╭─[office.yaml:4:38]
    4 │ groups: { kids: [10.0.9.0/24], lab: [10.0.8.0/24] }
      ·                                      ───────────
      ╰────
     help: it is first in base.yaml:4; a host has one group, that of its MAC address, else of the longest prefix around it; remove one of the two

     × the service `acme` is there twice
      ╭─[office.yaml:5:18]
    5 │ services: [{ id: acme, name: Acme, category: im }]
      ·                  ────
      ╰────
     help: it is first in base.yaml:5
    "#);
}

#[test]
fn a_file_that_includes_itself() {
    insta::assert_snapshot!(told(&[
        ("office.yaml", "version: 1\nname: office\ninclude: [a.yaml]\n"),
        ("a.yaml", "version: 1\ninclude: [b.yaml]\n"),
        ("b.yaml", "version: 1\ninclude: [./a.yaml, office.yaml]\n"),
    ]), @r#"
     × `./a.yaml` includes itself, or a file that includes it
      ╭─[b.yaml:2:11]
    2 │ include: [./a.yaml, office.yaml]
      ·           ────────
      ╰────
     help: remove one of the two from `include`

     × `office.yaml` includes itself, or a file that includes it
      ╭─[b.yaml:2:21]
    2 │ include: [./a.yaml, office.yaml]
      ·                     ───────────
      ╰────
     help: remove one of the two from `include`
    "#);
}

#[test]
fn files_that_are_not_there_or_there_twice() {
    insta::assert_snapshot!(told(&[
        ("office.yaml", "version: 1\nname: office\ninclude: [nowhere.yaml, a.yaml, a.yaml]\n"),
        ("a.yaml", "version: 1\n"),
    ]), @r#"
     × cannot read `nowhere.yaml`: No such file or directory (os error 2)
      ╭─[office.yaml:3:11]
    3 │ include: [nowhere.yaml, a.yaml, a.yaml]
      ·           ────────────
      ╰────
     help: a path counts from the folder of the file that includes

     × the file `a.yaml` is there twice
      ╭─[office.yaml:3:33]
    3 │ include: [nowhere.yaml, a.yaml, a.yaml]
      ·                         ───┬──  ──────
      ·                            ╰── first here
      ╰────
    "#);
}

#[test]
fn too_many_files_and_too_deep() {
    let names: Vec<String> = (0..70).map(|n| format!("f{n}.yaml")).collect();
    let office = format!(
        "version: 1\nname: office\ninclude: [{}]\n",
        names.join(", ")
    );
    let mut files: Vec<(&str, &str)> = names
        .iter()
        .map(|name| (name.as_str(), "version: 1\n"))
        .collect();
    files.push(("office.yaml", &office));
    let many = told(&files);
    assert!(many.contains("the policy has more than 64 files"), "{many}");
    assert!(many.contains("office.yaml:3:"), "{many}");

    let texts: Vec<String> = (0..9)
        .map(|n| format!("version: 1\ninclude: [f{}.yaml]\n", n + 1))
        .collect();
    let mut files: Vec<(&str, &str)> = names
        .iter()
        .zip(&texts)
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    files.push((
        "office.yaml",
        "version: 1\nname: office\ninclude: [f0.yaml]\n",
    ));
    let deep = told(&files);
    assert!(
        deep.contains("more than 7 files include each other in a row"),
        "{deep}"
    );
    assert!(deep.contains("f6.yaml:2:"), "{deep}");
}

#[test]
fn what_is_larger_than_is_read() {
    let large = format!("version: 1\n#{}\n", "x".repeat(policy::MAX_BYTES - 100));
    let office = "version: 1\nname: office\ninclude: [a.yaml, b.yaml, c.yaml, d.yaml, e.yaml]\n";
    let files =
        ["a.yaml", "b.yaml", "c.yaml", "d.yaml", "e.yaml"].map(|name| (name, large.as_str()));
    let mut files = files.to_vec();
    files.push(("office.yaml", office));
    let told = told(&files);
    assert!(
        told.contains("the policy and what it includes are larger than 4096 KiB"),
        "{told}"
    );
}

#[test]
fn only_files_include() {
    let source = policy::Source::new(
        "memory".to_owned(),
        "version: 1\nname: x\ninclude: [a.yaml]\n".to_owned(),
    );
    insta::assert_snapshot!(policy::parse(source).unwrap_err().report(100, false), @r#"
     × only a policy that is a file can include others
      ╭─[memory:3:11]
    3 │ include: [a.yaml]
      ·           ──────
      ╰────
     help: write what includes it into a file
    "#);
}
