"""Puts first-party import roots first on `sys.path`, for a program of the build and for the Pythons that it starts.

The file that starts the program puts this file's directory on PYTHONPATH, which children inherit, and says the rest in
variables:

VENVTREE_PREFIX    the environment: another Python that inherits the variables is left alone
VENVTREE_RUNFILES  the runfiles directory, or a manifest where there is none
VENVTREE_ROOTS     import roots, one a line, relative to the runfiles directory
VENVTREE_MAIN      the main program's directory, for the first Python only
VENVTREE_DEBUG     which debugger the first Python starts: `pdb`, or `debugpy`, which waits at `debugpy:PORT` or `debugpy:HOST:PORT`
"""

import os
import sys


def _install():
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry) != here]
    main = os.environ.pop("VENVTREE_MAIN", None)
    if not _same(sys.prefix, os.environ.get("VENVTREE_PREFIX")):
        return
    runfiles = os.environ["VENVTREE_RUNFILES"]
    roots = os.environ["VENVTREE_ROOTS"].split("\n")
    if os.path.isdir(runfiles):
        entries = []
        for root in roots:
            entry = os.path.join(runfiles, *root.split("/"))
            if entry not in entries and os.path.isdir(entry):
                entries.append(entry)
        sys.path[:0] = entries
    else:
        sys.meta_path.insert(0, _Manifest(runfiles, roots))
    if main and main not in sys.path:
        # Last, so that a file beside the main program hides nothing.
        sys.path.append(main)
    _debug()


class _Manifest:
    """Finds first-party modules where a manifest says that runfiles are, because there is no directory of them."""

    def __init__(self, manifest, roots):
        # What this needs is imported before Python asks it for every import.
        from importlib import machinery, util

        self.machinery = machinery
        self.util = util
        self.files = {}
        self.directories = set()
        with open(manifest, encoding="utf-8", errors="surrogateescape", newline="\n") as lines:
            for line in lines:
                key, path = _entry(line.rstrip("\n"))
                self.files[key] = path
                while "/" in key:
                    key = key.rpartition("/")[0]
                    self.directories.add(key)
        self.roots = roots

    def find_spec(self, name, path=None, target=None):
        spec_of = self.util.spec_from_file_location
        places = [root + "/" + name.replace(".", "/") for root in self.roots]
        for place in places:
            found = self.files.get(place + "/__init__.py")
            if found:
                return spec_of(name, found, submodule_search_locations=[os.path.dirname(found)])
            for suffix in self.machinery.EXTENSION_SUFFIXES + [".py"]:
                found = self.files.get(place + suffix)
                if found:
                    return spec_of(name, found)
        if any(place in self.directories for place in places):
            namespace = self.machinery.ModuleSpec(name, None)
            namespace.submodule_search_locations = []
            return namespace
        return None


def _entry(line):
    """A runfile and where it is, from a line of a manifest; one that begins with a space is escaped."""
    if not line.startswith(" "):
        key, _, path = line.partition(" ")
        return key, path
    key, _, path = line[1:].partition(" ")
    key = key.replace("\\s", " ")
    return [text.replace("\\n", "\n").replace("\\b", "\\") for text in (key, path)]


def _debug():
    """Starts the debugger that was asked for: children of the program are not debugged."""
    how, _, place = os.environ.pop("VENVTREE_DEBUG", "").partition(":")
    if how == "pdb":
        sys.settrace(_stop_in_main)
    elif how == "debugpy":
        try:
            import debugpy
        except ImportError:
            _refuse("VENVTREE_DEBUG is `debugpy`, and the environment has no debugpy: add its wheel to the environment's `wheels`")
        host, _, port = place.rpartition(":")
        if not (port or "0").isdecimal():
            _refuse("VENVTREE_DEBUG names the port `%s`; expected a number" % port)
        place = (host or "127.0.0.1", int(port or "5678"))
        debugpy.listen(place)
        print("debugpy waits at %s:%d" % place, file=sys.stderr, flush=True)
        debugpy.wait_for_client()
    elif how:
        _refuse("VENVTREE_DEBUG is `%s`; expected `pdb`, `debugpy`, `debugpy:PORT` or `debugpy:HOST:PORT`" % how)


def _refuse(why):
    # An exception here would be said to be one of Python itself.
    print(why, file=sys.stderr, flush=True)
    os._exit(1)


def _stop_in_main(frame, event, argument):
    """Waits, as a trace function, for the first line of the main program."""
    if event != "call" or frame.f_code.co_name != "<module>" or frame.f_globals.get("__name__") != "__main__":
        return None
    sys.settrace(None)
    import pdb

    pdb.Pdb().set_trace(frame)
    return sys.gettrace()


def _same(one, other):
    if not other:
        return False
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False


def _next():
    """Runs the `sitecustomize` that this one hides, if there is one."""
    from importlib.machinery import PathFinder

    spec = PathFinder.find_spec("sitecustomize", sys.path)
    if spec is None or spec.loader is None:
        return
    from importlib.util import module_from_spec

    module = module_from_spec(spec)
    sys.modules["sitecustomize"] = module
    spec.loader.exec_module(module)


_install()
_next()
