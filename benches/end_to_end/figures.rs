//! Figures that have a bound, and what is said of those above theirs.

use std::process::ExitCode;

/// What was measured against a bound.
#[derive(Default)]
pub(crate) struct Figures(Vec<(String, f64, f64)>);

impl Figures {
    /// Takes a figure that should be no more than `most`.
    pub(crate) fn bound(&mut self, what: impl Into<String>, figure: f64, most: f64) {
        self.0.push((what.into(), figure, most));
    }

    /// Names the figures above their bounds; a failure where `BENCH_CHECK` asks for one.
    pub(crate) fn verdict(self) -> ExitCode {
        let above: Vec<_> = self.0.iter().filter(|(_, figure, most)| figure > most).collect();
        for (what, figure, most) in &above {
            println!("above its bound: {what}: {figure:.2}, at most {most}");
        }
        if above.is_empty() || std::env::var_os("BENCH_CHECK").is_none() {
            return ExitCode::SUCCESS;
        }
        ExitCode::FAILURE
    }
}

/// The one in the middle.
pub(crate) fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}
