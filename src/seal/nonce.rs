use std::cell::RefCell;

/// 24 bytes: enough that no two of those that are ever drawn are equal.
pub(super) const BYTES: usize = 24;

/// How many are drawn at once: what the system call takes for one it takes for most of them.
const AT_ONCE: usize = 32;

thread_local! {
    static DRAWN: RefCell<Drawn> = const { RefCell::new(Drawn { bytes: [0; AT_ONCE * BYTES], left: 0 }) };
}

/// Random bytes of which those at the beginning were not used yet.
struct Drawn {
    bytes: [u8; AT_ONCE * BYTES],
    left: usize,
}

/// What seals one token and no other; whoever has the token can read it.
#[derive(Debug)]
pub(crate) struct Nonce(pub(super) [u8; BYTES]);

impl Nonce {
    pub(crate) fn random() -> Result<Self, getrandom::Error> {
        DRAWN.with_borrow_mut(Drawn::next)
    }

    #[cfg(feature = "legacy")]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Drawn {
    fn next(&mut self) -> Result<Nonce, getrandom::Error> {
        if self.left == 0 {
            getrandom::fill(&mut self.bytes)?;
            self.left = AT_ONCE;
        }
        self.left -= 1;
        let nonce = self.bytes[self.left * BYTES..].first_chunk().expect("there are as many");
        Ok(Nonce(*nonce))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::HashSet, thread};

    #[test]
    fn none_is_drawn_twice() {
        let draw = || (0..3 * AT_ONCE).map(|_| Nonce::random().unwrap().0).collect::<Vec<_>>();
        let (here, there) = (draw(), thread::spawn(draw).join().unwrap());
        let all: HashSet<_> = here.iter().chain(&there).collect();
        assert_eq!(all.len(), 6 * AT_ONCE);
        assert!(all.iter().all(|nonce| **nonce != [0; BYTES]));
    }
}
