//! Where inputs come from: what is shipped and documented, changed.

use std::collections::HashSet;
use std::fs;

use anyhow::{Context as _, Result};
use imblock::catalogue;
use imblock_common::testkit::Random;

use crate::workspace::root;

/// Inputs that are kept; beyond, a new one takes the place of any.
const KEPT: usize = 4096;
/// Most inputs are no longer, in bytes.
const USUAL: usize = 16 << 10;
/// None is longer: a little more than the reader takes.
const LONGEST: usize = (1 << 20) + 64;

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

/// Inputs that went ways of their own.
pub(super) struct Corpus {
    random: Random,
    kept: Vec<String>,
    marks: HashSet<u64>,
}

impl Corpus {
    pub(super) fn new(seed: u64) -> Result<Self> {
        let mut kept: Vec<String> = Vec::new();
        kept.extend(
            catalogue::POLICIES
                .iter()
                .map(|(_, text)| (*text).to_owned()),
        );
        kept.extend(catalogue::SERVICES.iter().map(|(_, text)| as_policy(text)));
        let documents = fs::read_to_string(root().join("docs/POLICY.md"))
            .context("cannot read the examples")?;
        for block in documents.split("\n```").skip(1).step_by(2) {
            let (info, text) = block.split_once('\n').unwrap_or_default();
            kept.push(match info {
                "yaml service" => as_policy(text),
                _ if text.contains("version:") => text.to_owned(),
                _ => format!("version: 1\nname: a\n{text}"),
            });
        }
        Ok(Self {
            random: Random::new(seed),
            kept,
            marks: HashSet::new(),
        })
    }

    /// The next input.
    pub(super) fn invent(&mut self) -> String {
        let mut bytes = self.pick().into_bytes();
        // The same everywhere in the services would be there already.
        if self.random.one_in(3) {
            bytes = rename(&bytes);
        }
        for _ in 0..self.random.pick(&[1, 1, 1, 2, 3, 6], 1) {
            self.change(&mut bytes);
        }
        let longest = match self.random.one_in(500) {
            true => LONGEST,
            false => USUAL,
        };
        bytes.truncate(longest);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Keeps an input that went a way of its own.
    pub(super) fn learn(&mut self, text: String, mark: u64) {
        if !self.marks.insert(mark) || text.len() > USUAL {
            return;
        }
        if self.kept.len() < KEPT {
            self.kept.push(text);
            return;
        }
        let place = self.random.below(KEPT);
        if let Some(kept) = self.kept.get_mut(place) {
            *kept = text;
        }
    }

    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }

    /// How many ways were seen.
    pub(super) fn marks(&self) -> usize {
        self.marks.len()
    }

    fn pick(&mut self) -> String {
        let place = self.random.below(self.kept.len());
        self.kept.get(place).cloned().unwrap_or_default()
    }

    fn change(&mut self, bytes: &mut Vec<u8>) {
        let at = self.random.below(bytes.len() + 1);
        let length = self.random.pick(&[1, 1, 2, 4, 16, 64, 512], 1);
        let end = (at + length).min(bytes.len());
        match self.random.below(14) {
            0 => {
                bytes.drain(at..end);
            }
            1 => {
                let piece: Vec<u8> = bytes.drain(at..end).collect();
                let to = self.random.below(bytes.len() + 1);
                bytes.splice(to..to, piece);
            }
            2 => {
                let piece = bytes.get(at..end).unwrap_or_default().to_vec();
                let times = self.random.pick(&[1, 2, 8, 100, 3_000], 1);
                bytes.splice(at..at, piece.repeat(times));
            }
            3..=6 => {
                let word = self.random.pick(WORDS, "").as_bytes().to_vec();
                let until = if self.random.one_in(2) { end } else { at };
                bytes.splice(at..until, word);
            }
            7 => {
                let random = self.random.byte();
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = random;
                }
            }
            8 => {
                let other = self.pick().into_bytes();
                let from = self.random.below(other.len());
                bytes.truncate(at);
                bytes.extend(other.get(from..).unwrap_or_default());
            }
            9 => self.change_line(bytes),
            10 => {
                let (open, close) = self
                    .random
                    .pick(&[("[", "]"), ("{a: ", "}"), ("- ", "")], ("[", "]"));
                let depth = self.random.pick(&[2, 20, 23, 24, 25, 200, 5_000], 2);
                let nest = [open.repeat(depth), close.repeat(depth)].concat();
                bytes.splice(at..at, nest.into_bytes());
            }
            11 => bytes.extend(bomb(&mut self.random).into_bytes()),
            12 => {
                let many = self.random.pick(&[10, 257, 600, 2_000], 10);
                bytes.extend(list(&mut self.random, many).into_bytes());
            }
            _ => bytes.truncate(at),
        }
    }

    /// Swaps, removes or doubles whole lines, which leaves the YAML whole more often.
    fn change_line(&mut self, bytes: &mut Vec<u8>) {
        let mut lines: Vec<Vec<u8>> = bytes
            .split(|byte| *byte == b'\n')
            .map(<[u8]>::to_vec)
            .collect();
        let (one, other) = (
            self.random.below(lines.len()),
            self.random.below(lines.len()),
        );
        match self.random.below(3) {
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
