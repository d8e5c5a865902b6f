//! Aligned tables.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

/// What was refused, and what is broken.
pub const RED: Style = AnsiColor::Red.on_default();
/// What somebody should look at.
pub const YELLOW: Style = AnsiColor::Yellow.on_default();
/// Titles.
pub const BOLD: Style = Style::new().bold();
/// What is not there.
pub const DIM: Style = Style::new().dimmed();

/// Between columns.
const GAP: &str = "  ";

/// A table; each row has a cell a column.
#[derive(Debug)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

/// A column.
#[derive(Clone, Debug)]
pub struct Column {
    title: String,
    /// What neighbouring columns have in common, shown once above them; empty for nothing.
    group: &'static str,
    align: Align,
}

/// Text lines up on the left, numbers on the right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Align {
    Left,
    Right,
}

/// A cell.
#[derive(Clone, Debug)]
pub struct Cell {
    text: String,
    style: Style,
}

impl Column {
    /// A column of text.
    pub fn text(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            group: "",
            align: Align::Left,
        }
    }

    /// A column of numbers.
    pub fn number(title: impl Into<String>) -> Self {
        Self {
            align: Align::Right,
            ..Self::text(title)
        }
    }

    /// A column of numbers under a common title.
    pub fn number_in(group: &'static str, title: impl Into<String>) -> Self {
        Self {
            group,
            ..Self::number(title)
        }
    }
}

impl Cell {
    /// Text from anywhere: control characters are replaced.
    pub fn text(text: impl AsRef<str>) -> Self {
        Self {
            text: printable(text.as_ref()),
            style: Style::new(),
        }
    }

    /// For what is not there.
    pub fn none() -> Self {
        Self::text("-").style(DIM)
    }

    /// An exact number; a dash for zero, so that the others stand out.
    pub fn count(count: u64) -> Self {
        if count == 0 {
            Self::none()
        } else {
            Self::text(count.to_string())
        }
    }

    /// Bytes in human units; a dash for zero.
    pub fn bytes(bytes: u64) -> Self {
        if bytes == 0 {
            Self::none()
        } else {
            Self::text(super::units::bytes(bytes))
        }
    }

    /// The same in another style.
    #[must_use]
    pub fn style(self, style: Style) -> Self {
        Self { style, ..self }
    }

    /// The same in another style, unless there is nothing.
    #[must_use]
    pub fn style_unless_none(self, style: Style) -> Self {
        if self.text == "-" {
            self
        } else {
            self.style(style)
        }
    }

    fn width(&self) -> usize {
        self.text.chars().count()
    }
}

/// Text that can't steer a terminal.
pub fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

impl Table {
    /// An empty table.
    pub fn new(columns: Vec<Column>) -> Self {
        Self {
            columns,
            rows: Vec::new(),
        }
    }

    /// Adds a row at the end.
    pub fn row(&mut self, cells: Vec<Cell>) {
        debug_assert_eq!(cells.len(), self.columns.len());
        self.rows.push(cells);
    }

    /// Writes the titles and the rows, without trailing blanks.
    pub fn write(&self, to: &mut dyn Write) -> io::Result<()> {
        let widths = self.widths();
        // In one piece: standard output writes line by line, and there can be 100,000.
        let mut text = Vec::new();
        self.write_groups(&widths, &mut text)?;
        let titles: Vec<Cell> = self
            .columns
            .iter()
            .map(|column| Cell::text(&column.title).style(BOLD))
            .collect();
        self.write_row(&titles, &widths, &mut text)?;
        for row in &self.rows {
            self.write_row(row, &widths, &mut text)?;
        }
        to.write_all(&text)
    }

    fn widths(&self) -> Vec<usize> {
        let mut widths: Vec<usize> = self
            .columns
            .iter()
            .map(|column| column.title.chars().count())
            .collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.width().max(*width);
            }
        }
        self.make_room_for_groups(&mut widths);
        widths
    }

    /// Widens the last column of a common title that is longer than its columns together.
    fn make_room_for_groups(&self, widths: &mut [usize]) {
        let mut span = 0_usize;
        let mut columns = self.columns.iter().zip(widths).peekable();
        while let Some((column, width)) = columns.next() {
            span += *width;
            if columns.peek().map(|(next, _)| next.group) == Some(column.group) {
                span += GAP.len();
            } else {
                *width += column.group.chars().count().saturating_sub(span);
                span = 0;
            }
        }
    }

    /// The common titles, each at the right end of its columns, where their numbers end too.
    fn write_groups(&self, widths: &[usize], to: &mut dyn Write) -> io::Result<()> {
        if self.columns.iter().all(|column| column.group.is_empty()) {
            return Ok(());
        }
        let mut line = String::new();
        let mut end = 0_usize;
        let mut columns = self.columns.iter().zip(widths).peekable();
        while let Some((column, width)) = columns.next() {
            end += width;
            let next = columns.peek().map(|(next, _)| next.group);
            if !column.group.is_empty() && next != Some(column.group) {
                let room = end.saturating_sub(line.chars().count());
                line.push_str(&format!("{:>room$}", column.group));
            }
            end += GAP.len();
        }
        writeln!(to, "{BOLD}{line}{BOLD:#}")
    }

    fn write_row(&self, row: &[Cell], widths: &[usize], to: &mut dyn Write) -> io::Result<()> {
        let mut blanks = 0;
        for ((cell, column), width) in row.iter().zip(&self.columns).zip(widths) {
            let padding = width.saturating_sub(cell.width());
            if column.align == Align::Right {
                blanks += padding;
            }
            let style = cell.style;
            write!(to, "{:blanks$}{style}{}{style:#}", "", cell.text)?;
            // Owed, and paid only if something follows.
            blanks = GAP.len();
            if column.align == Align::Left {
                blanks += padding;
            }
        }
        writeln!(to)
    }
}
