//! How the story looks: plain text that fits a README, colour only where somebody sees it.

use std::io::Write;

use anstyle::{AnsiColor, Style};

use super::counters::Audit;
use super::matrix::{Cell, Target};
use super::report::Report;
use crate::lab::{Host, Lab};

const BOLD: Style = Style::new().bold();
const FAINT: Style = Style::new().dimmed();
const GREEN: Style = AnsiColor::Green.on_default();
const RED: Style = AnsiColor::Red.on_default();
const ALARM: Style = AnsiColor::Red.on_default().bold().invert();

/// Where the story goes.
pub(super) struct Screen {
    /// Only the report is printed, in JSON.
    quiet: bool,
    marks: Marks,
}

/// The characters that are not in every terminal.
struct Marks {
    yes: &'static str,
    no: &'static str,
    upper: &'static str,
    joint: &'static str,
    lower: &'static str,
    line: &'static str,
}

const UNICODE: Marks = Marks {
    yes: "✓",
    no: "✗",
    upper: "─┐",
    joint: "├─",
    lower: "─┘",
    line: "─",
};

const ASCII: Marks = Marks {
    yes: "+",
    no: "x",
    upper: "-.",
    joint: "|-",
    lower: "-'",
    line: "-",
};

impl Screen {
    pub(super) fn new(quiet: bool) -> Self {
        let marks = if locale_is_utf8() { UNICODE } else { ASCII };
        Self { quiet, marks }
    }

    /// The network.
    pub(super) fn opening(&mut self, lab: &Lab, instance: &str) {
        let Marks {
            upper,
            joint,
            lower,
            line,
            ..
        } = self.marks;
        let [alice, bob] = lab
            .lan_hosts()
            .map(|host| format!("{:<6}{}", host.name(), host.v4));
        self.say(format_args!(
            "{BOLD}imblock demo{BOLD:#}: a network of its own, with real connections"
        ));
        self.say(format_args!(""));
        self.say(format_args!("   {alice} {upper}"));
        self.say(format_args!(
            "   {:width$} {joint} lan0 [router] wan0 {line} server {}",
            "",
            lab.server.v4,
            width = alice.len() + 1
        ));
        self.say(format_args!("   {bob} {lower}"));
        self.say(format_args!(""));
        self.say(format_args!(
            "   {FAINT}Every command below runs with --instance {instance}.{FAINT:#}"
        ));
    }

    pub(super) fn step(&mut self, number: usize, title: &str) {
        self.say(format_args!(""));
        self.say(format_args!("{BOLD}{number}. {title}{BOLD:#}"));
    }

    pub(super) fn command(&mut self, command: &str) {
        self.say(format_args!("   {FAINT}router#{FAINT:#} {command}"));
    }

    pub(super) fn file(&mut self, name: &str, content: &str) {
        self.say(format_args!("   {FAINT}router#{FAINT:#} cat {name}"));
        self.output(content);
    }

    /// What a command printed.
    pub(super) fn output(&mut self, text: &str) {
        for line in text.lines() {
            self.say(format_args!("   {line}"));
        }
    }

    /// A line a host, a column a port; an answer that is not as it should be stands out.
    pub(super) fn matrix(&mut self, lab: &Lab, targets: &[Target], cells: &[Cell]) {
        let column = |target: &Target| {
            let name = target.service.as_deref().unwrap_or_default();
            name.len().max(target.port.len()) + 2
        };
        let header = |text: &dyn Fn(&Target) -> String| {
            let words = targets
                .iter()
                .map(|target| format!("{:<width$}", text(target), width = column(target)));
            words.collect::<String>().trim_end().to_owned()
        };
        let names = header(&|target| {
            target
                .service
                .clone()
                .unwrap_or_else(|| self.marks.line.to_owned())
        });
        let ports = header(&|target| target.port.clone());
        self.say(format_args!(""));
        self.say(format_args!("   {:<8}{names}", ""));
        self.say(format_args!("   {:<8}{FAINT}{ports}{FAINT:#}", ""));
        for host in lab.lan_hosts() {
            let row = self.row(host, cells, &column);
            self.say(format_args!("   {:<8}{}", host.name(), row.trim_end()));
        }
    }

    fn row(&self, host: &Host, cells: &[Cell], column: &dyn Fn(&Target) -> usize) -> String {
        let mut row = String::new();
        for cell in cells.iter().filter(|cell| cell.host == host.name()) {
            let (mark, style) = match (cell.reachable, cell.is_as_expected()) {
                (true, true) => (self.marks.yes.to_owned(), GREEN),
                (false, true) => (self.marks.no.to_owned(), RED),
                (true, false) => (format!("{}!", self.marks.yes), ALARM),
                (false, false) => (format!("{}!", self.marks.no), ALARM),
            };
            let pad = column(&cell.target).saturating_sub(mark.chars().count());
            row.push_str(&format!("{style}{mark}{style:#}{:pad$}", ""));
        }
        row
    }

    pub(super) fn audit(&mut self, audit: &Audit) {
        let (yes, no) = (self.marks.yes, self.marks.no);
        if audit.wrong.is_empty() {
            self.say(format_args!(
                "   {GREEN}{yes}{GREEN:#} {} counters fit the answers; hosts add up to the totals, byte by byte",
                audit.compared
            ));
        }
        for wrong in &audit.wrong {
            self.say(format_args!("   {ALARM}{no}{ALARM:#} {wrong}"));
        }
    }

    /// The last word.
    pub(super) fn end(&mut self, report: &Report) {
        if self.quiet {
            // Plain strings and numbers: there is nothing in a report that JSON cannot hold.
            if let Ok(json) = serde_json::to_string_pretty(report) {
                let _ = writeln!(std::io::stdout().lock(), "{json}");
            }
            return;
        }
        self.say(format_args!(""));
        if report.ok {
            let answers: usize = report.steps.iter().map(|step| step.cells.len()).sum();
            self.say(format_args!(
                "{GREEN}{}{GREEN:#} {answers} answers and {} counters as they should be, in {:.1} s; nothing is left behind",
                self.marks.yes, report.counters_compared, report.seconds
            ));
            return;
        }
        self.say(format_args!("{ALARM}not as it should be:{ALARM:#}"));
        for failure in &report.failures {
            self.say(format_args!("   {failure}"));
        }
    }

    /// A line. A reader that went away (`| head`) does not stop the demo from cleaning up.
    fn say(&self, line: std::fmt::Arguments<'_>) {
        if !self.quiet {
            let _ = writeln!(anstream::stdout(), "{line}");
        }
    }
}

/// POSIX: the first of these that is set and not empty decides.
fn locale_is_utf8() -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|value| !value.is_empty())
        .unwrap_or_default()
        .to_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}
