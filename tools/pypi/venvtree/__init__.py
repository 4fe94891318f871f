"""venvtree is a program; this package is how Python finds it: `python -m venvtree`, and `venvtree.program()`."""

import os
import sys
import sysconfig

__all__ = ["program"]


def program():
    """The path of the program that was installed with this package."""
    name = "venvtree" + (sysconfig.get_config_var("EXE") or "")
    package = os.path.dirname(os.path.abspath(__file__))
    folders = [
        sysconfig.get_path("scripts"),
        # `pip install --target FOLDER`
        os.path.join(os.path.dirname(package), "bin"),
        # `pip install --prefix FOLDER`: FOLDER/lib/python3.X/site-packages/venvtree
        os.path.join(os.path.dirname(package), "..", "..", "..", "bin"),
        sysconfig.get_path("scripts", os.name + "_user"),
    ]
    # Beside this package first: with several installations, the one that was imported counts.
    for folder in sorted(folders, key=lambda folder: not same_tree(package, folder)):
        path = os.path.join(folder, name)
        if os.path.isfile(path):
            return os.path.normpath(path)
    raise FileNotFoundError("found no program `{}` in {}".format(name, ", ".join(map(os.path.normpath, folders))))


def same_tree(package, folder):
    """Whether the folder of programs is in the same environment as the package."""
    return os.path.normpath(package).startswith(os.path.dirname(os.path.normpath(folder)) + os.sep)


def main():
    """Runs the program with this process's arguments, in place of this process."""
    path = program()
    if os.name == "nt":
        import subprocess

        sys.exit(subprocess.call([path, *sys.argv[1:]]))
    os.execv(path, [path, *sys.argv[1:]])
