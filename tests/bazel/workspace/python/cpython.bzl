"""An interpreter of this machine as if it were fetched: what an in-build interpreter looks like."""

def _local_cpython_impl(repository_ctx):
    root = repository_ctx.os.environ.get("CONSUMER_CPYTHON")
    if not root:
        fail("CONSUMER_CPYTHON is not set: the directory of a relocatable CPython 3.11")
    for name in ["bin", "lib"]:
        repository_ctx.symlink(root + "/" + name, name)
    repository_ctx.file("BUILD.bazel", """\
load("@venvtree//rules:defs.bzl", "venvtree_interpreter")

package(default_visibility = ["//visibility:public"])

filegroup(
    name = "files",
    srcs = glob(
        ["bin/python3.11", "lib/libpython*", "lib/python3.11/**"],
        exclude = ["lib/python3.11/site-packages/**", "lib/python3.11/test/**", "lib/python3.11/config-*/**", "**/__pycache__/**", "**/* *"],
        allow_empty = True,
    ),
)

py_runtime(
    name = "runtime",
    files = [":files"],
    interpreter = "bin/python3.11",
    python_version = "PY3",
)

venvtree_interpreter(
    name = "python",
    platform = "linux-x86_64-glibc-2.36",
    runtime = ":runtime",
    version = "%s",
)
""" % repository_ctx.os.environ.get("CONSUMER_CPYTHON_VERSION", "3.11.7"))

local_cpython = repository_rule(
    implementation = _local_cpython_impl,
    environ = ["CONSUMER_CPYTHON", "CONSUMER_CPYTHON_VERSION"],
    local = True,
)
