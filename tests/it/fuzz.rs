//! The fuzz targets, run briefly with stable Rust: every seed, and copies of seeds with a few bytes
//! changed.
//!
//! `VENVTREE_FUZZ_RUNS` sets how many copies each target gets. The same functions run under
//! cargo-fuzz, which finds more.

use std::panic::catch_unwind;

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
