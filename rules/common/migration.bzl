"""What the attributes of Bazel's own and of rules_python's `py_binary`, `py_test` and `py_library` are here.

A pure function. Attributes of both sides are passed on; those that only the other side has are named here.
"""

def _row(accepted = None, hint = ""):
    """An attribute that means nothing here: with any value, or with those that ask for what is so anyway."""
    return struct(accepted = accepted, hint = hint)

_BYTECODE = _row(hint = "no bytecode is made")

# Attributes that are left out, and what to do instead where a value asks for something else.
LEFT_OUT = {
    "config_settings": _row(accepted = [{}], hint = "build with these flags, or choose with `select()`"),
    "experimental_venvs_site_packages": _row(),
    "legacy_create_init": _row(accepted = ["auto", 0, False, -1], hint = "no `__init__.py` is made; write those that are needed"),
    "precompile": _BYTECODE,
    "precompile_invalidation_mode": _BYTECODE,
    "precompile_optimize_level": _BYTECODE,
    "precompile_source_retention": _BYTECODE,
    "pyc_collection": _BYTECODE,
    "pyi_deps": _row(),
    "pyi_srcs": _row(),
    "python_version": _row(accepted = ["PY3"], hint = "name a `venvtree_interpreter` of that version as `interpreter`"),
    "srcs_version": _row(accepted = ["PY3", "PY3ONLY", "PY2AND3"], hint = "there is Python 3 only"),
    "stamp": _row(accepted = [0, -1, False], hint = "nothing is stamped; pass what is to be known as a file, with `data`"),
}

# Attributes that have another name.
RENAMED = {"main_module": "module"}

def translate(attributes):
    """The attributes of a rule here.

    Args:
      attributes: those of the other rule, a dict.

    Returns:
      A struct: `value` is a dict, or None; `error` says what was wrong, or None.
    """
    result = {}
    for name, value in attributes.items():
        if value == None:
            continue
        row = LEFT_OUT.get(name)
        if row == None:
            result[RENAMED.get(name, name)] = value
        elif row.accepted != None and (type(value) == "select" or value not in row.accepted):
            return struct(value = None, error = "`%s` is %s; %s" % (name, value, row.hint))
    return struct(value = result, error = None)
