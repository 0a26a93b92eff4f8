//! A server on stdin and stdout.

use crate::{
    load::Era,
    server::{Answer, answer},
};
use std::io::{BufRead, Write, stdin, stdout};

/// Answers line by line until stdin ends.
pub(crate) fn run() {
    let (mut input, mut output) = (stdin().lock(), stdout().lock());
    let mut line = Vec::new();
    while input.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
        if let Answer::Json(mut message) = answer(Era::Early, 16, &line) {
            message.push(b'\n');
            // In one piece: stdout keeps what is behind the last line end.
            if output.write_all(&message).is_err() {
                return;
            }
        }
        line.clear();
    }
}
