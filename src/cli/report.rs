use super::error::plain;
use serde::{Serialize, Serializer};
use std::{collections::HashMap, fmt, time::Duration};

/// What is printed of one server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Row {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) transport: &'static str,
    pub(super) status: String,
    /// How many tools it has, once they have been listed.
    pub(super) tools: Option<usize>,
    #[serde(rename = "latencyMs", serialize_with = "ms")]
    pub(super) latency: Option<Duration>,
    pub(super) error: Option<String>,
}

fn ms<S: Serializer>(latency: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    latency.map(|latency| latency.as_millis()).serialize(serializer)
}

impl Row {
    /// Whether it is known what has become of the server, as opposed to being on its way.
    fn is_known(&self) -> bool {
        match self.status.as_str() {
            "registered" | "connecting" => false,
            // Its tools follow in a moment, or the reason why they cannot be had.
            "connected" => self.tools.is_some() || self.error.is_some(),
            _ => true,
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, name, transport, status, tools, latency, error } = self;
        write!(f, "{id:<16} {name:<16} {transport:<6} {status:<11}")?;
        if let ("connected", Some(tools)) = (status.as_str(), tools) {
            let plural = if *tools == 1 { " " } else { "s" };
            write!(f, " {tools:>4} tool{plural}")?;
            if let Some(latency) = latency {
                write!(f, " {:>6} ms", latency.as_millis())?;
            }
        }
        match error {
            // Of a server that was told to stop, what was wrong with it is no news; nor of one that has its tools.
            Some(error) if status != "stopped" && (status != "connected" || tools.is_none()) => {
                write!(f, " {}", plain(error))
            }
            _ => Ok(()),
        }
    }
}

/// Decides which servers there is news of.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// The status each server was last printed with.
    printed: HashMap<String, String>,
}

impl Report {
    /// The rows to print: servers whose fate became known, or whose status changed since.
    pub(super) fn news(&mut self, rows: Vec<Row>) -> Vec<Row> {
        self.printed.retain(|id, _| rows.iter().any(|row| row.id == *id));
        // One that is replaced finishes its calls beside its successor, which is the one that serves.
        let (stopped, mut news): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.status == "stopped");
        let alone = |row: &Row| !news.iter().any(|other| other.id == row.id);
        let stopped: Vec<_> = stopped.into_iter().filter(alone).collect();
        news.extend(stopped);
        news.retain(|row| row.is_known() && self.printed.get(&row.id) != Some(&row.status));
        for row in &news {
            self.printed.insert(row.id.clone(), row.status.clone());
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: &str, status: &str) -> Row {
        Row {
            id: id.into(),
            name: "search".into(),
            transport: "sse",
            status: status.into(),
            tools: Some(2),
            latency: None,
            error: None,
        }
    }

    #[test]
    fn a_server_is_news_when_its_fate_is_known_and_when_it_changes() {
        let mut report = Report::default();
        let mut ids = |rows: &[(&str, &str)]| -> Vec<String> {
            let rows = rows.iter().map(|(id, status)| row(id, status)).collect();
            report.news(rows).into_iter().map(|row| row.id).collect()
        };
        assert!(ids(&[("a", "registered"), ("b", "connecting")]).is_empty());
        assert_eq!(ids(&[("a", "connected"), ("b", "connecting")]), ["a"]);
        assert_eq!(ids(&[("a", "connected"), ("b", "error")]), ["b"]);
        assert_eq!(ids(&[("a", "error"), ("b", "error")]), ["a"]);
        assert!(ids(&[("a", "connecting"), ("b", "error")]).is_empty());
        assert_eq!(ids(&[("a", "connected")]), ["a"]);
        assert_eq!(ids(&[("a", "connected"), ("b", "error")]), ["b"], "a server that left and came back");
        assert!(ids(&[("a", "stopped"), ("a", "connected"), ("b", "error")]).is_empty(), "one that finishes its calls");
        assert_eq!(ids(&[("a", "stopped"), ("b", "error")]), ["a"]);
    }

    #[test]
    fn rows_line_up_and_hold_no_control_character() {
        let mut well = row("search-1", "connected");
        well.latency = Some(Duration::from_millis(12));
        assert_eq!(well.to_string(), "search-1         search           sse    connected      2 tools     12 ms");
        let mut ill = row("search-2", "error");
        ill.error = Some("refused\n\u{1b}[2J".into());
        assert_eq!(ill.to_string(), "search-2         search           sse    error       refused  [2J");
    }
}
