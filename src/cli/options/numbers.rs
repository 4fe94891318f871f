//! Numbers as they are typed, in options and in variables: one reader for each kind, so that what
//! one takes all take.
//!
//! A number is written in digits: no sign, no exponent, no spaces. Every reader says what it
//! expected.

use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::model::digest::DigestFunction;
use crate::model::spec::LATEST_MTIME;

/// The largest number of threads that can be asked for.
pub(crate) const MOST_THREADS: u16 = 1024;
/// The longest time to wait that can be asked for, in seconds: a day.
const LONGEST_WAIT: u64 = 86_400;
/// The most retries that can be asked for.
const MOST_RETRIES: u64 = 100;

/// A whole number.
fn whole(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// A decimal number as a count of billionths.
fn billionths(text: &str) -> Option<u128> {
    let (before, after) = text.split_once('.').unwrap_or((text, "0"));
    if after.is_empty() || after.len() > 9 || !after.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let fraction: u128 = format!("{after:0<9}").parse().ok()?;
    Some(u128::from(whole(before)?) * 1_000_000_000 + fraction)
}

/// Splits what is written in digits from the unit after it.
fn split_unit(text: &str) -> (&str, &str) {
    text.split_at(
        text.find(|character: char| !character.is_ascii_digit() && character != '.')
            .unwrap_or(text.len()),
    )
}

/// A number of bytes, or a count: `1000000`, `64M`, `1.5G` (powers of 1000), `500MiB` (powers of
/// 1024). Letters of either case.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let expected =
        || format!("`{text}` is no number, expected one such as 1000000, 64M, 1.5GB or 500MiB");
    let (number, unit) = split_unit(text);
    let (base, rest): (u128, &str) = match unit.as_bytes().get(1) {
        Some(b'i' | b'I') => (1024, &unit[2..]),
        _ => (1000, unit.get(1..).unwrap_or_default()),
    };
    let power = match unit.bytes().next().map(|byte| byte.to_ascii_uppercase()) {
        None => 0,
        Some(b'B') if unit.len() == 1 => 0,
        Some(b'K') => 1,
        Some(b'M') => 2,
        Some(b'G') => 3,
        Some(b'T') => 4,
        _ => return Err(expected()),
    };
    if power > 0 && !matches!(rest, "" | "B" | "b") || power == 0 && number.contains('.') {
        return Err(expected());
    }
    let scaled = billionths(number)
        .ok_or_else(expected)?
        .checked_mul(base.pow(power))
        .ok_or_else(expected)?;
    u64::try_from(scaled / 1_000_000_000)
        .map_err(|_| format!("`{text}` is more than can be counted"))
}

/// A length of time with its unit: `30s`, `90m`, `12h`, `30d`, `2w`.
pub(crate) fn age(text: &str) -> Result<Duration, String> {
    let expected =
        || format!("`{text}` is no length of time, expected one such as 90m, 12h, 30d or 2w");
    let (number, unit) = split_unit(text);
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 604_800,
        _ => return Err(expected()),
    };
    let seconds = whole(number).ok_or_else(expected)?.checked_mul(unit);
    seconds
        .map(Duration::from_secs)
        .ok_or_else(|| format!("`{text}` is longer than can be counted"))
}

/// A time to wait in seconds, such as `60` or `0.5`.
pub(crate) fn wait(text: &str) -> Result<Duration, String> {
    let billionths = billionths(text)
        .filter(|&wait| wait > 0 && wait <= u128::from(LONGEST_WAIT) * 1_000_000_000);
    let wait = billionths.and_then(|wait| u64::try_from(wait).ok());
    wait.map(Duration::from_nanos).ok_or_else(|| {
        format!("expected seconds above 0 and up to {LONGEST_WAIT}, such as 60 or 0.5")
    })
}

