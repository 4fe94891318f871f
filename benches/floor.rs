//! The floor: what inflating and writing alone costs, without hashes, times, names, plans or
//! safety. What an installer can at best come near to on this machine, with the same inflater and
//! the same threads.
//!
//! `floor OUT WHEEL…`
#![allow(clippy::disallowed_methods, reason = "the doorways are for the program")]

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use camino::{Utf8Path, Utf8PathBuf};
use venvtree::effects::host::fs::Directory;
use venvtree::effects::wheels::inflate::with_inflater;
use venvtree::effects::wheels::load::{self, LoadOptions, WheelError};
use venvtree::effects::work::parallel;
use venvtree::model::wheel::filename::WheelFilename;

fn main() {
    let arguments: Vec<Utf8PathBuf> = std::env::args().skip(1).map(Utf8PathBuf::from).collect();
    let (out, paths) = arguments.split_first().expect("floor OUT WHEEL…");
    let threads = parallel::available();
    let load = |path: &Utf8PathBuf| {
        let name = WheelFilename::parse(path.file_name().expect("a file")).expect("a wheel's name");
        load::load(path, &name, &LoadOptions::default()).expect("a wheel")
    };
    let loaded = parallel::map(threads, paths.len(), |index| Ok::<_, ()>(load(&paths[index])))
        .expect("wheels");
    let mut directories = BTreeSet::new();
    let mut members = Vec::new();
    for wheel in &loaded {
        for member in &wheel.manifest.members {
            directories.extend(member.path.ancestors().map(str::to_owned));
            members.push((wheel, member));
        }
    }
    std::fs::create_dir_all(out).expect("an output");
    for directory in &directories {
        std::fs::create_dir_all(out.join(directory)).expect("a directory");
    }
    let root = Directory::open(Utf8Path::new(out)).expect("the output");
    members.sort_by_key(|(_, member)| std::cmp::Reverse(member.size() > 1 << 20));
    let _ = parallel::run(threads, members.len(), |index| -> ControlFlow<()> {
        let (wheel, member) = members[index];
        let parent = root
            .open_below(member.path.parent().as_ref().map_or("", |parent| parent.as_str()))
            .expect("a directory");
        // Wheels may share a file; here nobody asks who wins.
        if let Ok(mut file) = parent.create_file(member.path.name(), member.kind) {
            file.reserve(member.size());
            with_inflater(|inflater| {
                wheel.stream(inflater, member, &mut |bytes: &[u8]| {
                    file.write(bytes).expect("room");
                    Ok::<(), WheelError>(())
                })
            })
            .expect("a member");
        }
        ControlFlow::Continue(())
    });
}
