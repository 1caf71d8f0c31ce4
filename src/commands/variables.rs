//! The variables that `docs/configuration.md` lists, for the manual page.

/// The one list of them.
const PAGE: &str = include_str!("../../docs/configuration.md");

/// One row of a table of settings.
#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    /// `MCP_HOST`; several share a meaning in a few rows.
    pub variables: String,
    /// The value that counts where none is given.
    pub default: String,
    /// What it does.
    pub meaning: String,
}

/// Every row with a variable, in the order of the page.
pub fn all() -> Vec<Row> {
    let mut rows = Vec::new();
    let mut columns = Vec::new();
    for line in PAGE.lines() {
        let row = line.strip_prefix('|').and_then(|row| row.strip_suffix('|'));
        let Some(row) = row else {
            columns.clear();
            continue;
        };
        let cells: Vec<String> = row.split('|').map(|cell| plain(cell.trim())).collect();
        if columns.is_empty() {
            columns = cells;
            continue;
        }
        let cell = |name: &str| {
            let at = columns.iter().position(|column| column == name)?;
            cells.get(at).filter(|cell| !cell.is_empty()).cloned()
        };
        // The line of dashes below the head is no row.
        if let Some(variables) = cell("Variable").filter(|name| !name.starts_with('-')) {
            rows.push(Row {
                variables,
                default: cell("Default").unwrap_or_default(),
                meaning: cell("Meaning").unwrap_or_default(),
            });
        }
    }
    rows
}

/// Markdown's words without its marks; of a link its text.
fn plain(cell: &str) -> String {
    let mut text = String::with_capacity(cell.len());
    let mut rest = cell;
    while let Some((before, link)) = rest.split_once('[') {
        text.push_str(before);
        let parts = link
            .split_once("](")
            .and_then(|(words, target)| Some((words, target.split_once(')')?.1)));
        let (words, after) = parts.unwrap_or(("[", link));
        text.push_str(words);
        rest = after;
    }
    text.push_str(rest);
    // What only leads elsewhere says nothing without its link.
    text.replace('`', "").replace(" (why)", "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_read_by_the_heads_of_its_columns() {
        let rows = all();
        let of = |name: &str| rows.iter().find(|row| row.variables == name).unwrap();
        assert_eq!(of("MCP_PORT").default, "8000");
        assert_eq!(of("MCP_BACKGROUND").default, "on");
        let level = of("MCP_LOG_LEVEL");
        assert_eq!(level.default, "INFO");
        assert!(level.meaning.contains("CRITICAL"), "{level:?}");
        let is_name = |row: &Row| {
            row.variables
                .starts_with(|first: char| first.is_ascii_uppercase())
        };
        assert!(rows.iter().all(is_name), "{rows:?}");
    }

    #[test]
    fn a_link_is_its_text() {
        assert_eq!(
            plain("for [load `x`](a.md#b) and [y](z)."),
            "for load x and y."
        );
        assert_eq!(plain("[::1] and a[0]"), "[::1] and a[0]");
    }
}
