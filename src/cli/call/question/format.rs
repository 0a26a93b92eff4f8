/// The forms of text that a server may ask for (2026-07-28, "client/elicitation: Requested Schema").
///
/// Looked at so that whoever mistypes is asked again at once; the server decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Any,
    Email,
    Uri,
    Date,
    DateTime,
}

impl Format {
    /// By its name in the schema; one that the protocol does not have is any text.
    pub(super) fn of(name: Option<&str>) -> Self {
        match name {
            Some("email") => Self::Email,
            Some("uri") => Self::Uri,
            Some("date") => Self::Date,
            Some("date-time") => Self::DateTime,
            _ => Self::Any,
        }
    }

    pub(super) const fn wanted(self) -> &'static str {
        match self {
            Self::Any => "text",
            Self::Email => "an e-mail address",
            Self::Uri => "an address such as https://example.com",
            Self::Date => "a date such as 2026-07-28",
            Self::DateTime => "a time such as 2026-07-28T09:00:00Z",
        }
    }

    pub(super) fn fits(self, text: &str) -> bool {
        let plain = !text.contains(char::is_whitespace);
        match self {
            Self::Any => true,
            Self::Email => {
                plain && text.split_once('@').is_some_and(|(user, host)| !user.is_empty() && !host.is_empty())
            }
            Self::Uri => {
                plain && text.split_once(':').is_some_and(|(scheme, rest)| is_scheme(scheme) && !rest.is_empty())
            }
            Self::Date => is_date(text),
            Self::DateTime => {
                let halves = text.split_once(['T', 't']);
                plain
                    && halves
                        .is_some_and(|(date, time)| is_date(date) && time.starts_with(|c: char| c.is_ascii_digit()))
            }
        }
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}

fn is_date(text: &str) -> bool {
    let parts: Vec<_> = text.split('-').collect();
    let number = |part: &str, digits: usize| {
        let is_number = part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| part.parse::<u32>().ok()).flatten()
    };
    let [year, month, day] = parts[..] else { return false };
    number(year, 4).is_some()
        && number(month, 2).is_some_and(|month| (1..=12).contains(&month))
        && number(day, 2).is_some_and(|day| (1..=31).contains(&day))
}

#[cfg(test)]
mod tests {
    use super::Format;

    #[test]
    fn what_is_mistyped_does_not_fit() {
        for (format, right, wrong) in [
            ("email", "me@example.com", ["me", "@example.com", "me@ example.com"]),
            ("uri", "mailto:me@example.com", ["example.com", "://x", "https:// x"]),
            ("date", "2026-07-28", ["28.7.2026", "2026-13-01", "2026-7-28"]),
            ("date-time", "2026-07-28T09:00:00+02:00", ["2026-07-28", "2026-07-28T", "09:00"]),
        ] {
            let format = Format::of(Some(format));
            assert!(format.fits(right), "{format:?} {right}");
            assert!(wrong.iter().all(|text| !format.fits(text)), "{format:?} {wrong:?}");
        }
        assert!(Format::of(Some("colour")).fits("anything at all"));
    }
}
