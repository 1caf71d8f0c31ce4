//! Columns of text, as wide as the terminal where there is one.

use std::io::IsTerminal as _;

use terminal_size::{Width, terminal_size};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::commands::setup::{NAME, painted, say_painted};
use crate::text::shown;

/// The last column gets as much of a line at least.
const MIN_LAST: usize = 20;
/// Other columns get as much at most.
const MAX_WIDTH: usize = 44;
/// Between columns.
const GAP: usize = 2;
/// The longest text of a cell, in characters.
const MAX_TEXT: usize = 1_000;

/// Rows of four cells. The last column takes what is left of the line.
pub(super) struct Table {
    head: [&'static str; 4],
    rows: Vec<[String; 4]>,
}

impl Table {
    /// A table without rows.
    pub(super) fn new(head: [&'static str; 4]) -> Self {
        Self {
            head,
            rows: Vec::new(),
        }
    }

    /// One more row.
    pub(super) fn row(&mut self, cells: [String; 4]) {
        self.rows.push(cells.map(|cell| shown(&cell, MAX_TEXT)));
    }

    /// Whether there is no row.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Prints it. Where nobody looks at it, nothing is cut.
    pub(super) fn print(&self) {
        let size = std::io::stdout()
            .is_terminal()
            .then(terminal_size)
            .flatten();
        for line in self.lines(size.map(|(Width(width), _)| width.into())) {
            say_painted(line);
        }
    }

    fn lines(&self, width: Option<usize>) -> Vec<String> {
        let column = |index: usize| {
            let cells = self.rows.iter().map(|row| row[index].width());
            let widest = cells.chain([self.head[index].width()]).max().unwrap_or(0);
            match width {
                // Names are for copying: they are never cut.
                Some(_) if index > 0 => widest.min(MAX_WIDTH),
                _ => widest,
            }
        };
        let widths = [0, 1, 2].map(column);
        let before = widths.iter().map(|width| width + GAP).sum::<usize>();
        let last = width.map(|width| width.saturating_sub(before).max(MIN_LAST));
        let line = |cells: [&str; 4], is_head: bool| {
            let mut line = String::new();
            for (index, (cell, width)) in cells.into_iter().zip(widths).enumerate() {
                let cell = if index == 0 {
                    cell.to_owned()
                } else {
                    cut(cell, width)
                };
                let pad = " ".repeat((width + GAP).saturating_sub(cell.width()));
                let cell = match is_head || index == 0 {
                    true => painted(NAME, &cell),
                    false => cell,
                };
                line.push_str(&cell);
                line.push_str(&pad);
            }
            let text = last.map_or(cells[3].to_owned(), |last| cut(cells[3], last));
            line.push_str(&text);
            line.trim_end().to_owned()
        };
        let rows = self.rows.iter();
        let rows = rows.map(|row| line([&row[0], &row[1], &row[2], &row[3]], false));
        [line(self.head, true)].into_iter().chain(rows).collect()
    }
}

/// The beginning of a text that is so many columns wide.
fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut left = width.saturating_sub(1);
    let fits = |letter: &char| {
        let needed = letter.width().unwrap_or(0);
        let fits = needed <= left;
        left = left.saturating_sub(needed);
        fits
    };
    let mut cut: String = text.chars().take_while(fits).collect();
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(width: Option<usize>) -> Vec<String> {
        let mut table = Table::new(["A", "B", "C", "D"]);
        let long = "word ".repeat(30);
        table.row([
            "name__of".to_owned(),
            "漢字".to_owned(),
            "c".to_owned(),
            long,
        ]);
        table.row([
            "n".to_owned(),
            String::new(),
            "c".to_owned(),
            "short".to_owned(),
        ]);
        let lines = table.lines(width).into_iter();
        lines
            .map(|line| anstream::adapter::strip_str(&line).to_string())
            .collect()
    }

    #[test]
    fn columns_stand_below_each_other_whatever_the_script() {
        let lines = lines(None);
        let column = |line: &str, word: &str| line[..line.find(word).expect("it is there")].width();
        assert_eq!(column(&lines[0], "D"), column(&lines[1], "word"));
        assert_eq!(column(&lines[0], "D"), column(&lines[2], "short"));
        assert!(lines[1].ends_with("word"), "nothing is cut: {}", lines[1]);
    }

    #[test]
    fn a_line_is_no_wider_than_the_terminal_but_for_what_must_not_be_cut() {
        for line in lines(Some(50)) {
            assert!(line.width() <= 50, "{line}");
        }
        assert!(lines(Some(10))[1].starts_with("name__of  漢字  c  "));
    }
}
