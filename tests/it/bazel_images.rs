//! `py_venv_layers`, `py_venv_image` and the documents about environments, in Bazel.
#![cfg(feature = "remote")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use camino::Utf8Path;

use crate::bazel::{Bazel, Version, alone, relocatable_python, tool, with_bazel};
use crate::support::commands::succeed;
use crate::support::containers::{fill_root, run_bundle};

/// Unpacks an image into a bundle beside the workspace; where its root is.
fn rootfs(bazel: &Bazel, image: &str, tag: &str) -> PathBuf {
    let bundle = bazel.workspace.join(format!("{image}-bundle"));
    let named =
        format!("{}:{tag}", bazel.workspace.join(format!("bazel-bin/{image}.oci")).display());
    succeed(Command::new("umoci").args(["unpack", "--image", &named]).arg(&bundle));
    bundle.join("rootfs")
}

/// The digest of a directory, as the tool says it.
fn digest(directory: &Path) -> String {
    succeed(Command::new(tool()).arg("digest").arg(directory))
}

fn images_are_made_of_layers(version: Version) {
    let _alone = alone();
    let bazel = Bazel::new(version, "a");
    let layers = ["--", "//:layers"];
    bazel.succeed("build", &["--", "//:layers", "//:image"]);
    let place = bazel.workspace.join("bazel-bin/layers.layers");
    let unpacked = bazel.workspace.join("unpacked");
    fs::create_dir(&unpacked).unwrap();
    let mut names = Vec::new();
    for layer in fs::read_dir(&place).unwrap().map(|entry| entry.unwrap().path()) {
        // Bazel leaves the files of arguments beside outputs.
        if layer.extension().is_some_and(|extension| extension == "params") {
            continue;
        }
        names.push(layer.file_name().unwrap().to_str().unwrap().to_owned());
        succeed(Command::new("tar").arg("-xzf").arg(&layer).arg("-C").arg(&unpacked));
    }
    names.sort();
    let expected = ["_packages", "beta-package", "environment", "sources"];
    assert_eq!(names, expected.map(|name| format!("{name}.tar.gz")));
    // The layers, each made by a step that knows nothing of the others, are the environment of the
    // image, which is made as a whole.
    let in_image = rootfs(&bazel, "image", "app").join("srv/app");
    assert_eq!(digest(&unpacked.join("srv/app")), digest(&in_image), "{version:?}");
    // Another image on that one has its files, too.
    bazel.succeed("build", &["--", "//:based_image"]);
    let root = rootfs(&bazel, "based_image", "based");
    assert_eq!(digest(&root.join("srv/app")), digest(&in_image), "{version:?}");
    assert!(
        root.join("opt/based/pyvenv.cfg").is_file()
            && !root.join("opt/based/first_party.py").exists()
    );
    // An edited source packs one layer again.
    assert_eq!(bazel.executed("build", &layers), BTreeMap::new());
    bazel.write("library/source/first_party.py", b"VALUE = 'first party 1'\n# edited\n");
    let again = BTreeMap::from([("PyVenvLayer".to_owned(), 1)]);
    assert_eq!(bazel.executed("build", &layers), again, "{version:?}");
    // What is known of an environment is made when somebody asks for it.
    bazel.succeed("build", &["--output_groups=sbom,provenance,licenses", "--", "//:env"]);
    for (end, part) in [
        ("cdx.json", "\"bomFormat\": \"CycloneDX\""),
        ("spdx.json", "\"spdxVersion\": \"SPDX-2.3\""),
        ("intoto.json", "https://slsa.dev/provenance/v1"),
    ] {
        let text = bazel.read(&format!("bazel-bin/env.{end}"));
        assert!(text.contains(part) && text.contains("beta-package"), "{end}: {text}");
    }
    let licenses = bazel.read("bazel-bin/env.licenses.txt");
    assert!(licenses.contains("Beta.Package  2.0  unknown\n"), "{licenses}");
}

with_bazel!(images_are_made_of_layers {
    bazel_4_makes_images_of_layers: Four,
    bazel_7_makes_images_of_layers: SevenModules,
});

/// The layers that a target made, by name.
fn layers(bazel: &Bazel, target: &str) -> BTreeMap<String, Vec<u8>> {
    let place = bazel.workspace.join(format!("bazel-bin/{target}.layers"));
    let files = fs::read_dir(place).unwrap().map(|entry| entry.unwrap().path());
    let layers = files.filter(|path| path.extension().is_some_and(|end| end == "gz"));
    let named = |path: PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap().trim_end_matches(".tar.gz");
        (name.to_owned(), fs::read(&path).unwrap())
    };
    layers.map(named).collect()
}

/// What runs in an image that has its interpreter.
const PROGRAM: &str = r#"
import os, ssl, sys
import alpha, beta_package, first_party
assert os.getuid() == 65532, os.getuid()
assert (sys.prefix, sys.base_prefix) == ("/srv/app", "/srv/app/.python"), (sys.prefix, sys.base_prefix)
assert os.__file__.startswith("/srv/app/.python/lib/"), os.__file__
try:
    open("/srv/app/new", "w")
