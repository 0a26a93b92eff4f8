use super::{Event, Outcome};
use crate::json::Json;
use bytes::{Bytes, BytesMut};

/// Puts a result together again that came in parts, for those who need all of it. As large as a server's message may be.
#[derive(Debug, Default)]
pub(crate) struct Whole(BytesMut);

impl Whole {
    /// The event as it would have come without parts; `None` for a part.
    pub(crate) fn take(&mut self, event: Event) -> Option<Event> {
        Some(match event {
            Event::Part(part) => {
                self.0.extend_from_slice(&part);
                return None;
            }
            Event::Done(Outcome::Passed(members)) => {
                self.0.extend_from_slice(b"}");
                let text = Bytes::from(std::mem::take(&mut self.0));
                Event::Done(Outcome::Result(Json::scanned(text, members)))
            }
            other => other,
        })
    }
}
