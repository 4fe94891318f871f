"""Runs a test as Bazel wants it: `run_test.py KIND WHAT [FILE…] -- [ARGUMENT…]`.

KIND is `pytest` (FILEs are what to run; WHAT is `autoload` where pytest itself is to load plugins, or `named`), or `main`, `module` or `script` to run WHAT with coverage. See Bazel's "Test encyclopedia" for the
variables.
"""

import os
import re
import runpy
import sys


class _Bazel:
    """A plugin of pytest: Bazel's shards and filters."""

    def __init__(self, environ):
        self.index = int(environ.get("TEST_SHARD_INDEX", "0"))
        self.total = int(environ.get("TEST_TOTAL_SHARDS", "0") or "0")
        self.node = environ.get("TESTBRIDGE_TEST_ONLY", "")
        if "::" not in self.node:
            self.node = ""

    def pytest_collection_modifyitems(self, config, items):
        kept = [item for item in items if self.node in item.nodeid]
        if self.total > 1:
            kept = kept[self.index :: self.total]
        chosen = {id(item) for item in kept}
        dropped = [item for item in items if id(item) not in chosen]
        if dropped:
            config.hook.pytest_deselected(items=dropped)
            items[:] = kept


_PLUGINS = "venvtree_pytest_plugins"


def _load_plugins_lightly(environ):
    """Has the plugins of the environment loaded as pytest does by itself, but without rewriting everything that they are installed with.

    By itself, pytest rewrites and compiles, at each start, all modules of all distributions that have a plugin. Only the plugins' own modules
    are rewritten here: in other ones of these distributions, `assert` says nothing of the values.
    """
    disable = "PYTEST_DISABLE_PLUGIN_AUTOLOAD"
    if environ.get(disable):
        return
    import types

    # pytest imports what PYTEST_PLUGINS names right after it would have loaded plugins: after `-p` was considered, before options are read.
    loader = types.ModuleType(_PLUGINS, "PYTEST_DONT_REWRITE")
    others = environ.get("PYTEST_PLUGINS")
    done = []

    def registered(manager):
        # Called for each plugin that there is, the first time while this one is registered.
        if done:
            return
        done.append(True)
        # Other processes that run pytest do as ever.
        del environ[disable]
        if others is None:
            del environ["PYTEST_PLUGINS"]
        else:
            environ["PYTEST_PLUGINS"] = others
        config = manager.get_plugin("pytestconfig")
        if getattr(getattr(config, "known_args_namespace", None), "disable_plugin_autoload", False):
            return
        import importlib.metadata
        import pytest

        for distribution in importlib.metadata.distributions():
            for point in distribution.entry_points:
                if point.group == "pytest11":
                    pytest.register_assert_rewrite(point.value.partition(":")[0].strip())
        manager.load_setuptools_entrypoints("pytest11")

    loader.pytest_plugin_registered = registered
    sys.modules[_PLUGINS] = loader
    environ[disable] = "1"
    environ["PYTEST_PLUGINS"] = _PLUGINS + ("," + others if others else "")


def _run_pytest(files, arguments, autoload):
    try:
        import pytest
    except ImportError:
        sys.exit("the environment has no pytest: add its wheel, and those that it requires, to the environment's `wheels`")
    environ = os.environ
    if not autoload:
        _load_plugins_lightly(environ)
    options = ["-p", "no:cacheprovider", "--rootdir=" + os.getcwd()]
    if environ.get("XML_OUTPUT_FILE"):
        options.append("--junitxml=" + environ["XML_OUTPUT_FILE"])
    if environ.get("TEST_TMPDIR"):
        options.append("--basetemp=" + os.path.join(environ["TEST_TMPDIR"], "pytest"))
    only = environ.get("TESTBRIDGE_TEST_ONLY", "")
    if only and "::" not in only:
        # `Class.method` is how unittest and other languages write it.
        options += ["-k", " and ".join(only.split(".")) if re.match(r"^\w+(\.\w+)+$", only) else only]
    if environ.get("TESTBRIDGE_TEST_RUNNER_FAIL_FAST") == "1":
        options.append("-x")
    sharded = int(environ.get("TEST_TOTAL_SHARDS", "0") or "0") > 1
    if environ.get("TEST_SHARD_STATUS_FILE"):
        open(environ["TEST_SHARD_STATUS_FILE"], "w").close()
    code = int(pytest.main(options + arguments + files, plugins=[_Bazel(environ)]))
    if code == 5 and (only or sharded):
        # Another shard has the tests, or the filter is for another test.
        return 0
    return code


def _run_program(kind, what, arguments):
    if kind == "module":
        sys.argv = [what] + arguments
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        sys.argv = [what] + arguments
        runpy.run_path(what, run_name="__main__")
    return 0


def _guarded(run):
    try:
        return run()
    except SystemExit as exit:
        if exit.code is None:
            return 0
        if isinstance(exit.code, int):
            return exit.code
        print(exit.code, file=sys.stderr)
        return 1


def _with_coverage(run):
    """Runs with coverage.py, and leaves an lcov report of the instrumented sources where Bazel collects such reports."""
    environ = os.environ
    try:
        import coverage
    except ImportError:
        print("no coverage is measured: the environment has no `coverage`; add its wheel to the environment's `wheels`", file=sys.stderr)
        return run()
    sources = {}
    with open(environ["COVERAGE_MANIFEST"]) as manifest:
        for line in manifest:
            path = line.strip()
            if path.endswith(".py"):
                runfile = re.sub(r"^(bazel-out/[^/]+/bin/)?(external/)?", lambda found: "../" if found.group(2) else "", path)
                sources[os.path.realpath(runfile)] = path
    if not sources:
        # No source is instrumented; coverage.py would take an empty list for all that there are.
        return run()
    data = os.path.join(environ.get("TEST_TMPDIR", environ["COVERAGE_DIR"]), ".coverage")
    measure = coverage.Coverage(data_file=data, branch=True, config_file=False, include=sorted(sources) + [os.path.abspath(path) for path in sources.values()])
    measure.start()
    try:
        code = run()
    finally:
        measure.stop()
        measure.save()
    report = os.path.join(environ["COVERAGE_DIR"], "python.lcov")
    try:
        measure.lcov_report(outfile=report)
    except coverage.exceptions.NoDataError:
        return code
    with open(report) as file:
        lines = file.read().splitlines()
    os.remove(report)
    with open(os.path.join(environ["COVERAGE_DIR"], "python.dat"), "w") as file:
        for line in lines:
            if line.startswith("SF:"):
                path = os.path.realpath(line[len("SF:") :])
                line = "SF:" + sources.get(path, line[len("SF:") :])
            file.write(line + "\n")
    return code


def main():
    kind, what = sys.argv[1:3]
    end = sys.argv.index("--")
    files, arguments = sys.argv[3:end], sys.argv[end + 1 :]
    # Bazel takes a test that leaves this file behind for one that ended too early, whatever its exit code.
    unfinished = os.environ.get("TEST_PREMATURE_EXIT_FILE")
    if unfinished:
        open(unfinished, "w").close()
    if kind == "pytest":
        run = lambda: _run_pytest(files, arguments, autoload=what == "autoload")
    else:
        run = lambda: _guarded(lambda: _run_program(kind, what, arguments))
    code = _with_coverage(run) if os.environ.get("COVERAGE_DIR") else run()
    if unfinished and os.path.exists(unfinished):
        os.remove(unfinished)
    return code


if __name__ == "__main__":
    sys.exit(main())
