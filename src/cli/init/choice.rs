use crate::cli::{apps::Found, table};
use std::io::{self, BufRead, Write};

/// Asks which of the servers are wanted: their places in `found`, or `None` if nobody wants to answer.
pub(super) fn ask(found: &[Found], from: &mut impl BufRead, to: &mut impl Write) -> io::Result<Option<Vec<usize>>> {
    let rows: Vec<_> = found
        .iter()
        .enumerate()
        .map(|(at, found)| {
            let file = found.file.display().to_string();
            vec![(at + 1).to_string(), found.name.clone(), found.app.name().to_owned(), file]
        })
        .collect();
    write!(to, "{}", table::render(&["", "SERVER", "CLIENT", "FILE"], &rows))?;
    loop {
        write!(to, "Which of them? Numbers such as 1,3-4, or `all` [all]: ")?;
        to.flush()?;
        let mut line = String::new();
        if from.read_line(&mut line)? == 0 {
            writeln!(to)?;
            return Ok(None);
        }
        match read(line.trim(), found.len()) {
            Some(chosen) => return Ok(Some(chosen)),
            None => writeln!(to, "Write numbers from 1 to {} with commas between, or `all`.", found.len())?,
        }
    }
}

fn read(line: &str, count: usize) -> Option<Vec<usize>> {
    if line.is_empty() || line.eq_ignore_ascii_case("all") {
        return Some((0..count).collect());
    }
    let mut chosen = Vec::new();
    for part in line.split([',', ' ']).filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (first.parse::<usize>().ok()?, last.parse::<usize>().ok()?);
        if first == 0 || first > last || last > count {
            return None;
        }
        chosen.extend(first - 1..last);
    }
    Some(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_ranges_and_all_are_understood() {
        for (line, chosen) in [
            ("", Some(vec![0, 1, 2])),
            ("All", Some(vec![0, 1, 2])),
            ("1, 3", Some(vec![0, 2])),
            ("2-3", Some(vec![1, 2])),
            ("0", None),
            ("4", None),
            ("3-2", None),
            ("files", None),
        ] {
            assert_eq!(read(line, 3), chosen, "{line}");
        }
    }
}
