# Activates this environment in xonsh, so it has to be sourced, not run:
#
#     source bin/activate.xsh
#
# `deactivate` undoes everything. The file holds no path: `__file__` tells where it is. xonsh's own prompt shows the
# environment's name, and honours VIRTUAL_ENV_DISABLE_PROMPT.


def _venvtree_activate(file):
    import os

    from xonsh.built_ins import XSH

    env, aliases = XSH.env, XSH.aliases
    prompt = @PROMPT@
    bin_name = "@BIN@"

    # A link leads to the file that belongs to an environment, unless the whole environment is made of links.
    file = os.path.abspath(file)
    root = os.path.dirname(os.path.dirname(file))
    configuration = os.path.join(root, "pyvenv.cfg")
    if not os.path.isfile(configuration) or (os.path.islink(file) and not os.path.islink(configuration)):
        root = os.path.dirname(os.path.dirname(os.path.realpath(file)))
    if not os.path.isfile(os.path.join(root, "pyvenv.cfg")):
        raise RuntimeError(f"activate.xsh: {file} is not the activate file of an environment: no pyvenv.cfg in the folder above it")
    if os.pathsep in root:
        raise RuntimeError(f"activate.xsh: PATH cannot hold a folder with {os.pathsep!r} in its name: {root}")
    folder = os.path.join(root, bin_name)

    # An environment that is active leaves first.
    if "VIRTUAL_ENV" in env and "deactivate" in aliases:
        aliases["deactivate"](["nondestructive"])

    names = ("PATH", "PKG_CONFIG_PATH", "PYTHONHOME", "VIRTUAL_ENV", "VIRTUAL_ENV_PROMPT", "_OLD_VIRTUAL_PYTHONHOME")
    detyped = {name: env[name] for name in names if name in env}
    for name in ("PATH", "PKG_CONFIG_PATH"):
        if name in detyped:
            # A copy, because what follows changes these lists.
            detyped[name] = list(detyped[name]) if not isinstance(detyped[name], str) else detyped[name]

    def restore():
        for name in names:
            if name in detyped:
                env[name] = detyped[name]
            elif name in env:
                del env[name]

    own = {name for name in ("pydoc",) if name not in aliases}

    def deactivate(args=None):
        restore()
        for name in own:
            aliases.pop(name, None)
        aliases.pop("deactivate", None)

    old = detyped.get("PKG_CONFIG_PATH", [])
    env["VIRTUAL_ENV"] = root
    env["VIRTUAL_ENV_PROMPT"] = prompt or os.path.basename(root)
    env["PATH"] = [folder, *detyped.get("PATH", [])]
    env["PKG_CONFIG_PATH"] = [os.path.join(root, "lib", "pkgconfig"), *(old.split(os.pathsep) if isinstance(old, str) else old)]
    # It would send the environment's interpreter to another standard library.
    if "PYTHONHOME" in env:
        env["_OLD_VIRTUAL_PYTHONHOME"] = env["PYTHONHOME"]
        del env["PYTHONHOME"]
    if next(iter(env["PATH"]), None) != folder or env["VIRTUAL_ENV"] != root:
        restore()
        raise RuntimeError(f"activate.xsh: xonsh expands the path of the environment, so its PATH cannot hold it: {root}")
    if "pydoc" in own:
        aliases["pydoc"] = ["python", "-m", "pydoc"]
    aliases["deactivate"] = deactivate


try:
    _venvtree_activate(__file__)
finally:
    del _venvtree_activate
