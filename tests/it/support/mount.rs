//! Small file systems of a test's own.

use std::process::Command;

use camino::Utf8PathBuf;

/// A mounted file system; unmounted when dropped.
pub(crate) struct Mount {
    /// Where it is.
    pub(crate) path: Utf8PathBuf,
}

impl Mount {
    /// A file system in memory.
    pub(crate) fn tmpfs(path: Utf8PathBuf, options: &str) -> Self {
        std::fs::create_dir_all(&path).unwrap();
        mount(&["-t", "tmpfs", "-o", options, "tmpfs", path.as_str()]);
        Self { path }
    }

    /// A file system of a kind for which there is a `mkfs`, in a file beside it.
    pub(crate) fn image(kind: &str, path: Utf8PathBuf) -> Self {
        std::fs::create_dir_all(&path).unwrap();
        let image = path.with_extension("image");
        std::fs::File::create(&image).unwrap().set_len(512 << 20).unwrap();
        let made = Command::new(format!("mkfs.{kind}"))
            .args(["-q", image.as_str()])
            .status()
            .expect(".ci/install installs it");
        assert!(made.success());
        mount(&["-o", "loop", image.as_str(), path.as_str()]);
        Self { path }
    }

    /// Changes its options.
    pub(crate) fn remount(&self, options: &str) {
        mount(&["-o", &format!("remount,{options}"), self.path.as_str()]);
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.path.as_str()).status();
    }
}

fn mount(arguments: &[&str]) {
    let status = Command::new("mount").args(arguments).status().expect("mount can be run");
    assert!(status.success(), "this test needs the right to mount");
}
