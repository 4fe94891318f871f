"""`py_venv_test`: a test that runs in an environment."""

load("@venvtree_host//:host.bzl", "BAZEL_MAJOR")
load("//rules/common:attributes.bzl", "TEST")
load("//rules/common:label.bzl", "label_text")
load("//rules/common:start.bzl", "choose_tests", "pytest_plugins")
load(":attributes.bzl", "attributes")
load(":binary.bzl", "PROGRAM_ATTRS", "program", "start_of")

_HAS_COVERAGE_FRAGMENT = BAZEL_MAJOR >= 6

def _py_venv_test_impl(ctx):
    if ctx.attr.pytest:
        for name in ["main", "module", "script"]:
            if getattr(ctx.attr, name):
                fail("%s: `%s` does not go with `pytest`, which runs `srcs`; remove one" % (label_text(ctx.label), name))
        files = choose_tests(ctx.label.name, ctx.files.srcs)
        if files.error:
            fail("%s: %s" % (label_text(ctx.label), files.error))
        start = struct(kind = "pytest", name = pytest_plugins(ctx.attr), files = files.value)
    else:
        start = start_of(ctx)
    return program(ctx, start, runner = ctx.file._runner) + _inherited(ctx)

def _inherited(ctx):
    """What tells Bazel of variables that it hands on."""
    if not ctx.attr.env_inherit:
        return []
    if BAZEL_MAJOR < 6:
        fail("%s: `env_inherit` needs Bazel 6 or newer; name the variables with `--test_env`" % label_text(ctx.label))
    return [testing.TestEnvironment({}, ctx.attr.env_inherit)]

py_venv_test = rule(
    implementation = _py_venv_test_impl,
    doc = """A test that runs in an environment, with the attributes of `py_venv_binary`.

With `pytest = True`, pytest runs those of `srcs` that are named as tests, and Bazel's shards, `--test_filter`, fail-fast mode, XML and temporary
directory are pytest's. Otherwise the program finds Bazel's variables in its environment. `TMPDIR` is left alone: sockets of
`multiprocessing` do not fit into a test's own directory, whose path is too long. `bazel coverage` measures with coverage.py where the environment has it.""",
    attrs = dict({
        "env_inherit": attr.string_list(
            doc = "Variables of the environment that Bazel is called in which the test sees. Needs Bazel 6.",
        ),
        "_runner": attr.label(
            default = Label("//rules/private/runtime:run_test.py"),
            allow_single_file = True,
        ),
        "_lcov_merger": attr.label(
            # Without a merger Bazel collects no coverage; only newer ones know where theirs is without being told.
            default = configuration_field(fragment = "coverage", name = "output_generator") if _HAS_COVERAGE_FRAGMENT else "@bazel_tools//tools/test:lcov_merger",
            executable = True,
            cfg = "exec",
        ),
    }, **dict(attributes(TEST), **PROGRAM_ATTRS)),
    fragments = ["coverage"] if _HAS_COVERAGE_FRAGMENT else [],
    test = True,
)
