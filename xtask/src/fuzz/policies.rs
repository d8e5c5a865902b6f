//! Policies: all that imblock does with one before it touches the box.
//!
//! Invariant: whatever the text, either all of this works or the errors say why.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash as _, Hasher as _};
use std::mem::discriminant;
use std::ops::Range;
use std::path::Path;

use anyhow::{Context as _, Result};
use imblock::catalogue;
use imblock::guard::Proof;
use imblock::policy::{self, Plan, Policy, PolicyErrors, ServiceNumbers, Source, Surroundings};
use imblock_common::testkit::Random;

use super::corpus::{Fate, Subject};
use crate::workspace::root;

/// One in so many policies is held against the guard as well, which takes a hundred times as long.
const PROVED: u64 = 64;

/// Words of the language, and what YAML and the parsers of words could stumble over.
const WORDS: &[&str] = &[
    "version: 1\n",
    "name: a\n",
    "rules:\n",
    "groups:\n",
    "services:\n",
    "interfaces:\n",
    "defaults:",
    "protect:",
    "hops:",
    "quic:",
    "trust:",
    "limits:",
    "markers:",
    "collateral:",
    "names:",
    "prefixes:",
    "ports:",
    "not_ports:",
    "hosts:",
    "flows:",
    "alpn:",
    "stun:",
    "attribute:",
    "transport: tcp",
    "transport: both",
    "from: client",
    "packet: early",
    "packet: any",
    "in: irc",
    "offset: 47",
    "bytes: \"",
    "text: \"",
    "nocase: true",
    "length: {",
    "at: 4",
    "size: 2",
    "plus: -65535",
    "fits: true",
    "payload: \"",
    "last: \"",
    "find: {",
    "within: 1024",
    "use: with-port",
    "use: count-first",
    "action: drop",
    "action: allow",
    "action: count",
    "action: reject",
    "action: limit",
    "category:im",
    "status:historic",
    "family:meta",
    "all",
    "everyone",
    "irc",
    "skype",
    "tcp/1-65535",
    "udp/0",
    "tcp/65535",
    "10.0.0.0/8",
    "0.0.0.0/0",
    "::/0",
    "2001:db8::/32",
    "::ffff:10.0.0.1",
    "02:00:00:aa:bb:cc",
    "ff:ff:ff:ff:ff:ff",
    "chat.acme.example",
    "xn--a.example",
    "*.example",
    "2018-07-17",
    "30s",
    "24h",
    "99999999999999999999",
    "-1",
    "0x7fffffff",
    "1e999",
    ".nan",
    "~",
    "null",
    "true",
    "2a 01..05 ?? 0? 83|31",
    "?? ??",
    "00..ff",
    "\\x00",
    "\\xff",
    "74..",
    "10..100",
    "0x4000-0x4007",
    "0xffff",
    "&a ",
    "*a",
    "&a [*a, *a]",
    "<<: *a",
    "!!binary ",
    "!!str ",
    "!<x> ",
    "? ",
    ": ",
    "- ",
    "- - - ",
    "{",
    "}",
    "[",
    "]",
    ", ",
    "|\n",
    ">-\n",
    "|9+\n",
    "\"",
    "'",
    "#",
    "---\n",
    "...\n",
    "%YAML 1.1\n",
    "\t",
    "\r\n",
    "\u{feff}",
    "\u{2028}",
    "\u{0}",
    "ü",
    "𝕏",
    "\u{202e}",
    "@",
    "`",
];

/// The reader of policies.
pub(super) struct Policies;

impl Subject for Policies {
    const ENDING: &'static str = "yaml";
    const NAME: &'static str = "policies";
    const TESTS: &'static str = "imblock/tests/policy_errors.rs";

