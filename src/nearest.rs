//! What somebody may have meant who wrote a name that is none.

/// The known name closest to `word`, if one is close enough to be what was meant.
pub(crate) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let lower = word.to_lowercase().replace(['-', '_', ' '], "");
    let distances = known.iter().map(|name| (distance(&lower, &name.to_lowercase().replace('-', "")), *name));
    let (distance, name) = distances.min_by_key(|(distance, _)| *distance)?;
    // A third of the letters may be wrong; beyond that the suggestion would mislead.
    (distance <= (name.len() / 3).max(1)).then_some(name)
}

/// Optimal string alignment: insertions, deletions, substitutions and swaps of neighbours.
fn distance(a: &str, b: &str) -> usize {
    // A name nobody would have typed is not worth a quadratic comparison.
    const LONGEST: usize = 64;
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len() > LONGEST || b.len() > LONGEST {
        return usize::MAX;
    }
    let mut rows = vec![(0..=b.len()).collect::<Vec<_>>()];
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let mut best = (rows[i][j] + usize::from(x != y)).min(rows[i][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                best = best.min(rows[i - 1][j - 1] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_errors_are_understood_and_strange_words_are_not() {
        let known = ["healthCheckInterval", "port", "host", "name", "naming", "mcpServers", "round-robin"];
        let cases = [
            ("helthCheckInterval", Some("healthCheckInterval")),
            ("health_check_interval", Some("healthCheckInterval")),
            ("prot", Some("port")),
            ("Name", Some("name")),
            ("mcpservers", Some("mcpServers")),
            ("roundRobin", Some("round-robin")),
            ("tls", None),
            ("", None),
        ];
        for (word, expected) in cases {
            assert_eq!(nearest(word, &known), expected, "{word}");
        }
        assert_eq!(nearest(&"port".repeat(100), &known), None);
    }
}
