//! The fuzz targets, run briefly with stable Rust: every seed, and copies of seeds with a few bytes
//! changed.
//!
//! `VENVTREE_FUZZ_RUNS` sets how many copies each target gets. The same functions run under
//! cargo-fuzz, which finds more.

use std::panic::catch_unwind;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

#[path = "../../fuzz/src/bodies.rs"]
mod bodies;
#[path = "../../fuzz/src/seeds.rs"]
mod seeds;

use crate::support::malformed;
use crate::support::random::Random;

#[test]
fn no_target_finds_anything() {
    let runs: usize = std::env::var("VENVTREE_FUZZ_RUNS")
        .map_or(2000, |text| text.parse().expect("VENVTREE_FUZZ_RUNS is a number"));
    for (target, body) in bodies::TARGETS {
        let seeds = seeds::seeds(target);
        let mut random = Random::new(7);
        for run in 0..seeds.len() + runs {
            let input = match seeds.get(run) {
                Some(seed) => seed.clone(),
                None => {
                    let seed = random.below(seeds.len());
                    random.damage(&seeds[seed])
                }
            };
            if catch_unwind(|| body(&input)).is_err() {
                let path = std::env::temp_dir().join(format!("venvtree-fuzz-{target}"));
                std::fs::write(&path, &input).unwrap();
                panic!("the target {target} panicked, its input is in {}", path.display());
            }
        }
    }
}

/// Ten million damaged modules, or as many as come within `VENVTREE_FUZZ_SECONDS`, on every
/// processor.
#[test]
#[ignore = "takes hours without optimization: cargo test --release"]
#[expect(clippy::print_stdout, reason = "how many were tried is the result")]
fn ten_million_damaged_modules_are_judged() {
    const RUNS: u64 = 10_000_000;
    let seconds =
        std::env::var("VENVTREE_FUZZ_SECONDS").map_or(u64::MAX, |text| text.parse().unwrap());
    let (begun, done) = (Instant::now(), AtomicU64::new(0));
    let seeds = seeds::seeds("marshal");
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (seeds, done) = (&seeds, &done);
            scope.spawn(move || {
                let mut random = Random::new(thread as u64);
                while done.fetch_add(1, Ordering::Relaxed) < RUNS
                    && begun.elapsed().as_secs() < seconds
                {
                    let mut input = seeds[random.below(seeds.len())].clone();
                    (0..=random.below(4)).for_each(|_| input = random.damage(&input));
                    bodies::marshal(&input);
                }
            });
        }
    });
    println!(
        "{} damaged modules, seeds of {:?} bytes",
        done.into_inner(),
        seeds.iter().map(Vec::len).collect::<Vec<_>>()
    );
}
