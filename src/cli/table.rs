//! Columns of text that line up.

/// Renders rows under a header; every column is as wide as its widest cell, and no line ends in spaces.
///
/// Cells may quote what a server sent: control characters become spaces, so that none reaches the terminal.
pub(super) fn render(header: &[&str], rows: &[Vec<String>]) -> String {
    let cell = |text: &str| text.replace(char::is_control, " ");
    let header = header.iter().map(|title| (*title).to_owned()).collect();
    let lines: Vec<Vec<String>> = [&header]
        .into_iter()
        .chain(rows)
        .map(|row: &Vec<String>| row.iter().map(|text| cell(text)).collect())
        .collect();
    let widths: Vec<usize> = (0..lines[0].len())
        .map(|column| {
            lines.iter().filter_map(|line| line.get(column)).map(|text| text.chars().count()).max().unwrap_or(0)
        })
        .collect();
    let mut out = String::new();
    for line in lines {
        let padded = line.iter().zip(&widths).map(|(text, width)| format!("{text:<width$}"));
        out.push_str(padded.collect::<Vec<_>>().join("  ").trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_hold_no_control_character() {
        let rows = [vec!["search".into(), "ü\u{1b}[2J".into()], vec!["b".into(), String::new()]];
        assert_eq!(render(&["ID", "WHAT"], &rows), "ID      WHAT\nsearch  ü [2J\nb\n");
    }
}
