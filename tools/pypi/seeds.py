#!/usr/bin/env python3
"""Brings what our wheels have beside the program into .cache/seeds, once: the wheels of seeds.txt, and the launchers in that of launchers.txt.

What is downloaded has the digests of these lists.
"""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
PLACE = HERE.parents[1] / ".cache/seeds"


def seeds():
    """The wheels that `venvtree create` begins with."""
    return fetch("seeds")


def launchers():
    """The programs that scripts for Windows are made of, and their licence."""
    (wheel,) = fetch("launchers")
    folder = PLACE / "launchers/unpacked"
    if not folder.exists():
        partial = folder.with_name("partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                if name.endswith(".exe"):
                    (partial / Path(name).name).write_bytes(archive.read(name))
                elif name.endswith("/LICENSE.txt"):
                    (partial / "LICENSE-distlib.txt").write_bytes(archive.read(name))
        partial.rename(folder)
    return sorted(folder.glob("*.exe")), folder / "LICENSE-distlib.txt"


def fetch(name):
    lines = [line for line in (HERE / (name + ".txt")).read_text().splitlines() if line and not line.startswith("#")]
    place = PLACE / name
    stamp = place / ".complete"
    if not stamp.exists() or stamp.read_text().splitlines() != lines:
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        # One at a time: there are two versions of one.
        for line in lines:
            requirement = place / "requirement.txt"
            requirement.write_text(line + "\n")
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:"]
            command += ["--python-version=3.12", "--require-hashes", "--dest", place, "--requirement", requirement]
            subprocess.run(command, check=True)
            requirement.unlink()
        stamp.write_text("".join(line + "\n" for line in lines))
    return sorted(place.glob("*.whl"))


if __name__ == "__main__":
    print(*seeds(), *launchers()[0], sep="\n")
