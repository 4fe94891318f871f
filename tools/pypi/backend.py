"""Makes venvtree's own wheels and source distribution. Its front ends: pip, by PEP 517, and tools/dist.

A wheel holds the program, which is packed by its own `wheel pack`; a package for `python -m venvtree`; and, in those that are released,
the wheels that `venvtree create` begins with, and launchers for environments for Windows. A source distribution holds the files of the crate, and builds with cargo.
"""

import gzip
import hashlib
import io
import os
import re
import subprocess
import sysconfig
import tarfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
# What of cargo's list of files is made by cargo.
MADE_BY_CARGO = {"Cargo.toml.orig", ".cargo_vcs_info.json"}
# 1980-01-01, as in all archives that venvtree writes.
MTIME = 315532800
PYPROJECT = (HERE / "pyproject.toml").read_text(encoding="utf-8")


def field(name):
    """A text of the crate's manifest; Pythons before 3.11 have no reader of TOML."""
    manifest = (ROOT / "Cargo.toml").read_text(encoding="utf-8")
    return re.search(r'^{} = "(.*)"$'.format(name), manifest, re.MULTILINE).group(1)


def version():
    return field("version")


def metadata(licences=("LICENSE",)):
    lines = [
        "Metadata-Version: 2.4",
        "Name: venvtree",
        "Version: " + version(),
        "Summary: " + field("description"),
        "License-Expression: " + field("license"),
        *("License-File: " + name for name in licences),
        "Keywords: virtualenv,venv,wheel,bazel,buck2,reproducible",
        "Classifier: Development Status :: 4 - Beta",
        "Classifier: Environment :: Console",
        "Classifier: Operating System :: POSIX :: Linux",
        "Classifier: Operating System :: MacOS",
        "Classifier: Programming Language :: Rust",
        "Classifier: Programming Language :: Python :: 3",
        "Classifier: Topic :: Software Development :: Build Tools",
        "Requires-Python: >=3.8",
        "Description-Content-Type: text/markdown",
    ]
    return "\n".join(lines) + "\n"


def description():
    """The README; links into the repository lead nowhere on an index's page."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    return re.sub(r"\[([^\]]+)\]\((?!https?:)[^)]*\)", r"\1", readme)


def wheel(out, tag, program, scratch, packer=None, shared=None, licences=(), sbom=None):
    """Packs a wheel of a program with a tag such as `py3-none-any`, into the directory `out`; returns its path.

    `shared` has the files of each folder of share/venvtree.
    """
    stem = "venvtree-" + version()
    path = Path(out) / "{}-{}.whl".format(stem, tag)
    licences = [ROOT / "LICENSE", *licences]
    (scratch / "METADATA").write_text(metadata([file.name for file in licences]), encoding="utf-8")
    (scratch / "README.md").write_text(description(), encoding="utf-8")
    suffix = ".exe" if program.suffix == ".exe" else ""
    files = {stem + ".data/scripts/venvtree" + suffix: program}
    for name in ("__init__.py", "__main__.py"):
        files["venvtree/" + name] = HERE / "venvtree" / name
    for file in licences:
        files["{}.dist-info/licenses/{}".format(stem, file.name)] = file
    for folder, found in (shared or {}).items():
        for file in found:
            files["{}.data/data/share/venvtree/{}/{}".format(stem, folder, file.name)] = file
    if sbom:
        files["{}.dist-info/sboms/{}".format(stem, sbom.name)] = sbom
    command = [packer or program, "wheel", "pack", "--quiet", "--out", path]
    command += ["--metadata", scratch / "METADATA", "--description", scratch / "README.md"]
    for name, file in files.items():
        command += ["--file", "{}={}".format(name, file)]
    subprocess.run([str(argument) for argument in command], check=True)
    return path


def sdist(out):
    """Writes the source distribution into the directory `out`; returns its path."""
    stem = "venvtree-" + version()
    listing = subprocess.run(
        ["cargo", "package", "--list", "--allow-dirty", "--offline"], cwd=ROOT, check=True, stdout=subprocess.PIPE, universal_newlines=True
    )
    names = (name for name in listing.stdout.splitlines() if name not in MADE_BY_CARGO and "__pycache__" not in name)
    files = {name: (ROOT / name).read_bytes() for name in names}
    files["PKG-INFO"] = (metadata() + "\n" + description()).encode()
    files["pyproject.toml"] = PYPROJECT.replace('backend-path = ["."]', 'backend-path = ["tools/pypi"]').encode()
    entries = []
    for name, content in files.items():
        executable = (ROOT / name).exists() and os.access(ROOT / name, os.X_OK)
        entries.append(("{}/{}".format(stem, name), content, executable))
    path = Path(out) / (stem + ".tar.gz")
    path.write_bytes(tar_gz(entries))
    return path


def tar_gz(entries):
    """An archive of (name, content, whether it is executable); the same bytes for the same entries."""
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", filename="", mtime=MTIME) as stream:
        with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for name, content, executable in sorted(entries):
                member = tarfile.TarInfo(name)
                member.size, member.mtime, member.mode = len(content), MTIME, 0o755 if executable else 0o644
                archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def write_sums(out):
    """Writes SHA256SUMS of all other files of a directory, as `sha256sum --check` reads it."""
    files = sorted(file for file in out.iterdir() if file.is_file() and file.name != "SHA256SUMS")
    lines = ("{}  {}\n".format(hashlib.sha256(file.read_bytes()).hexdigest(), file.name) for file in files)
    (out / "SHA256SUMS").write_text("".join(lines), encoding="utf-8")


# What follows is called by front ends of PEP 517.


def build_sdist(sdist_directory, config_settings=None):
    return sdist(sdist_directory).name


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    import tempfile

    target = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").absolute()
    subprocess.run([str(ROOT / "tools/release")], check=True, env=dict(os.environ, CARGO_TARGET_DIR=str(target)))
    tag = "py3-none-" + re.sub(r"[-.]", "_", sysconfig.get_platform())
    with tempfile.TemporaryDirectory() as scratch:
        return wheel(Path(wheel_directory).absolute(), tag, target / "release/venvtree", Path(scratch)).name
