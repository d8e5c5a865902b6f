//! Words to the operator, on the standard error.
//!
//! Invariant: a standard error that nobody reads ends nothing. `eprintln!` would panic, and with it
//! the controller, when its log reader restarts.

use std::fmt::{self, Display};
use std::io::{self, IsTerminal as _, Write as _};

use super::CommandError;
use crate::policy::PolicyErrors;

/// Columns of a report.
const WIDTH: usize = 100;

/// Says one thing.
pub(super) fn say(words: impl Display) {
    let _ = writeln!(io::stderr(), "imblock: {words}");
}

/// Says what the operator should know although it worked.
pub(super) fn warn_of(warnings: &[String]) {
    for warning in warnings {
        say(format_args!("warning: {warning}"));
    }
}

/// Trouble with something that is tried again and again: it is told when it begins and when it is over,
/// and not each time.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    told: bool,
}

impl Trouble {
    /// Whether the operator does not know yet that it works now, or that it does not.
    pub(super) fn is_news(&mut self, works: bool) -> bool {
        let is_news = works == self.told;
        self.told = !works;
        is_news
    }
}

/// Prints an error with its causes; policy errors with the lines they are about.
pub fn complain(error: &CommandError) {
    match error {
        CommandError::Policy(errors) => report(errors),
        _ => say(WithCauses(error)),
    }
}

/// Prints policy errors the way a person at a terminal wants them.
pub(super) fn report(errors: &PolicyErrors) {
    let colour =
        io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|no| no.is_empty());
    let _ = io::stderr().write_all(errors.report(WIDTH, colour).as_bytes());
}

/// An error and what led to it, in one line.
struct WithCauses<'a>(&'a CommandError);

impl Display for WithCauses<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let causes = anyhow::Chain::new(self.0).map(ToString::to_string);
        // Some errors already tell their cause in their own sentence.
        let said = causes.fold(String::new(), |said, cause| match said.as_str() {
            "" => cause,
            _ if said.contains(&cause) => said,
            _ => format!("{said}: {cause}"),
        });
        f.write_str(&said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_news_when_it_begins_and_when_it_is_over() {
        let mut trouble = Trouble::default();
        let attempts = [true, false, false, false, true, true, false];
        let news = attempts.map(|works| trouble.is_news(works));
        assert_eq!(news, [false, true, false, false, true, false, true]);
    }
}
