//! What a guest's report means.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::kernels::Series;
use super::report::Section;
use crate::test::Summary;

/// Lines of a failed step that are shown.
const TAIL: usize = 14;

/// How a shell tells that a program was killed (128 + SIGKILL): its time was over.
const KILLED: i32 = 137;

/// A line of the table.
pub(super) struct Row {
    pub(super) series: &'static Series,
    /// Or why there was none.
    pub(super) trial: Result<Trial, String>,
}

/// One kernel, tried.
pub(super) struct Trial {
    /// As `uname -r` says it.
    pub(super) release: String,
    /// The verifier's steps by program; none where the kernel does not tell them.
    pub(super) steps: Vec<(String, Option<u64>)>,
    pub(super) load: Check,
    /// Native XDP on a cable.
    pub(super) attach: Check,
    /// The program at egress, and by which of the kernel's ways.
    pub(super) egress: Check,
    pub(super) kernel_tests: Check,
    pub(super) attach_tests: Check,
    pub(super) demo: Check,
    /// What the controller said about this kernel when it started.
    pub(super) notes: Vec<String>,
}

/// One thing that was tried.
#[derive(Debug)]
pub(super) struct Check {
    pub(super) good: bool,
    /// In a few words.
    pub(super) word: String,
    /// Why it failed, in the words of the program.
    pub(super) why: Option<String>,
}

impl Row {
    pub(super) fn is_good(&self) -> bool {
        self.trial
            .as_ref()
            .is_ok_and(|trial| trial.checks().iter().all(|(_, check)| check.good))
    }
}

impl Trial {
    /// The checks, each with the name that it has in JSON.
    pub(super) fn checks(&self) -> [(&'static str, &Check); 6] {
        [
            ("load", &self.load),
            ("attach", &self.attach),
            ("egress", &self.egress),
            ("kernel_tests", &self.kernel_tests),
            ("attach_tests", &self.attach_tests),
            ("demo", &self.demo),
        ]
    }

    /// What the sections of the steps that were `taken` say.
    pub(super) fn read(release: &str, sections: &[Section], taken: &[&str]) -> Result<Self> {
        for name in taken {
            ensure!(
                sections.iter().any(|section| section.name == *name),
                "the guest said nothing about `{name}`"
            );
        }
        let find = |name: &str| sections.iter().find(|section| section.name == name);
        let (up, again, status) = (find("up"), find("again"), find("status"));
        let check = |section: Option<&Section>, of: fn(&Section) -> Check| {
            section.map_or_else(Check::untried, of)
        };
        Ok(Self {
            release: release.to_owned(),
            steps: find("load").map(steps).unwrap_or_default(),
            load: check(find("load"), load),
            attach: match (up, again, status) {
                (Some(up), Some(again), Some(status)) => attach(up, again, status),
                _ => Check::untried(),
            },
            egress: check(status, egress),
            kernel_tests: check(find("kernel tests"), tests),
            attach_tests: check(find("attach tests"), tests),
            demo: check(find("demo"), demo),
            notes: up.map(notes).unwrap_or_default(),
        })
    }
}

impl Check {
    /// Nobody asked for it.
    fn untried() -> Self {
        Self::good("-")
    }

    fn good(word: impl Into<String>) -> Self {
        Self {
            good: true,
            word: word.into(),
            why: None,
        }
    }

    fn bad(word: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            good: false,
            word: word.into(),
            why: Some(why.into()),
        }
    }

    pub(super) fn json(&self) -> Value {
        json!({"good": self.good, "word": self.word, "why": self.why})
    }
}

/// The steps of the programs that the verifier let pass.
fn steps(load: &Section) -> Vec<(String, Option<u64>)> {
    let lines = load.text.lines().filter_map(|line| {
        let line: Value = serde_json::from_str(line).ok()?;
        let name = line.get("program")?.as_str()?.to_owned();
        let steps = line.get("steps")?.as_u64();
        Some((name, steps))
    });
    lines.collect()
}

fn load(section: &Section) -> Check {
    if !section.succeeded() {
        let errors: Vec<String> = section
            .text
            .lines()
            .filter_map(|line| {
                let line: Value = serde_json::from_str(line).ok()?;
                let (program, error) =
                    (line.get("program")?.as_str()?, line.get("error")?.as_str()?);
                Some(format!("{program}: {error}"))
            })
            .collect();
        // Out of time, it was killed on the way: what it did not come to is not known.
        if section.status == Some(KILLED) {
            let why = format!("did not end in time\n{}", errors.join("\n"));
            return Check::bad("did not end", why);
        }
        let why = if errors.is_empty() {
            section.tail(TAIL)
        } else {
            errors.join("\n")
        };
        return Check::bad("refused", why);
    }
    match steps(section).iter().filter_map(|(_, steps)| *steps).max() {
        Some(most) => Check::good(format!("yes, {most} steps at most")),
        None => Check::good("yes"),
    }
}

/// Up, up again over what the first left, and down.
fn attach(up: &Section, again: &Section, status: &Section) -> Check {
    if let Some(failed) = [up, again].into_iter().find(|section| !section.succeeded()) {
        return Check::bad("no", failed.tail(TAIL));
    }
    match interface(status).and_then(|lan| Some(lan.get("xdp")?.as_str()?.to_owned())) {
        Some(mode) if mode == "native" => Check::good("yes"),
        Some(mode) => Check::bad(mode, "the program is not in the driver of a veth"),
        None => Check::bad("no", status.tail(TAIL)),
    }
}

