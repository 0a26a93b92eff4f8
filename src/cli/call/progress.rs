use super::tool::clean;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;
use std::io::{IsTerminal, Write, stderr};

/// Shows on stderr how far a call is: a bar on a terminal, lines where a program reads.
pub(super) struct Progress(Option<ProgressBar>);

impl Progress {
    pub(super) fn begin() -> Self {
        Self(stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            bar.set_style(ProgressStyle::with_template("{spinner} {pos} {msg}").expect("a template that is constant"));
            bar
        }))
    }

    /// Takes a notification; those that tell of no progress are none of its business.
    pub(super) fn hear(&mut self, method: &str, params: &Value) {
        if method != "notifications/progress" {
            return;
        }
        let (done, total) = (params["progress"].as_f64().unwrap_or_default(), params["total"].as_f64());
        let message = clean(params["message"].as_str().unwrap_or_default());
        match &self.0 {
            None => {
                // Nobody can be told that stderr is closed.
                let _ = writeln!(stderr(), "{}", line(done, total, &message));
            }
            Some(bar) => draw(bar, done, total, message),
        }
    }

    pub(super) fn end(self) {
        if let Some(bar) = self.0 {
            bar.finish_and_clear();
        }
    }
}

/// A bar counts whole steps, progress may be any number: with a total it is drawn in thousandths.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a bar needs no more")]
fn draw(bar: &ProgressBar, done: f64, total: Option<f64>, message: String) {
    if let Some(total) = total.filter(|total| *total > 0.0) {
        let style = ProgressStyle::with_template("{bar:40} {percent:>3} % {msg}").expect("a template that is constant");
        bar.set_style(style);
        bar.set_length(1000);
        bar.set_position((done / total * 1000.0).clamp(0.0, 1000.0) as u64);
    } else {
        bar.set_position(done.max(0.0) as u64);
    }
    bar.set_message(message);
}

fn line(done: f64, total: Option<f64>, message: &str) -> String {
    let total = total.map(|total| format!(" of {total}")).unwrap_or_default();
    format!("progress {done}{total} {}", message.replace('\n', " ")).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_what_is_known() {
        assert_eq!(line(2.0, Some(5.0), "two\nsteps"), "progress 2 of 5 two steps");
        assert_eq!(line(0.5, None, ""), "progress 0.5");
    }
}
