//! How long a transfer may take: as long as it needs at the least rate that is worth waiting for.
//!
//! Effects layer. A time limit for each part of an answer is no limit for the answer: a server that
//! sends one byte a second would be waited for all the same. So everything that waits for a stream
//! counts what it got and how long it waited for it.

use std::io::{self, Read};
use std::time::{Duration, Instant};

/// The bytes a second that a transfer has to reach on average: less than a modem's.
pub(in crate::effects) const LEAST_RATE: u64 = 4 << 10;

/// How long so many bytes may take, with a time for the answer to begin.
pub(in crate::effects) fn allowance(patience: Duration, bytes: u64) -> Duration {
    patience.saturating_add(Duration::from_secs(bytes / LEAST_RATE))
}

/// Counts what came and how long it was waited for.
#[derive(Debug, Clone)]
pub(in crate::effects) struct Pace {
    patience: Duration,
    waited: Duration,
    bytes: u64,
}

impl Pace {
    /// `patience` is how long nothing at all may come.
    pub(in crate::effects) fn new(patience: Duration) -> Self {
        Self { patience, waited: Duration::ZERO, bytes: 0 }
    }

    /// Notes that so many bytes came after a wait that began at `begun`. An error, in words, where
    /// that is too slow.
    pub(in crate::effects) fn note(&mut self, begun: Instant, bytes: usize) -> Result<(), String> {
        self.add(begun.elapsed(), bytes)
    }

    fn add(&mut self, waited: Duration, bytes: usize) -> Result<(), String> {
        self.waited += waited;
        self.bytes += bytes as u64;
        if self.waited <= allowance(self.patience, self.bytes) {
            return Ok(());
        }
        Err(format!(
            "only {} bytes in {:.1} s, expected at least {LEAST_RATE} a second",
            self.bytes,
            self.waited.as_secs_f64()
        ))
    }
}

/// The most bytes, as they come over the wire, of a blob of that size: compression may make it a
/// little larger, never much. Without this limit a stream of frames that hold nothing would never
/// end.
pub(in crate::effects) fn wire_limit(size: u64) -> u64 {
    size.saturating_mul(2).saturating_add(64 << 10)
}

/// A stream that must keep the least rate, and end.
#[derive(Debug)]
pub(in crate::effects) struct Paced<R> {
    inner: R,
    pace: Pace,
    left: u64,
}

impl<R: Read> Paced<R> {
    /// Of a body that holds a blob of `size` bytes, perhaps compressed.
    pub(in crate::effects) fn new(inner: R, patience: Duration, size: u64) -> Self {
        Self { inner, pace: Pace::new(patience), left: wire_limit(size) }
    }
}

impl<R: Read> Read for Paced<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let begun = Instant::now();
        let count = self.inner.read(buffer)?;
        self.pace
            .note(begun, count)
            .map_err(|reason| io::Error::new(io::ErrorKind::TimedOut, reason))?;
        self.left = self.left.checked_sub(count as u64).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                "the answer goes on after more than twice the bytes that were asked for",
            )
        })?;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_too_slowly_is_an_error_and_what_only_pauses_is_none() {
        let second = Duration::from_secs(1);
        let mut pace = Pace::new(10 * second);
        for _ in 0..10 {
            pace.add(second, 1).unwrap();
        }
        assert!(pace.add(second, 1).unwrap_err().contains("only 11 bytes in 11.0 s"));
        let mut pace = Pace::new(10 * second);
        for _ in 0..1000 {
            pace.add(second, usize::try_from(LEAST_RATE).unwrap()).unwrap();
        }
        pace.add(9 * second, 0).unwrap();
        assert!(pace.add(2 * second, 0).is_err());
    }

    #[test]
    fn a_stream_without_end_is_an_error() {
        let mut endless = Paced::new(io::repeat(0), Duration::from_secs(60), 1000);
        let error = io::copy(&mut endless, &mut io::sink()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        let mut fitting =
            Paced::new(io::repeat(0).take(wire_limit(1000)), Duration::from_secs(60), 1000);
        assert_eq!(io::copy(&mut fitting, &mut io::sink()).unwrap(), wire_limit(1000));
    }
}
