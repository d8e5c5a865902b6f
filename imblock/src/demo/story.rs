//! The story, step by step: what is typed at the router, and who reaches what afterwards.

use std::thread;
use std::time::Duration;

use super::DemoError;
use super::counters::{Audit, HostsDocument, ServicesDocument, audit};
use super::interrupt::Interrupt;
use super::matrix::{Cell, Target, ask, listening, targets};
use super::operator::Operator;
use super::report::{Report, Step};
use super::screen::Screen;
use crate::lab::{EchoServer, Lab};

/// The file that the third step applies.
const SUPPORT: &str = "support.yaml";

/// How often, and how long apart, the counters are read until the last packets are in.
const AUDITS: usize = 10;
const AUDIT_PAUSE: Duration = Duration::from_millis(50);

/// How a step is told.
type Telling<'a> = fn(&mut Story<'a>) -> Result<(), DemoError>;

/// The demo under way.
pub(super) struct Story<'a> {
    lab: &'a Lab,
    operator: &'a Operator<'a>,
    interrupt: &'a Interrupt,
    screen: &'a mut Screen,
    keep_going: bool,
    /// Answers as long as the story lasts.
    _server: EchoServer,
    targets: Vec<Target>,
    /// Every answer while the instance was up.
    asked: Vec<Cell>,
    steps: Vec<Step>,
    counters_compared: usize,
    failures: Vec<String>,
}

impl<'a> Story<'a> {
    pub(super) fn new(
        lab: &'a Lab,
        operator: &'a Operator<'a>,
        interrupt: &'a Interrupt,
        screen: &'a mut Screen,
        keep_going: bool,
    ) -> Result<Self, DemoError> {
        Ok(Self {
            lab,
            operator,
            interrupt,
            screen,
            keep_going,
            _server: EchoServer::start(&lab.server, &listening())?,
            targets: Vec::new(),
            asked: Vec::new(),
            steps: Vec::new(),
            counters_compared: 0,
            failures: Vec::new(),
        })
    }

    /// Tells it to the end, or to the first thing that is not as it should be.
    pub(super) fn tell(&mut self) -> Result<(), DemoError> {
        self.screen.opening(self.lab, self.operator.instance());
        let steps: [Telling<'a>; 6] = [
            Self::watch,
            Self::block,
            Self::exempt,
            Self::give_back,
            Self::count,
            Self::leave,
        ];
        for step in steps {
            self.interrupt.check()?;
            step(self)?;
            if !self.failures.is_empty() && !self.keep_going {
                break;
            }
        }
        // A signal that came in the last step is still obeyed.
        self.interrupt.check()
    }

    pub(super) fn into_report(self, took: Duration) -> Report {
        Report {
            version: 1,
            instance: self.operator.instance().to_owned(),
            ok: self.failures.is_empty(),
            seconds: took.as_secs_f64(),
            steps: self.steps,
            counters_compared: self.counters_compared,
            failures: self.failures,
        }
    }

    fn watch(&mut self) -> Result<(), DemoError> {
        self.step("Watch: everything is counted, nothing is refused");
        self.type_in(&["up", "-i", Lab::LAN])?;
        let services: ServicesDocument = self.operator.read("services")?;
        self.targets = targets(&services)?;
        self.round(|_, _| true)
    }

    fn block(&mut self) -> Result<(), DemoError> {
        self.step("Block every messenger; what is not a messenger goes on");
        self.type_in(&["block", "category:im"])?;
        self.round(|_, service| service.is_none())
    }

    fn exempt(&mut self) -> Result<(), DemoError> {
        self.step("Bob works in support, and may chat");
        let policy = support_policy(self.lab);
        self.operator.write(SUPPORT, &policy)?;
        self.screen.file(SUPPORT, &policy);
        self.type_in(&["policy", "apply", SUPPORT])?;
        self.type_in(&["allow", "category:im", "--group", "support"])?;
        self.round(|host, service| service.is_none() || host == "bob")
    }

    fn give_back(&mut self) -> Result<(), DemoError> {
        self.step("Give one service back to everybody");
        self.type_in(&["allow", "irc"])?;
        self.round(|host, service| matches!(service, None | Some("irc")) || host == "bob")
    }

    fn count(&mut self) -> Result<(), DemoError> {
        self.step("Who used what, packet by packet");
        let table = self.type_in(&["hosts"])?;
        self.screen.output(&table);
        let audit = self.settled_audit()?;
        self.counters_compared = audit.compared;
        self.screen.audit(&audit);
        self.failures.extend(audit.wrong);
        Ok(())
    }

    fn leave(&mut self) -> Result<(), DemoError> {
        self.step("Leave: the router is what it was");
        self.type_in(&["down"])?;
        if self.operator.is_up()? {
            self.failures
                .push("the instance is still up after `imblock down`".to_owned());
        }
        let before = self.asked.len();
        self.round(|_, _| true)?;
        // These were not counted by anybody.
        self.asked.truncate(before);
        Ok(())
    }

    fn step(&mut self, title: &str) {
        self.screen.step(self.steps.len() + 1, title);
        self.steps.push(Step {
            title: title.to_owned(),
            commands: Vec::new(),
            cells: Vec::new(),
        });
    }

    /// Shows a command, runs it, and gives what it printed.
    fn type_in(&mut self, arguments: &[&str]) -> Result<String, DemoError> {
        self.interrupt.check()?;
        let command = format!("imblock {}", arguments.join(" "));
        self.screen.command(&command);
        if let Some(step) = self.steps.last_mut() {
            step.commands.push(command);
        }
        self.operator.run(arguments)
    }

    /// Asks every port from every host, and holds the answers against what the step promises.
    fn round(&mut self, expected: impl Fn(&str, Option<&str>) -> bool) -> Result<(), DemoError> {
        let cells = ask(self.lab, &self.targets, expected)?;
        self.screen.matrix(self.lab, &self.targets, &cells);
        for cell in cells.iter().filter(|cell| !cell.is_as_expected()) {
            let (is, should) = match cell.reachable {
                true => ("answers", "should not"),
                false => ("does not answer", "should"),
            };
            let step = self.steps.len();
            let port = &cell.target.port;
            self.failures.push(format!(
                "step {step}: {port} {is} {}, but {should}",
                cell.host
            ));
        }
        self.asked.extend(cells.iter().cloned());
        if let Some(step) = self.steps.last_mut() {
            step.cells = cells;
        }
        Ok(())
    }

    /// Compares the counters. The last acknowledgements of a closed connection may still be on
    /// their way, so what does not fit is read again for a moment.
    fn settled_audit(&self) -> Result<Audit, DemoError> {
        let mut found = Audit::default();
        for _ in 0..AUDITS {
            let hosts: HostsDocument = self.operator.read("hosts")?;
            let services: ServicesDocument = self.operator.read("services")?;
            found = audit(self.lab, &self.asked, &hosts, &services);
            if found.wrong.is_empty() {
                break;
            }
            self.interrupt.check()?;
            thread::sleep(AUDIT_PAUSE);
        }
        Ok(found)
    }
}

/// The embedded `audit` policy, with a group.
fn support_policy(lab: &Lab) -> String {
    format!(
        "version: 1\nname: demo\ndefaults: {{ action: count }}\ngroups:\n  support: [{}/32]\n",
        lab.bob.v4
    )
}
