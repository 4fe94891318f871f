"""What it does.

At length."""

import json
import multiprocessing
import os
import sys


def square(number):
    return number * number


def report(name, doc):
    spawned = []
    if "spawn" in sys.argv:
        with multiprocessing.get_context("spawn").Pool(2) as pool:
            spawned = pool.map(square, [1, 2, 3])
    if os.environ.get("DOC") == "none":
        doc = "What it does.\n\nAt length." if doc is None else "kept under -OO"
    leaked = [key for key in os.environ if key.startswith("_vt_") or key == "__PYVENV_LAUNCHER__"]
    print(json.dumps({
        "argv": sys.argv, "prefix": sys.prefix, "executable": sys.executable, "spawned": spawned,
        "name": name, "doc": doc, "leaked": leaked,
    }))


class Application:
    @staticmethod
    def main():
        if sys.argv[1:] == ["fail"]:
            return 7
        report(sys.modules["__main__"].__name__, __doc__)
