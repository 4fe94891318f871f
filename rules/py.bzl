"""`py_binary`, `py_test` and `py_library` under the names, and with the attributes, that Bazel's own rules and rules_python have.

Changing the `load` is enough to try them: `docs/bazel.md` has the attributes one by one.
"""

load("//rules/common:migration.bzl", "translate")
load("//rules/private:binary.bzl", "py_venv_binary")
load("//rules/private:library.bzl", _py_library = "py_library")
load("//rules/private:test.bzl", "py_venv_test")

def _attributes(name, attributes):
    translated = translate(attributes)
    if translated.error:
        fail("//%s:%s: %s" % (native.package_name(), name, translated.error))
    return translated.value

def py_library(name, **attributes):
    """Makes a library.

    Args:
      name: its name.
      **attributes: those of other rules' `py_library`.
    """
    _py_library(name = name, **_attributes(name, attributes))

def py_binary(name, **attributes):
    """Makes a program, in an environment of the wheels that its code needs, or in the one that `venv` names.

    Args:
      name: its name.
      **attributes: those of other rules' `py_binary`, and those of `py_venv_binary`.
    """
    py_venv_binary(name = name, **_attributes(name, attributes))

def py_test(name, **attributes):
    """Makes a test, in an environment of the wheels that its code needs, or in the one that `venv` names.

    Args:
      name: its name.
      **attributes: those of other rules' `py_test`, and those of `py_venv_test`.
    """
    py_venv_test(name = name, **_attributes(name, attributes))
