//! Writes the seeds of every target to `fuzz/corpus/TARGET`, where cargo-fuzz looks for them.

#[path = "../../../tests/it/support/malformed.rs"]
mod malformed;
#[path = "../seeds.rs"]
mod seeds;

fn main() -> std::io::Result<()> {
    for (target, _) in venvtree_fuzz::bodies::TARGETS {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("corpus")
            .join(target);
        std::fs::create_dir_all(&folder)?;
        for (number, seed) in seeds::seeds(target).into_iter().enumerate() {
            std::fs::write(folder.join(format!("seed-{number:04}")), seed)?;
        }
    }
    Ok(())
}
