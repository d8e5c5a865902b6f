//! What test binaries print: which tests passed, which failed, and how many.

use std::collections::BTreeSet;

use super::Summary;

/// What all binaries of a run printed.
#[derive(Debug, Default)]
pub(super) struct Printed {
    /// The sum of their results.
    pub(super) summary: Summary,
    /// Tests that were said to be `ok`.
    pub(super) passes: BTreeSet<String>,
    /// Tests that a binary listed as failed at its end.
    pub(super) failures: BTreeSet<String>,
    /// Whether cargo ended without an error.
    pub(super) succeeded: bool,
    /// The names behind the latest `failures:`. A binary says that twice: before what the tests
    /// printed, and before their names.
    listed: Vec<String>,
}

impl Printed {
    pub(super) fn take_line(&mut self, line: &str) {
        if line == "failures:" || line.starts_with("running ") {
            self.listed.clear();
        } else if line.starts_with("test result: ") {
            self.summary.add_result_line(line);
            self.failures.extend(self.listed.drain(..));
        } else if let Some(name) = line.strip_prefix("    ") {
            self.listed.push(name.to_owned());
        } else if let Some(name) = line
            .strip_prefix("test ")
            .and_then(|line| line.strip_suffix(" ... ok"))
        {
            self.passes.insert(name.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(text: &str) -> Printed {
        let mut printed = Printed::default();
        text.lines().for_each(|line| printed.take_line(line));
        printed
    }

    #[test]
    fn failures_are_those_listed_at_the_end_of_a_binary() {
        let printed = printed(
            "test a::passes ... ok\n\
             test a::fails ... FAILED\n\
             \n\
             failures:\n\
             \n\
             ---- a::fails stdout ----\n\
             thread 'a::fails' panicked at a.rs:1:1:\n    \
                 not a name\n\
             \n\
             failures:\n    \
                 a::fails\n\
             \n\
             test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out\n    \
                 nor this\n\
             running 1 test\n\
             test b ... ok\n\
             test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n",
        );
        assert_eq!(printed.failures, BTreeSet::from(["a::fails".to_owned()]));
        let passes = ["a::passes", "b"].map(str::to_owned);
        assert_eq!(printed.passes, BTreeSet::from(passes));
        assert_eq!(printed.summary.to_string(), "2 passed, 1 failed, 0 skipped");
    }
}
