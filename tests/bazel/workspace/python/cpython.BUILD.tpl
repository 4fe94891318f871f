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
    version = "@VERSION@",
)