    /// What is shipped and documented.
    fn seeds(&self) -> Result<Vec<Vec<u8>>> {
        let mut seeds: Vec<String> = Vec::new();
        seeds.extend(
            catalogue::POLICIES
                .iter()
                .map(|(_, text)| (*text).to_owned()),
        );
        seeds.extend(catalogue::SERVICES.iter().map(|(_, text)| as_policy(text)));
        let documents = fs::read_to_string(root().join("docs/POLICY.md"))
            .context("cannot read the examples")?;
        for block in documents.split("\n```").skip(1).step_by(2) {
            let (info, text) = block.split_once('\n').unwrap_or_default();
            seeds.push(match info {
                "yaml service" => as_policy(text),
                _ if text.contains("version:") => text.to_owned(),
                _ => format!("version: 1\nname: a\n{text}"),
            });
        }
        Ok(seeds.into_iter().map(String::into_bytes).collect())
    }

    fn change(&self, random: &mut Random, bytes: &mut Vec<u8>, place: Range<usize>) {
        let at = place.start;
        match random.below(10) {
            0..=4 => {
                let word = random.pick(WORDS, "").as_bytes().to_vec();
                let until = if random.one_in(2) { place.end } else { at };
                bytes.splice(at..until, word);
            }
            5 => change_line(random, bytes),
            6 => {
                let (open, close) =
                    random.pick(&[("[", "]"), ("{a: ", "}"), ("- ", "")], ("[", "]"));
                let depth = random.pick(&[2, 20, 23, 24, 25, 200, 5_000], 2);
                let nest = [open.repeat(depth), close.repeat(depth)].concat();
                bytes.splice(at..at, nest.into_bytes());
            }
            7 => bytes.extend(bomb(random).into_bytes()),
            8 => {
                let many = random.pick(&[10, 257, 600, 2_000], 10);
                bytes.extend(list(random, many).into_bytes());
            }
            // The same everywhere in the services would be there already.
            _ => *bytes = rename(bytes),
        }
    }

    fn read(&self, input: &[u8], _file: &Path) -> Fate {
        judge(&String::from_utf8_lossy(input))
    }
}

fn judge(text: &str) -> Fate {
    match parsed(text).and_then(|policy| compiled(&policy).map(|plan| (policy, plan))) {
        Ok((policy, plan)) => {
            // What is printed means the same.
            let printed = policy.to_string();
            let again = parsed(&printed).and_then(|policy| compiled(&policy));
            let again = again.unwrap_or_else(|errors| fail(&printed, &errors.to_string()));
            if again.hash() != plan.hash() {
                fail(&printed, "it prints as another policy");
            }
            let mark = mark_of(&plan);
            if mark.is_multiple_of(PROVED) {
                let around = Surroundings::default();
                let proof = Proof::of(&plan, policy.protect(), &around, None);
                if let Err(error) = proof.holds() {
                    fail(text, &error.to_string());
                }
            }
            Fate { works: true, mark }
        }
        Err(errors) => {
            let told = errors.report(80, false);
            if told.is_empty() || errors.to_string().is_empty() {
                fail(text, "it is refused without a word");
            }
            let mut mark = DefaultHasher::new();
            let mut kinds: Vec<u64> = errors
                .iter()
                .map(|error| {
                    let mut kind = DefaultHasher::new();
                    discriminant(error.kind()).hash(&mut kind);
                    // Which of the reader's own complaints.
                    let words = error.to_string();
                    words.get(..12).unwrap_or_default().hash(&mut kind);
                    kind.finish()
                })
                .collect();
            kinds.sort_unstable();
            kinds.dedup();
            kinds.hash(&mut mark);
            Fate {
                works: false,
                mark: mark.finish(),
            }
        }
    }
}

fn parsed(text: &str) -> Result<Policy, PolicyErrors> {
    policy::parse(Source::new("fuzz.yaml".to_owned(), text.to_owned()))
}

fn compiled(policy: &Policy) -> Result<Plan, PolicyErrors> {
    policy.compile(&mut ServiceNumbers::default(), &Surroundings::default())
}

