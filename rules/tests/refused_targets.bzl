"""Targets that the rules refuse at analysis, each with what the message must hold."""

load("//rules:defs.bzl", "py_venv", "py_venv_archive", "py_venv_binary", "py_venv_link", "py_wheel", "venvtree_interpreter")
load(":analysis_tests.bzl", "failure_test")

_SYSTEM = "/usr/bin/python3"
_LINUX = "linux-x86_64-glibc-2.36"

def refused_targets(name):
    """Declares the refused targets, and for each the test that it is refused for this reason.

    Args:
      name: the name of a target that yields no wheel.
    """
    native.filegroup(name = name, tags = ["manual"])
    _refused_interpreters()
    _refused_environments(no_wheel = name)
    _refused_programs()

def _refused(rule, name, message, **attributes):
    rule(name = name, tags = ["manual"], **attributes)
    failure_test(name = name + "_test", size = "small", message = message, target = name)

def _refused_interpreters():
    _refused(venvtree_interpreter, "no_version", "add `version = ", path = _SYSTEM, platform = _LINUX)
    _refused(venvtree_interpreter, "no_platform", "add `platform = ", path = _SYSTEM, version = "3.11.7")

    message = "expected one of `runtime` (a label) and `path` (an absolute path); found both"
    both = {"path": _SYSTEM, "runtime": "sample.py"}
    _refused(venvtree_interpreter, "both", message, platform = "linux-x86_64", version = "3.11.7", **both)

    message = "`path` has \"/usr/bin/python3\\n\"; expected one line"
    _refused(venvtree_interpreter, "two_lines_of_interpreter", message, path = _SYSTEM + "\n", platform = _LINUX, version = "3.11.7")

    message = "`path` leads to `python3`; expected an absolute path"
    _refused(venvtree_interpreter, "relative_interpreter", message, path = "python3", platform = _LINUX, version = "3.12.9")

    windows = {"platform": "windows-x86_64", "version": "3.12.9"}
    message = "`path` leads to `/usr/bin/python3`; expected a program of Windows"
    _refused(venvtree_interpreter, "no_program_of_windows", message, path = _SYSTEM, **windows)
    message = "`path` leads to `Python312/python.exe`; expected a path with its drive"
    _refused(venvtree_interpreter, "no_drive", message, path = "Python312/python.exe", **windows)

    venvtree_interpreter(name = "windows_python", path = "C:\\Python312\\python.exe", tags = ["manual"], **windows)
    message = "needs the launcher `t64.exe`, and there is none; give it as `launchers` of the `venvtree_interpreter`"
    _refused(py_venv, "no_launchers", message, interpreter = ":windows_python", wheels = [":sample_wheel"])

def _refused_environments(no_wheel):
    message = "`wheels` has //rules/tests:%s, which yields no .whl file" % no_wheel
    _refused(py_venv, "no_wheel", message, wheels = [no_wheel])

    message = "`exclude` names `other`, but `wheels` has no wheel of that name"
    _refused(py_venv, "unused_exclude", message, exclude = {"other": ["**"]}, wheels = [":sample_wheel"])

    message = "rules/tests:two_lines_of_path: `path` has \"a\\nb\"; expected one line"
    _refused(py_venv_link, "two_lines_of_path", message, path = "a\nb", venv = ":env")

    message = "`prefix` has \"a\\n--out\"; expected one line"
    _refused(py_venv_archive, "two_lines_of_prefix", message, format = "zip", prefix = "a\n--out", venv = ":env")

    message = "`requires` has \"a\\nName: other\"; expected one line"
    wheel = {"distribution": "lines", "srcs": ["sample.py"], "version": "1.0"}
    _refused(py_wheel, "two_lines_of_requires", message, requires = ["a\nName: other"], **wheel)

def _refused_programs():
    program = {"main": "program.py", "srcs": ["program.py"], "venv": ":env"}

    message = "expected one of `main`, `module` and `script`; found `main` and `module`"
    _refused(py_venv_binary, "two_mains", message, module = "program", **program)

    message = "rules/tests:no_variable: `env` has \"A;touch x\", which is no name of a variable"
    _refused(py_venv_binary, "no_variable", message, env = {"A;touch x": "1"}, **program)

    message = "`imports` has \"a\\n_VT_ROOTS\"; expected one line"
    _refused(py_venv_binary, "two_lines_of_imports", message, imports = ["a\n_VT_ROOTS"], **program)
