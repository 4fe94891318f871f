//! When to try again, and how long to wait before.
//!
//! Effects layer, but pure: the schedule is a function of the attempt's number and a random
//! fraction; sleeping is the caller's.

use std::time::{Duration, Instant};

/// How often something is tried, with growing pauses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// Attempts after the first.
    pub retries: u32,
    /// The first pause, before jitter.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
}

impl Default for Schedule {
    /// As Bazel's: five retries, pauses of at most five seconds.
    fn default() -> Self {
        Self { retries: 5, first: Duration::from_millis(100), longest: Duration::from_secs(5) }
    }
}

impl Schedule {
    /// The pause before retry number `retry` (from 0), or nothing when enough was tried.
    /// `fraction`, from 0 to 1, spreads clients that failed together: the pause is between half and
    /// all of its length.
    pub fn pause(&self, retry: u32, fraction: f64) -> Option<Duration> {
        if retry >= self.retries {
            return None;
        }
        let full = self.first.saturating_mul(2u32.saturating_pow(retry)).min(self.longest);
        Some(full.mul_f64(0.5 + 0.5 * fraction.clamp(0.0, 1.0)))
    }
}

/// The attempts at one operation.
#[derive(Debug, Clone, Copy)]
pub struct Attempts {
    /// How many retries there were.
    pub retries: u32,
    /// When it began, or last went on.
    since: Instant,
}

impl Attempts {
    /// Before the first one.
    #[expect(
        clippy::new_without_default,
        reason = "a default that is a point in time would surprise"
    )]
    pub fn new() -> Self {
        Self { retries: 0, since: Instant::now() }
    }

    /// Something came: what was waited for so far was not in vain.
    pub fn went_on(&mut self) {
        self.since = Instant::now();
    }

    /// Whether another attempt makes sense after so long without success: one that takes its whole
    /// time may be tried again once, not as often as one that fails at once.
    pub fn have_time(&self, timeout: Duration) -> bool {
        self.since.elapsed() < timeout.saturating_mul(2)
    }
}

/// What an error says about another attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It may succeed.
    Retry,
    /// It would fail the same way.
    Fail,
    /// Nothing failed: what was asked for is not there.
    Absent,
}

/// Judges a status code of gRPC, by number.
pub fn judge_grpc(code: i32) -> Verdict {
    match code {
        5 => Verdict::Absent,
        // DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, ABORTED, INTERNAL, UNAVAILABLE; UNKNOWN comes from
        // broken connections, CANCELLED from servers that shut down.
        1 | 2 | 4 | 8 | 10 | 13 | 14 => Verdict::Retry,
        _ => Verdict::Fail,
    }
}

/// Judges a status code of HTTP that is no success.
pub fn judge_http(code: u16) -> Verdict {
    match code {
        404 | 410 => Verdict::Absent,
        408 | 425 | 429 | 500 | 502..=504 => Verdict::Retry,
        _ => Verdict::Fail,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_longest_and_end() {
        let schedule = Schedule {
            retries: 4,
            first: Duration::from_millis(100),
            longest: Duration::from_millis(300),
        };
        let pauses = |fraction| {
            (0..5)
                .map(|retry| schedule.pause(retry, fraction).map(|pause| pause.as_millis()))
                .collect::<Vec<_>>()
        };
        assert_eq!(pauses(1.0), [Some(100), Some(200), Some(300), Some(300), None]);
        assert_eq!(pauses(0.0), [Some(50), Some(100), Some(150), Some(150), None]);
        assert_eq!(
            Schedule { retries: u32::MAX, ..schedule }.pause(4_000_000_000, 1.0),
            Some(schedule.longest)
        );
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        assert_eq!(judge_grpc(14), Verdict::Retry);
        assert_eq!(judge_grpc(5), Verdict::Absent);
        // INVALID_ARGUMENT: the digest is wrong, and stays so; PERMISSION_DENIED, UNIMPLEMENTED,
        // UNAUTHENTICATED.
        for code in [3, 7, 12, 16] {
            assert_eq!(judge_grpc(code), Verdict::Fail);
        }
        assert_eq!(
            (judge_http(404), judge_http(503), judge_http(403)),
            (Verdict::Absent, Verdict::Retry, Verdict::Fail)
        );
    }
}
