//! How fields are written into the log.

use std::{error::Error, fmt};
use tracing::field::{Field, Visit};
use tracing_subscriber::{
    field::RecordFields,
    fmt::{FormatFields, format::Writer},
};

/// Writes fields as `name=value` with nothing in them that a terminal or a reader of lines would obey.
///
/// Much of what is logged was said by others: names of tools, lines of a child's stderr, errors of servers. A line feed in
/// one would begin a line that nobody logged, and an escape sequence could hide or change what stands before it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fields;

impl<'a> FormatFields<'a> for Fields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'a>, fields: R) -> fmt::Result {
        let mut line = Line { writer, is_first: true, written: Ok(()) };
        fields.record(&mut line);
        line.written
    }
}

struct Line<'a> {
    writer: Writer<'a>,
    is_first: bool,
    written: fmt::Result,
}

impl Line<'_> {
    fn write(&mut self, field: &Field, value: &dyn fmt::Display) {
        use fmt::Write;
        let space = if std::mem::take(&mut self.is_first) { "" } else { " " };
        let name = field.name();
        self.written = self.written.and_then(|()| match name {
            "message" => write!(self.writer, "{space}"),
            _ => write!(self.writer, "{space}{name}="),
        });
        self.written = self.written.and_then(|()| write!(Escaping(&mut self.writer), "{value}"));
    }
}

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.write(field, &format_args!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.write(field, &value),
            _ => self.write(field, &format_args!("{value:?}")),
        }
    }

    /// An error with those that caused it.
    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let mut text = value.to_string();
        let mut cause = value.source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        self.write(field, &text);
    }
}

/// Hands text on with control characters, and those that turn the direction of a line, as escapes.
struct Escaping<W>(W);

impl<W: fmt::Write> fmt::Write for Escaping<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|c| match is_obeyed(c) {
            true => write!(self.0, "{}", c.escape_default()),
            false => self.0.write_char(c),
        })
    }
}

fn is_obeyed(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn whatever_is_logged_stays_one_line_of_plain_text() {
        let kept = Kept::default();
        let out = kept.clone();
        let subscriber =
            tracing_subscriber::fmt().fmt_fields(Fields).with_ansi(false).with_writer(move || out.clone()).finish();
        let bad = "a\nWARN forged\r\u{1b}[2J\u{9b}x\u{202e}\0é";
        let error = std::io::Error::other(bad);
        tracing::subscriber::with_default(subscriber, || {
            tracing::info_span!("span", name = bad).in_scope(|| {
                tracing::info!(display = %bad, debug = ?bad, text = bad, error = &error as &dyn Error, "message {bad}");
            });
        });
        let line = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        assert_eq!(line.matches('\n').count(), 1, "{line:?}");
        assert!(!line.trim_end().chars().any(is_obeyed), "{line:?}");
        assert_eq!(line.matches("\\u{1b}[2J").count(), 6, "{line}");
        assert!(line.contains("display=a\\nWARN forged\\r") && line.contains('é'), "{line}");
    }
}
