"""Compares what each script of one folder defines with what its rewritten form in another folder does."""

import os
import runpy
import sys
import warnings


def observe(path):
    values = runpy.run_path(path)
    annotations = {name: str(value) for name, value in values["function"].__annotations__.items()}
    return values["__doc__"], {key: values.get(key) for key in ("value", "lines", "tail", "more")}, annotations


def main(originals, rewritten):
    warnings.simplefilter("error")
    names = sorted(os.listdir(originals))
    for name in names:
        expected, *before = observe(os.path.join(originals, name))
        doc, *after = observe(os.path.join(rewritten, name))
        with open(os.path.join(originals, name), "rb") as script:
            has_future = b"__future__" in script.read()
        if has_future and sys.flags.optimize < 2:
            # The header cannot be taken out of the docstring again: nothing may stand before the import.
            kept = doc.startswith(":'") and doc.rstrip(" ").endswith(expected or "'")
        else:
            # CPython 3.13 and newer cut leading blanks off docstrings.
            kept = doc == expected or doc is not None and doc.lstrip() == expected
        if not kept or before != after:
            print(name, repr(expected), repr(doc), before, after)
            return 1
    print(len(names), "scripts are the same")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
