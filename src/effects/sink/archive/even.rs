//! Bytes handed on in parts of one size, however they came.
//!
//! Effects layer. What a compressor makes depends on how it is fed, and how a file's bytes come
//! depends on where they are from: a wheel's member, a directory, another thread. Equal
//! environments make equal archives only if that does not show.

use std::io::{self, Write};

/// Bytes of a part; the last one may be shorter.
const PART: usize = 64 << 10;

/// Collects bytes for a writer.
#[derive(Debug, Default)]
pub(super) struct Even {
    part: Vec<u8>,
}

impl Even {
    /// Takes bytes, and hands on what parts are full.
    pub(super) fn write(&mut self, mut bytes: &[u8], out: &mut dyn Write) -> io::Result<()> {
        while !bytes.is_empty() {
            let (taken, rest) = bytes.split_at(bytes.len().min(PART - self.part.len()));
            self.part.extend_from_slice(taken);
            bytes = rest;
            if self.part.len() == PART {
                self.flush(out)?;
            }
        }
        Ok(())
    }

    /// Hands on what is left.
    pub(super) fn flush(&mut self, out: &mut dyn Write) -> io::Result<()> {
        if !self.part.is_empty() {
            out.write_all(&self.part)?;
            self.part.clear();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Remembers the sizes of what is written.
    struct Sizes(Vec<usize>);

    impl Write for Sizes {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.push(bytes.len());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_parts_do_not_depend_on_how_the_bytes_came() {
        for total in [0, 1, PART - 1, PART, PART + 1, 5 * PART, 5 * PART + 7] {
            let bytes = vec![1; total];
            let expected: Vec<usize> = bytes.chunks(PART).map(<[u8]>::len).collect();
            for chunk in [1, 1000, PART - 1, PART, PART + 1, 3 * PART, 100 * PART] {
                let (mut even, mut out) = (Even::default(), Sizes(Vec::new()));
                for bytes in bytes.chunks(chunk) {
                    even.write(bytes, &mut out).unwrap();
                }
                even.flush(&mut out).unwrap();
                assert_eq!(out.0, expected, "{total} in {chunk}");
            }
        }
    }
}
