"""What a binary or a test starts. Files are whatever the build system calls a file; only their `basename` is looked at.

Nothing here fails: a function that can refuse its input returns a struct of `value` and `error`, and the rule adds the label.
"""

def choose_start(name, main, module, script, srcs):
    """What the attributes `main`, `module` and `script` say to start.

    Args:
      name: the rule's name.
      main: a file, or None.
      module: the name of a module, or an empty text.
      script: the name of a script of the environment, or an empty text.
      srcs: the rule's sources, a list of files.

    Returns:
      A struct: `value` is a struct of `kind` and `file` (kind `main`) or `name` (kinds `module` and `script`), or None;
      `error` says what was wrong, or None.
    """
    given = [attribute for attribute, value in [("main", main), ("module", module), ("script", script)] if value]
    if len(given) > 1:
        return _refused("expected one of `main`, `module` and `script`; found %s" % " and ".join(["`%s`" % attribute for attribute in given]))
    if module:
        return _accepted(struct(kind = "module", name = module))
    if script:
        if "/" in script:
            return _refused("`script` is `%s`; expected the name of a script in the environment's `bin`, without a directory" % script)
        return _accepted(struct(kind = "script", name = script))
    if main:
        return _accepted(struct(kind = "main", file = main))
    named = [file for file in srcs if file.basename == name.split("/")[-1] + ".py"]
    candidates = named or srcs
    if len(candidates) == 1:
        return _accepted(struct(kind = "main", file = candidates[0]))
    return _refused("it is not clear what to run; add `main = \"FILE.py\"`, `module = \"package.module\"` or `script = \"NAME\"` (a script of the environment)")

def choose_tests(name, srcs):
    """Which of a test's sources pytest runs: those that are named as tests, else all but `conftest.py` and `__init__.py`.

    Args:
      name: the rule's name.
      srcs: the rule's sources, a list of files.

    Returns:
      A struct: `value` is a list of files, or None; `error` says what was wrong, or None.
    """
    modules = [file for file in srcs if file.basename.endswith(".py")]
    tests = [file for file in modules if file.basename.startswith("test_") or file.basename.endswith("_test.py")]
    files = tests or [file for file in modules if file.basename not in ["conftest.py", "__init__.py"]]
    if not files:
        return _refused("`srcs` has nothing for pytest to run; add a file such as `test_%s.py`" % name)
    return _accepted(files)

def pytest_plugins(attributes):
    """How pytest loads plugins, for `runtime/run_test.py`.

    Args:
      attributes: the rule's attributes.

    Returns:
      A word.
    """
    return "autoload" if attributes.pytest_autoload else "named"

def _accepted(value):
    return struct(value = value, error = None)

def _refused(error):
    return struct(value = None, error = error)
