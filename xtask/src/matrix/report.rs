//! What a guest says: a section a step, `@begin NAME` to `@end STATUS`.

/// A step that was taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) name: String,
    pub(super) text: String,
    /// The exit code; none if the guest ended meanwhile.
    pub(super) status: Option<i32>,
}

impl Section {
    pub(super) fn succeeded(&self) -> bool {
        self.status == Some(0)
    }

    /// The last lines, for an error.
    pub(super) fn tail(&self, lines: usize) -> String {
        let all: Vec<&str> = self
            .text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .collect();
        let from = all.len().saturating_sub(lines);
        all.get(from..).unwrap_or_default().join("\n")
    }
}

/// The sections of a report, in order. What stands outside of any is nobody's.
pub(super) fn sections(report: &str) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    let mut open = false;
    for line in report.lines() {
        let line = line.trim_end_matches('\r');
        if let Some(name) = line.strip_prefix("@begin ") {
            open = true;
            sections.push(Section {
                name: name.to_owned(),
                text: String::new(),
                status: None,
            });
            continue;
        }
        let Some(section) = sections.last_mut().filter(|_| open) else {
            continue;
        };
        if let Some(status) = line.strip_prefix("@end ") {
            section.status = status.parse().ok();
            open = false;
        } else {
            section.text.push_str(line);
            section.text.push('\n');
        }
    }
    sections
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read_step_by_step() {
        let report =
            "noise\r\n@begin up\r\nattached\r\nto lan0\r\n@end 0\r\nnoise\n@begin demo\nworks";
        let [up, demo] = &sections(report)[..] else {
            unreachable!("two sections");
        };
        assert_eq!(
            (up.name.as_str(), up.text.as_str()),
            ("up", "attached\nto lan0\n")
        );
        assert!(up.succeeded());
        assert_eq!((demo.status, demo.text.as_str()), (None, "works\n"));
        assert!(!demo.succeeded());
        assert_eq!(up.tail(1), "to lan0");
    }

    #[test]
    fn a_silent_guest_has_no_sections() {
        assert!(sections("").is_empty());
        assert!(sections("@end 0\n").is_empty());
    }
}
