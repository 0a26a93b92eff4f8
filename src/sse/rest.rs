use super::{
    Decoder, Event,
    decode::{Data, Field},
};
use crate::upstream::error::TooLarge;
use bytes::{Buf, Bytes};
use std::mem;

/// What comes of an event whose data is taken as it arrives.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    /// The next of its data, line breaks between its lines included.
    Data(Bytes),
    /// Its end: all there is of it beside its data.
    End(Event),
}

/// What a line of data begins with. One byte more says whether a space belongs to that.
const DATA: &[u8] = b"data:";

impl Decoder {
    /// About how much is held of an event that is not complete, in bytes.
    pub(crate) fn held(&self) -> usize {
        self.event.size + self.line.len()
    }

    /// Gives out the data of the event that is not complete, as far as it has come; [`rest`](Self::rest) is what follows it.
    /// `None`, and nothing is given out, where the event is known to be no message, or no data has come.
    pub(crate) fn begun(&mut self) -> Option<Bytes> {
        if !matches!(self.event.kind.as_deref(), None | Some("" | "message")) {
            return None;
        }
        let (field, value) = Field::of(&self.line, self.at_start);
        // A shorter line may still turn out to be another field.
        self.within = field == Field::Data && self.line.len() > value;
        if !self.within && self.event.data.is_none() {
            return None;
        }
        let before = self.event.data.take().map(Data::into_bytes);
        self.event.size = 0;
        if !self.within {
            return before;
        }
        self.at_start = false;
        let mut line = mem::take(&mut self.line).freeze();
        line.advance(value);
        Some(match before {
            Some(before) => [&before[..], b"\n", &line[..]].concat().into(),
            None => line,
        })
    }

    /// Takes bytes off the front of `chunk` until more of the data is there, or its end; `None` once the chunk is used up.
    ///
    /// # Errors
    ///
    /// [`TooLarge`] for other fields or a comment above the limit. How much data there may be is for its reader to say.
    pub(crate) fn rest(&mut self, chunk: &mut Bytes) -> Result<Option<Rest>, TooLarge> {
        loop {
            self.skip_break(chunk);
            if chunk.is_empty() {
                return Ok(None);
            }
            let end = memchr::memchr2(b'\n', b'\r', chunk);
            if self.within {
                let value = chunk.split_to(end.unwrap_or(chunk.len()));
                if end.is_some() {
                    self.within = false;
                    self.end_line(chunk);
                }
                if !value.is_empty() {
                    return Ok(Some(Rest::Data(value)));
                }
                continue;
            }
            // No more of the line than says whether it is data, whose value is not gathered.
            let wanted = (DATA.len() + 1).saturating_sub(self.line.len());
            let length = end.unwrap_or(chunk.len());
            if wanted == 0 || length < wanted {
                match end {
                    Some(end) => {
                        let line = self.joined(&chunk[..end]);
                        chunk.advance(end);
                        self.end_line(chunk);
                        if let Some(rest) = self.line(line)? {
                            return Ok(Some(rest));
                        }
                    }
                    None => self.keep_rest(chunk)?,
                }
                continue;
            }
            self.line.extend_from_slice(&chunk.split_to(wanted));
            if self.line.starts_with(DATA) {
                self.within = true;
                let value = Field::of(&self.line, false).1;
                let line = mem::take(&mut self.line);
                return Ok(Some(Rest::Data([b"\n", &line[value..]].concat().into())));
            }
        }
    }

    /// Takes the break behind a line.
    fn end_line(&mut self, chunk: &mut Bytes) {
        self.after_cr = chunk[0] == b'\r';
        chunk.advance(1);
    }

    /// A line that was short, or no data.
    fn line(&mut self, line: Bytes) -> Result<Option<Rest>, TooLarge> {
        if line.is_empty() {
            let event = mem::take(&mut self.event);
            return Ok(Some(Rest::End(event.beside_data())));
        }
        match Field::of(&line, mem::take(&mut self.at_start)) {
            (Field::Data, value) => return Ok(Some(Rest::Data([b"\n", &line[value..]].concat().into()))),
            (field, value) => self.event.take(field, &line[value..]),
        }
        self.check(self.event.size)?;
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The events of a stream in chunks of `step` bytes, of which the data is taken as it arrives once `most` bytes are held.
    fn read(text: &[u8], step: usize, most: usize) -> Vec<Event> {
        let (mut decoder, mut events, mut begun) = (Decoder::new(1 << 10), Vec::new(), None::<Vec<u8>>);
        for chunk in text.chunks(step) {
            let mut chunk = Bytes::copy_from_slice(chunk);
            loop {
                if let Some(data) = &mut begun {
                    match decoder.rest(&mut chunk).unwrap() {
                        Some(Rest::Data(piece)) => data.extend_from_slice(&piece),
                        Some(Rest::End(event)) => {
                            events.push(Event { data: std::mem::take(data).into(), ..event });
                            begun = None;
                        }
                        None => break,
                    }
                } else if let Some(event) = decoder.decode(&mut chunk).unwrap() {
                    events.push(event);
                } else {
                    begun = (decoder.held() >= most).then(|| decoder.begun()).flatten().map(Vec::from);
                    if begun.is_none() {
                        break;
                    }
                }
            }
        }
        events
    }

    fn line() -> impl Strategy<Value = String> {
        let field = prop_oneof![
            4 => Just("data:"), 4 => Just("data: "), 1 => Just("data"), 1 => Just("dat"), 1 => Just("datax: "),
            1 => Just(":"), 1 => Just("id: "), 1 => Just("event:message"), 1 => Just("retry: "), 1 => Just("")
        ];
        let end = prop_oneof![Just("\n"), Just("\r"), Just("\r\n")];
        (field, "[a-z0-9: ]{0,8}", end).prop_map(|(field, value, end)| match field {
            "event:message" | "" | "data" => format!("{field}{end}"),
            _ => format!("{field}{value}{end}"),
        })
    }

    proptest! {
        #[test]
        fn data_that_is_taken_as_it_arrives_is_the_same(
            lines in prop::collection::vec(line(), 0..30), step in 1usize..20, most in 1usize..40
        ) {
            let text = lines.concat();
            let is_data = |event: &Event| !event.data.is_empty();
            let whole: Vec<_> = read(text.as_bytes(), step, usize::MAX).into_iter().filter(is_data).collect();
            let pieces: Vec<_> = read(text.as_bytes(), step, most).into_iter().filter(is_data).collect();
            prop_assert_eq!(pieces, whole);
        }
    }
}
