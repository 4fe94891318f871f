"""Activates this environment in the interpreter that runs this file, for programs that cannot use the environment's own:

    import runpy
    runpy.run_path("/path/to/environment/bin/activate_this.py")

Afterwards imports come from the environment first, and programs that are started find its commands first. The file holds
no path: it finds out where it is.
"""


def _activate(file, bin_name, prompt, site_packages):
    import os
    import site
    import sys

    # A link leads to the file that belongs to an environment, unless the whole environment is made of links.
    file = os.path.abspath(file)
    base = os.path.dirname(os.path.dirname(file))
    configuration = os.path.join(base, "pyvenv.cfg")
    if not os.path.isfile(configuration) or (os.path.islink(file) and not os.path.islink(configuration)):
        base = os.path.dirname(os.path.dirname(os.path.realpath(file)))
        configuration = os.path.join(base, "pyvenv.cfg")
    if not os.path.isfile(configuration):
        raise RuntimeError("{} is not in an environment: there is no {}".format(file, configuration))
    if os.pathsep in base:
        raise RuntimeError("PATH cannot hold a folder with {!r} in its name: {}".format(os.pathsep, base))

    scripts = os.path.join(base, bin_name)
    # An empty entry would stand for the current folder.
    entries = [entry for entry in os.environ.get("PATH", "").split(os.pathsep) if entry and entry != scripts]
    os.environ["PATH"] = os.pathsep.join([scripts] + entries)
    os.environ["VIRTUAL_ENV"] = base
    os.environ["VIRTUAL_ENV_PROMPT"] = prompt or os.path.basename(base)
    pkg_config = os.path.join(base, "lib", "pkgconfig")
    entries = [entry for entry in os.environ.get("PKG_CONFIG_PATH", "").split(os.pathsep) if entry and entry != pkg_config]
    os.environ["PKG_CONFIG_PATH"] = os.pathsep.join([pkg_config] + entries)
    # It would send the environment's interpreter to another standard library.
    os.environ.pop("PYTHONHOME", None)

    # The prefixes first: code in .pth files may look at them.
    sys.prefix = sys.exec_prefix = base
    site.PREFIXES[:] = [base] + [prefix for prefix in site.PREFIXES if prefix != base]
    sysconfig = sys.modules.get("sysconfig")
    if sysconfig:
        # Loaded earlier, it remembers the prefixes of then, and Debian's the scheme as well.
        variables = sysconfig.get_config_vars()
        for name in ("prefix", "exec_prefix", "base", "platbase"):
            variables[name] = base
        scheme = getattr(sysconfig, "get_default_scheme", None) or sysconfig._get_default_scheme
        for function in (sysconfig.get_path, sysconfig.get_paths):
            function.__defaults__ = (scheme(),) + function.__defaults__[1:]

    # `addsitedir` appends what is new and obeys the .pth files; then what it appended goes to the front.
    library = os.path.join(base, *site_packages.split("/"))
    before = [entry for entry in sys.path if entry != library]
    sys.path[:] = before
    site.addsitedir(library)
    added = sys.path[len(before):]
    sys.path[:] = added + before


try:
    __file__
except NameError:
    raise RuntimeError("You must use import runpy; runpy.run_path(this_file)") from None
_activate(__file__, "@BIN@", @PROMPT@, @SITE_PACKAGES@)