/// A number of retries.
pub(crate) fn retries(text: &str) -> Result<u32, String> {
    let retries = whole(text)
        .filter(|&retries| retries <= MOST_RETRIES)
        .and_then(|retries| u32::try_from(retries).ok());
    retries.ok_or_else(|| format!("expected a whole number from 0 to {MOST_RETRIES}"))
}

/// A whole number from 1 to `most`.
pub(crate) fn count(text: &str, most: u16) -> Result<u16, String> {
    let count = whole(text)
        .and_then(|count| u16::try_from(count).ok())
        .filter(|count| (1..=most).contains(count));
    count.ok_or_else(|| format!("expected a number from 1 to {most}"))
}

/// A point in time as seconds since 1970, as SOURCE_DATE_EPOCH gives it.
pub(crate) fn epoch(text: &str) -> Result<u64, String> {
    let seconds = whole(text).filter(|&seconds| seconds <= LATEST_MTIME);
    seconds.ok_or_else(|| format!("expected seconds since 1970, at most {LATEST_MTIME}"))
}

/// Reads the name of a digest function.
pub(crate) fn digest_function() -> impl TypedValueParser<Value = DigestFunction> {
    PossibleValuesParser::new(DigestFunction::ALL.map(DigestFunction::name)).map(|name| {
        let known = DigestFunction::ALL.into_iter().find(|function| function.name() == name);
        known.expect("clap has compared it with the names")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is no number of any kind.
    const NONE: [&str; 18] = [
        "", " ", "-1", "+5", "nan", "NaN", "inf", "1e99", "1e3", " 5", "5 ", "0x10", "1_000",
        "1,5", ".5", "5.", "1.2.3", "٣",
    ];

    #[test]
    fn sizes_are_read() {
        let check = |text: &str, expected: u64| assert_eq!(size(text), Ok(expected), "{text}");
        check("7", 7);
        check("7B", 7);
        check("10G", 10_000_000_000);
        check("10GB", 10_000_000_000);
        check("1.5G", 1_500_000_000);
        check("500MiB", 500 << 20);
        check("500Mi", 500 << 20);
        check("0.5KiB", 512);
        check("1.5kib", 1536);
        check("2tb", 2_000_000_000_000);
        check("18446744073709551615", u64::MAX);
        for text in NONE.into_iter().chain([
            "1.5",
            "1.5B",
            "Bi",
            "5Bi",
            "5BiB",
            "5X",
            "5GG",
            "5GiBB",
            "5 GB",
            "18446744073709551616",
            "99999999T",
            "G",
            "1ü",
        ]) {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn lengths_of_time_are_read() {
        assert_eq!(age("30d"), Ok(Duration::from_secs(30 * 86_400)));
        assert_eq!(age("0s"), Ok(Duration::ZERO));
        for text in
            NONE.into_iter().chain(["5", "+5d", "-5d", "1.5h", "5y", "d", "18446744073709551615w"])
        {
            assert!(age(text).is_err(), "{text}");
        }
        assert_eq!(wait("60"), Ok(Duration::from_secs(60)));
        assert_eq!(wait("0.25"), Ok(Duration::from_millis(250)));
        for text in NONE.into_iter().chain(["0", "0.0", "86401", "60s", "0.0000000001"]) {
            assert!(wait(text).is_err(), "{text}");
        }
    }

    #[test]
    fn counts_and_times_are_read() {
        assert_eq!((retries("0"), retries("100")), (Ok(0), Ok(100)));
        assert_eq!((count("1", 256), count("256", 256)), (Ok(1), Ok(256)));
        assert_eq!((epoch("0"), epoch("315619200")), (Ok(0), Ok(315_619_200)));
        for text in NONE.into_iter().chain(["1.0", "99999999999999999999"]) {
            assert!(
                retries(text).is_err() && count(text, u16::MAX).is_err() && epoch(text).is_err(),
                "{text}"
            );
        }
        assert!(
            retries("101").is_err()
                && count("0", 9).is_err()
                && count("10", 9).is_err()
                && epoch("4294967296").is_err()
        );
    }
}
