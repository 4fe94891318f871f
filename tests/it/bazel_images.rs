//! `py_venv_layers`, `py_venv_image` and the documents about environments, in Bazel.
#![cfg(feature = "remote")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::bazel::{Bazel, Version, alone, tool, with_bazel};
use crate::support::commands::succeed;

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
