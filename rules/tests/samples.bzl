"""What is made of the sample environment."""

load("//rules:defs.bzl", "py_venv_archive", "py_venv_binary", "py_venv_test")

_SAMPLES = {
    "archive": (py_venv_archive, {"format": "zip"}),
    "program": (py_venv_binary, {"srcs": ["program.py"]}),
    "program_test": (py_venv_test, {"main": "program.py", "size": "small", "srcs": ["program.py"]}),
}

# buildifier: disable=unnamed-macro
def samples(venv):
    """One target of each rule.

    Args:
      venv: the environment.
    """
    for name, (rule, attributes) in _SAMPLES.items():
        rule(name = name, venv = venv, **attributes)
