//! Numbers in hexadecimal digits: sizes of chunks and places in streams, which are written for each event.

/// Appends a number in as few digits as it has.
pub(crate) fn append(out: &mut Vec<u8>, number: u64) {
    let digits = (u64::BITS - (number | 1).leading_zeros()).div_ceil(4);
    for place in (0..digits).rev() {
        out.push(b"0123456789abcdef"[(number >> (4 * place)) as usize & 0xf]);
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_number_reads_as_the_standard_library_writes_it() {
        for number in [0, 1, 15, 16, 255, 256, 0x1234_5678_9abc_def0, u64::MAX] {
            let mut out = vec![b'-'];
            super::append(&mut out, number);
            assert_eq!(String::from_utf8(out).unwrap(), format!("-{number:x}"));
        }
    }
}
