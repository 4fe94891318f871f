//! Which of several wheels of one distribution is the best for an interpreter.
//!
//! Model layer. The order is pip's: by version (PEP 440), then by the most specific tag, then by
//! build tag; pre-releases only where there is nothing else. Whether a wheel's `Requires-Python`
//! fits is written in the wheel, not in its name: whoever opens the wheels takes the first that
//! does.

use std::cmp::Reverse;

use crate::model::name::DistName;
use crate::model::wheel::filename::WheelFilename;
use crate::model::wheel::tags::Tags;

/// The wheels of a distribution that fit an interpreter by their tags, the best one first. Wheels
/// that nothing tells apart come in the order of their names.
pub fn rank(
    wheels: impl IntoIterator<Item = WheelFilename>,
    name: &DistName,
    tags: &Tags,
) -> Vec<WheelFilename> {
    let fits = |wheel: WheelFilename| {
        let position = tags.compatible(&wheel.tags).ok()?;
        (wheel.name == *name).then_some((position, wheel))
    };
    let mut ranked: Vec<(usize, WheelFilename)> = wheels.into_iter().filter_map(fits).collect();
    if ranked.iter().any(|(_, wheel)| !wheel.version.any_prerelease()) {
        ranked.retain(|(_, wheel)| !wheel.version.any_prerelease());
    }
    ranked.sort_by(|left, right| {
        let key = |(position, wheel): &(usize, WheelFilename)| {
            Reverse((wheel.version.clone(), Reverse(*position), wheel.build.clone()))
        };
        key(left).cmp(&key(right)).then_with(|| left.1.as_str().cmp(right.1.as_str()))
    });
    ranked.into_iter().map(|(_, wheel)| wheel).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::interpreter::{Arch, Implementation, Interpreter, Libc, Platform};
    use crate::model::name::PythonVersion;

    #[test]
    fn the_latest_compatible_version_wins_then_the_most_specific_tag() {
        let interpreter = Interpreter {
            implementation: Implementation::CPython,
            version: PythonVersion::parse("3.11.7").unwrap(),
            abi: "cp311".into(),
            platform: Platform::Linux { arch: Arch::X86_64, libc: Some(Libc::Glibc(2, 36)) },
        };
        let tags = Tags::new(&interpreter);
        let check = |names: &[&str], expected: &[&str]| {
            let wheels = names.iter().map(|name| WheelFilename::parse(name).unwrap());
            let found = rank(wheels, &DistName::parse("pip").unwrap(), &tags);
            assert_eq!(found.iter().map(WheelFilename::as_str).collect::<Vec<_>>(), expected);
        };
        check(
            &[
                "pip-9.0-py3-none-any.whl",
                "pip-24.0-py3-none-any.whl",
                "pip-10.0-py3-none-any.whl",
                "wheel-99-py3-none-any.whl",
            ],
            &["pip-24.0-py3-none-any.whl", "pip-10.0-py3-none-any.whl", "pip-9.0-py3-none-any.whl"],
        );
        check(
            &["pip-24.0-cp312-cp312-linux_x86_64.whl", "pip-23.0-py3-none-any.whl"],
            &["pip-23.0-py3-none-any.whl"],
        );
        check(
            &["pip-25.0rc1-py3-none-any.whl", "pip-24.0.post1-py3-none-any.whl"],
            &["pip-24.0.post1-py3-none-any.whl"],
        );
        check(
            &["pip-25.0.dev1-py3-none-any.whl", "pip-25.0rc1-py3-none-any.whl"],
            &["pip-25.0rc1-py3-none-any.whl", "pip-25.0.dev1-py3-none-any.whl"],
        );
        check(
            &[
                "pip-24.0-py3-none-any.whl",
                "pip-24.0-2-py3-none-any.whl",
                "pip-24.0-cp311-cp311-manylinux_2_17_x86_64.whl",
            ],
            &[
                "pip-24.0-cp311-cp311-manylinux_2_17_x86_64.whl",
                "pip-24.0-2-py3-none-any.whl",
                "pip-24.0-py3-none-any.whl",
            ],
        );
        check(
            &["pip-24.0-py3-none-any.whl", "pip-24.0+local-py3-none-any.whl"],
            &["pip-24.0+local-py3-none-any.whl", "pip-24.0-py3-none-any.whl"],
        );
        check(
            &["pip-1!1.0-py3-none-any.whl", "pip-24.0-py3-none-any.whl"],
            &["pip-1!1.0-py3-none-any.whl", "pip-24.0-py3-none-any.whl"],
        );
        check(&[], &[]);
    }
}