fn egress(status: &Section) -> Check {
    let Some(lan) = interface(status) else {
        return Check::bad("no", status.tail(TAIL));
    };
    if lan.get("egress") != Some(&Value::Bool(true)) {
        return Check::bad("no", "the program at egress is not attached");
    }
    let way = lan.get("egress_by").and_then(Value::as_str);
    Check::good(way.unwrap_or("yes"))
}

/// The one interface in what `imblock status --json` says.
fn interface(status: &Section) -> Option<Value> {
    let document: Value = serde_json::from_str(&status.text).ok()?;
    document.pointer("/interfaces/0").cloned()
}

fn tests(section: &Section) -> Check {
    let summary = Summary::of_binary(&section.text);
    let Some(summary) = summary else {
        return Check::bad("did not end", section.tail(TAIL));
    };
    if section.succeeded() {
        return Check::good(summary.to_string());
    }
    Check::bad(summary.to_string(), failures(&section.text))
}

/// What libtest says about the tests that failed, without what passed.
fn failures(text: &str) -> String {
    let details = text
        .split_once("\nfailures:\n")
        .map_or(text, |(_, rest)| rest);
    let lines: Vec<&str> = details
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let few = lines.get(..lines.len().min(TAIL * 3)).unwrap_or_default();
    few.join("\n")
}

fn demo(section: &Section) -> Check {
    if section.succeeded() {
        return Check::good("yes");
    }
    Check::bad("no", section.tail(TAIL))
}

/// What `imblock up` says of the kernel: lines that begin with `kernel:`.
fn notes(up: &Section) -> Vec<String> {
    let notes = up.text.lines().filter_map(|line| {
        let (_, note) = line.split_once("kernel: ")?;
        Some(note.trim().to_owned())
    });
    notes.collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::super::report::sections;
    use super::*;

    const STEPS: [&str; 7] = [
        "load",
        "up",
        "status",
        "again",
        "demo",
        "attach tests",
        "kernel tests",
    ];
    const GOOD: &str = r#"@begin load
{"program":"lan_ingress","steps":500}
{"program":"lan_egress","steps":700}
@end 0
@begin up
warning: kernel: no TCX before Linux 6.6
attached to lan0
@end 0
@begin status
{"interfaces":[{"name":"lan0","xdp":"native","egress":true,"egress_by":"clsact"}]}
@end 0
@begin again
@end 0
@begin demo
@end 0
@begin attach tests
test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured
skipped: one: no tool
@end 0
@begin kernel tests
test result: ok. 29 passed; 0 failed; 0 ignored; 0 measured
@end 0
"#;

    #[test]
    fn a_good_report_is_good_in_all() {
        let trial = Trial::read("6.1.0", &sections(GOOD), &STEPS).unwrap();
        let words: Vec<&str> = trial
            .checks()
            .iter()
            .map(|(_, check)| check.word.as_str())
            .collect();
        assert_eq!(
            words,
            [
                "yes, 700 steps at most",
                "yes",
                "clsact",
                "29 passed, 0 failed, 0 skipped",
                "2 passed, 0 failed, 1 skipped",
                "yes"
            ]
        );
        assert!(trial.checks().iter().all(|(_, check)| check.good));
        assert_eq!(trial.notes, ["no TCX before Linux 6.6"]);
    }

    #[test]
    fn each_trouble_is_told_where_it_is() {
        let bad = [
            (
                "{\"program\":\"lan_egress\",\"steps\":700}\n@end 0",
                "{\"program\":\"lan_egress\",\"error\":\"too many steps\"}\n@end 1",
                "load",
                "lan_egress: too many steps",
            ),
            (
                "\"steps\":700}\n@end 0",
                "\"steps\":700}\n@end 137",
                "load",
                "in time",
            ),
            (
                "\"xdp\":\"native\"",
                "\"xdp\":\"generic\"",
                "attach",
                "not in the driver",
            ),
            (
                "@begin again\n@end 0",
                "@begin again\nstill there\n@end 4",
                "attach",
                "still there",
            ),
            (
                "\"egress\":true",
                "\"egress\":false",
                "egress",
                "not attached",
            ),
            (
                "@begin demo\n@end 0",
                "@begin demo\nno answer\n@end 1",
                "demo",
                "no answer",
            ),
            (
                "@begin demo\n@end 0",
                "@begin demo\nkilled\n@end 137",
                "demo",
                "killed",
            ),
            (
                "test result: ok. 29 passed; 0 failed; 0 ignored; 0 measured\n@end 0",
                "\nfailures:\n\nlimit: too much\n\ntest result: FAILED. 28 passed; 1 failed; 0 ignored\n@end 101",
                "kernel_tests",
                "limit: too much",
            ),
            (
                "test result: ok. 29 passed; 0 failed; 0 ignored; 0 measured\n@end 0",
                "panic\n@end 101",
                "kernel_tests",
                "panic",
            ),
        ];
        for (good, instead, name, why) in bad {
            assert!(GOOD.contains(good), "{good}");
            let trial =
                Trial::read("6.1.0", &sections(&GOOD.replace(good, instead)), &STEPS).unwrap();
            for (check_name, check) in trial.checks() {
                assert_eq!(check.good, check_name != name, "{instead}: {check_name}");
                if let Some(told) = &check.why {
                    assert!(told.contains(why), "{instead}: {told}");
                }
            }
        }
    }

    #[test]
    fn a_guest_that_skips_a_step_is_no_trial() {
        let report = GOOD.replace("@begin demo", "@begin something");
        assert!(Trial::read("6.1.0", &sections(&report), &STEPS).is_err());
        assert!(Trial::read("6.1.0", &sections(&report), &["load"]).is_ok());
    }
}