/// Which parts of a plan there are, and roughly how much of each.
fn mark_of(plan: &Plan) -> u64 {
    let size = |length: usize| length.checked_ilog2().unwrap_or(0);
    let mut mark = DefaultHasher::new();
    plan.flags().hash(&mut mark);
    for length in [
        plan.groups.len(),
        plan.prefixes.len(),
        plan.macs.len(),
        plan.remotes.len(),
        plan.names.len(),
        plan.services.len(),
        plan.origins.len(),
        plan.markers.tcp.len(),
        plan.markers.udp.len(),
        plan.stun_attributes.len(),
        plan.interfaces.len(),
        plan.warnings.len(),
    ] {
        size(length).hash(&mut mark);
    }
    mark.finish()
}

#[expect(clippy::panic, reason = "ends the run, which is what a finding does")]
fn fail(text: &str, what: &str) -> ! {
    panic!("{what}:\n{text}")
}

/// Swaps, removes or doubles whole lines, which leaves the YAML whole more often.
fn change_line(random: &mut Random, bytes: &mut Vec<u8>) {
    let mut lines: Vec<Vec<u8>> = bytes
        .split(|byte| *byte == b'\n')
        .map(<[u8]>::to_vec)
        .collect();
    let (one, other) = (random.below(lines.len()), random.below(lines.len()));
    match random.below(3) {
        0 => lines.swap(one, other),
        1 => {
            lines.remove(one);
        }
        _ => {
            let line = lines.get(one).cloned().unwrap_or_default();
            lines.insert(other, line);
        }
    }
    *bytes = lines.join(&b'\n');
}

/// Aliases that multiply what they stand for.
fn bomb(random: &mut Random) -> String {
    let (levels, width) = (random.below(12), 1 + random.below(10));
    let mut text = "\ntrust: &x0 [all, all]\n".to_owned();
    for level in 1..=levels {
        let items = vec![format!("*x{}", level - 1); width].join(", ");
        text += &format!("k{level}: &x{level} [{items}]\n");
    }
    text + &format!("groups: {{ a: *x{levels} }}\n")
}

/// Very many of one thing.
fn list(random: &mut Random, many: usize) -> String {
    let forms: [fn(usize) -> String; 4] = [
        |n| {
            format!(
                "  g{n}: [10.{}.{}.0/24, '02:00:00:00:{:02x}:{:02x}']\n",
                n / 256 % 256,
                n % 256,
                n / 256 % 256,
                n % 256
            )
        },
        |n| format!("  - {{ services: [irc, all], groups: [g{n}], action: drop }}\n"),
        |n| {
            format!(
                "  - {{ id: s{n}, name: S, category: im, ports: [tcp/{}], names: [n{n}.example] }}\n",
                1 + n
            )
        },
        |n| {
            format!(
                "  - {{ id: m{n}, name: M, category: im, markers: [{{ transport: udp, bytes: '{:02x} {:02x} {:02x}|00 01..05' }}] }}\n",
                n % 256,
                n / 256 % 256,
                n % 7
            )
        },
    ];
    let heads = [
        "\ngroups:\n",
        "\nrules:\n",
        "\nservices:\n",
        "\nservices:\n",
    ];
    let which = random.below(forms.len());
    let (Some(head), Some(form)) = (heads.get(which), forms.get(which)) else {
        return String::new();
    };
    (0..many).fold((*head).to_owned(), |text, n| text + &form(n))
}

/// A service of the catalogue as one of a policy's own, under another id: its own exists already.
fn as_policy(service: &str) -> String {
    let item = service
        .trim_end()
        .replace('\n', "\n    ")
        .replacen("id: ", "id: my-", 1);
    format!("version: 1\nname: a\nservices:\n  -\n    {item}\n")
}

/// The same with another name for each service that it makes.
fn rename(bytes: &[u8]) -> Vec<u8> {
    String::from_utf8_lossy(bytes)
        .replace("id: my-", "id: x-")
        .into_bytes()
}