except OSError as error:
    print(error.errno, alpha.VALUE, first_party.VALUE)
"#;

/// An interpreter that is part of the build is in the image, and nothing of it elsewhere.
fn interpreters_go_into_images(version: Version) {
    let _alone = alone();
    let bazel = Bazel::new(version, "a");
    let all =
        ["//:inbuild_layers", "//:inbuild_beta_layers", "//:inbuild_image", "//:inbuild_archive"];
    bazel.succeed("build", &[&["--"][..], &all].concat());
    let [both, beta] =
        ["inbuild_layers", "inbuild_beta_layers"].map(|target| layers(&bazel, target));
    let names: Vec<&str> = both.keys().map(String::as_str).collect();
    assert_eq!(names, ["_packages", "alpha", "environment", "interpreter", "sources"]);
    // What images with the same interpreter have in common is the same layer.
    for shared in ["_packages", "environment", "interpreter"] {
        assert!(both[shared] == beta[shared], "{version:?}: {shared}");
    }
    assert_eq!(beta.len(), 3);
    let unpacked = bazel.workspace.join("unpacked");
    fs::create_dir(&unpacked).unwrap();
    for name in &names {
        let layer = bazel.workspace.join(format!("bazel-bin/inbuild_layers.layers/{name}.tar.gz"));
        succeed(Command::new("tar").arg("-xzf").arg(layer).arg("-C").arg(&unpacked));
    }
    let root = rootfs(&bazel, "inbuild_image", "app");
    let in_image = root.join("srv/app");
    assert_eq!(digest(&unpacked.join("srv/app")), digest(&in_image), "{version:?}");

    // Elsewhere, with the libraries of a system, but without its Python.
    let python = Utf8Path::from_path(relocatable_python()).unwrap();
    let modules = format!("{python}/lib/python3.11/lib-dynload/*.so {python}/bin/python3.11");
    let root = Utf8Path::from_path(&root).unwrap();
    fill_root(root, &[], &modules);
    assert!(!root.join("usr/bin/python3").exists() && !root.join("root/.pyenv").exists());
    let bundle = root.parent().unwrap();
    assert_eq!(run_bundle(bundle, &[]), "alpha 1\n", "{version:?}");
    let said = run_bundle(bundle, &["/srv/app/bin/python", "-c", PROGRAM]);
    assert_eq!(said, "30 alpha 1 first party 1\n", "{version:?}");

    // An archive has it, too, and is used wherever it is unpacked.
    let place = bazel.workspace.join("moved é");
    fs::create_dir(&place).unwrap();
    let archive = bazel.workspace.join("bazel-bin/inbuild_archive.tar");
    succeed(Command::new("tar").arg("-xf").arg(archive).arg("-C").arg(&place));
    let program = "import first_party, sys; print(first_party.VALUE, sys.base_prefix)";
    let said = succeed(Command::new(place.join("bin/python")).args(["-c", program]));
    assert_eq!(said, format!("first party 1 {}\n", place.join(".python").display()));

    // Neither an edited source nor a changed wheel packs it again.
    let flags = ["--", "//:inbuild_layers"];
    assert_eq!(bazel.executed("build", &flags), BTreeMap::new());
    bazel.write("library/source/first_party.py", b"VALUE = 'first party 1'\n# edited\n");
    let again = BTreeMap::from([("PyVenvLayer".to_owned(), 1)]);
    assert_eq!(bazel.executed("build", &flags), again, "{version:?}");
    bazel.write("wheels/alpha/alpha.py", b"VALUE = 'alpha 2'\ndef main():\n    print(VALUE)\n");
    let counts = bazel.executed("build", &flags);
    assert_eq!(counts.get("PyVenvLayer"), Some(&1), "{version:?}: {counts:?}");
    let after = layers(&bazel, "inbuild_layers");
    let changed = both.keys().filter(|name| after[*name] != both[*name]);
    assert_eq!(changed.collect::<Vec<_>>(), ["alpha", "sources"]);
}

with_bazel!(interpreters_go_into_images {
    bazel_4_puts_interpreters_into_images: Four,
    bazel_7_puts_interpreters_into_images: SevenModules,
});

/// Another machine, without a cache in common, makes the same bytes.
fn machines_make_the_same(version: Version) {
    let _alone = alone();
    let targets = ["--", "//:layers", "//:inbuild_layers", "//:image"];
    let made = ["a", "another-machine"].map(|name| {
        let bazel = Bazel::new(version, name);
        bazel.succeed("build", &targets);
        let image = bazel.read("bazel-bin/image.oci/index.json");
        (["layers", "inbuild_layers"].map(|target| layers(&bazel, target)), image)
    });
    assert!(made[0] == made[1], "{version:?}");
}

with_bazel!(machines_make_the_same {
    bazel_4_makes_the_same_layers_and_images_on_two_machines: Four,
    bazel_7_makes_the_same_layers_and_images_on_two_machines: Seven,
});
