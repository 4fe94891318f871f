"""The probe in an environment: what it finds as a program, and as a test."""

load("@venvtree//rules:defs.bzl", "py_venv_binary", "py_venv_test")

def probe(name, venv, srcs, **program):
    """Declares the probe as the program `name` and as the test `name` + "_test".

    Args:
      name: the name of the program.
      venv: the environment.
      srcs: files of the probe. Of more than one, probe.py is what starts.
      **program: what the program has besides.
    """
    main = "probe.py" if len(srcs) > 1 else None
    py_venv_binary(name = name, srcs = srcs, main = main, venv = venv, deps = ["//library"], **program)
    py_venv_test(name = name + "_test", size = "small", srcs = srcs, main = "probe.py", venv = venv, deps = ["//library"])
