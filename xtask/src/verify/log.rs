//! What the verifier says of a program that it accepts, at log level 4.

/// The figures of one program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    /// Instructions walked, on all paths together.
    pub(super) steps: u32,
    /// States that it kept to compare later ones with.
    pub(super) states: u32,
    /// The most states that it held at the same time.
    pub(super) peak_states: u32,
    /// Bytes of stack of each function, in the order in which they lie in the program.
    pub(super) stacks: Vec<u32>,
}

/// Reads the figures out of a log:
///
/// ```text
/// stack depth 232+0+96
/// processed 548790 insns (limit 1000000) max_states_per_insn 39 total_states 9871 peak_states 5602 mark_read 0
/// ```
///
/// `None` where a figure is missing.
pub(super) fn parse(log: &str) -> Option<Said> {
    let depths = log
        .lines()
        .find_map(|line| line.strip_prefix("stack depth "))?;
    let summary = log.lines().find(|line| line.starts_with("processed "))?;
    let after = |word: &str| {
        let mut words = summary.split_whitespace();
        words.find(|found| *found == word)?;
        words.next()?.parse().ok()
    };
    Some(Said {
        steps: after("processed")?,
        states: after("total_states")?,
        peak_states: after("peak_states")?,
        stacks: depths
            .trim()
            .split('+')
            .map(|depth| depth.parse().ok())
            .collect::<Option<_>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "verification time 431102 usec\nstack depth 232+0+96\n\
        processed 548790 insns (limit 1000000) max_states_per_insn 39 total_states 9871 \
        peak_states 5602 mark_read 0\n";

    #[test]
    fn every_figure_is_found() {
        let said = Said {
            steps: 548_790,
            states: 9871,
            peak_states: 5602,
            stacks: vec![232, 0, 96],
        };
        assert_eq!(parse(LOG), Some(said));
    }

    #[test]
    fn half_a_log_says_nothing() {
        assert_eq!(parse(&LOG.replace("stack depth", "depth")), None);
        assert_eq!(parse(&LOG.replace("peak_states", "peak")), None);
        assert_eq!(parse(&LOG.replace("232+", "232+x+")), None);
        assert_eq!(parse(""), None);
    }
}
