"""What a library of this repository is."""

load("@venvtree//rules:defs.bzl", "py_venv_test")
load("@venvtree//rules:py.bzl", "py_library")

def library(name, venv, deps = []):
    """Makes a library of NAME.py, and runs test_NAME.py with pytest.

    Args:
      name: the package's name, too.
      venv: the environment that the test runs in.
      deps: the libraries that it imports, and packages of the lock.
    """
    py_library(
        name = name,
        srcs = [name + ".py"],
        imports = ["."],
        visibility = ["//visibility:public"],
        deps = deps,
    )
    py_venv_test(
        name = name + "_test",
        size = "small",
        srcs = ["test_%s.py" % name],
        pytest = True,
        venv = venv,
        deps = [":" + name],
    )
