"""The attributes that the rules for Bazel and for Buck2 share, each said once.

A row is a dict of `kind`, `doc` and, where there is one, `default` and `values`. `rules/private/attributes.bzl` and
`rules/buck2/attributes.bzl` make attributes of them, `environment_flags` makes the spec's flags, and `rules/reference.py` the documentation.
"""

def _row(kind, doc, default = None, values = None, required = False):
    return {"kind": kind, "doc": doc, "default": default, "values": values, "required": required}

def _text(doc, default = None, required = False):
    return _row("string", doc, default = default, required = required)

def _choice(doc, values, default):
    return _row("choice", doc, default = default, values = values)

# What a `py_venv` says of its environment besides its inputs: the flags of the spec, under their names there.
ENVIRONMENT_FLAGS = {
    "system_site_packages": _row("bool", "Whether the packages of the base interpreter are visible, after the environment's own."),
    "prompt": _text("What activation shows; by default the name of the environment's directory."),
    "activators": _row("strings", "The shells to write activation scripts for, or `all`.", default = ["all"]),
    "conflicts": _choice(
        "Who wins where two wheels claim one path with different contents: `error` (nobody), `first` or `last` in the order of `wheels`.",
        values = ["error", "first", "last"],
        default = "error",
    ),
    "conflict_overrides": _row(
        "string_dict",
        "Who wins at single paths of the environment, and below them: `error`, `first`, `last`, or `wheel:NAME`.",
    ),
    "digest_function": _choice(
        "The digest function of the environment's own digests.",
        values = ["sha256", "blake3"],
        default = "sha256",
    ),
    "mtime": _row("int", "The modification time of everything, in seconds since 1970; by default 1980-01-02.", default = -1),
    "requirements": _choice(
        "What happens when a wheel's requirement is missing or does not fit. `auto` is `error` where a lock chose wheels, which then " +
        "are complete, and `warn` elsewhere.",
        values = ["auto", "off", "warn", "error"],
        default = "auto",
    ),
    "allow": _row("strings", "Codes of findings that are accepted although they are errors; `venvtree wheel check` prints them."),
    "deny": _row("strings", "Codes of findings that are errors, whatever their severity."),
}

# Which bytecode an environment has.
BYTECODE = {
    "bytecode": _choice(
        "Whether modules of wheels have bytecode: `none`; `unchecked`, which Python takes as it is; `checked`, where Python compares a hash of the " +
        "source at each import; `auto` is what the build setting says, by default `none`.",
        values = ["auto", "none", "unchecked", "checked"],
        default = "auto",
    ),
    "bytecode_levels": _row("strings", "Which bytecode: `0`, `1` for `python -O`, `2` for `python -OO`.", default = ["0"]),
    "bytecode_exclude": _row("strings", "Patterns of modules without bytecode, besides tests, such as `pandas/_testing/**`."),
}

ENVIRONMENT = dict(
    ENVIRONMENT_FLAGS,
    exclude = _row("string_list_dict", "For a distribution's name, patterns of installed paths to leave out: `{\"numpy\": [\"**/tests/**\"]}`."),
)

# What a binary or a test starts, and how.
PROGRAM = {
    "module": _text("The module to run, as `python -m` does, instead of `main`."),
    "script": _text("The script of the environment to run, such as `flask`, instead of `main`."),
    "interpreter_args": _row("strings", "Arguments for the interpreter, such as `-Xdev`."),
}

TEST = {
    "pytest": _row("bool", "Whether to run `srcs` with pytest, which must be in the environment."),
    "pytest_autoload": _row(
        "bool",
        "Whether pytest rewrites assertions in all modules of distributions with plugins, at each start, as it does by itself. By default it " +
        "loads the same plugins, but rewrites their own modules only, which takes a fraction of the time.",
    ),
}

ARCHIVE = {
    "format": _choice("The archive's format.", values = ["tar", "tar.gz", "tar.zst", "zip"], default = "tar"),
    "out": _text("The archive's name; by default `NAME.FORMAT`."),
    "prefix": _text("A directory that everything in the archive is in, such as `opt/app`."),
}

# How an environment becomes layers.
_LAYER = {
    "prefix": _text("The directory that the environment is in.", default = "opt/venv"),
    "compression": _choice("How layers are compressed.", values = ["gzip", "zstd", "none"], default = "gzip"),
    "level": _row("int", "How much layers are compressed: gzip has levels from 1 to 9 and usually 6, zstd from 1 to 19 and usually 3.", default = -1),
    "owner": _text("Whose the files are, as numbers such as `65532:65532`; by default `0:0`."),
}

LAYERS = dict(
    _LAYER,
    alone = _row("strings", "The distributions whose wheels are layers of their own, such as `numpy`: large ones, which several images have."),
)

IMAGE = dict(
    _LAYER,
    layer_policy = _choice(
        "Which wheels are layers of their own: large ones (`auto`), each (`wheel`), or none, in one layer of everything (`one`).",
        values = ["auto", "wheel", "one"],
        default = "auto",
    ),
    max_layers = _row("int", "How many layers there may be: the largest wheels are alone then.", default = 100),
    entrypoint = _row("strings", "The program that the image runs, and arguments."),
    cmd = _row("strings", "Further arguments, which whoever runs the image can replace."),
    env = _row("string_dict", "Environment variables. Without one for `PATH`, programs of the environment are found first."),
    labels = _row("string_dict", "Labels."),
    user = _text("Who runs the program: a name of the base or numbers, such as `65532:65532`."),
    workdir = _text("The directory that the program is started in."),
    tag = _text("What the image is called in its directory."),
)

# What a wheel that a build makes says of itself.
WHEEL = {
    "distribution": _text("The distribution's name.", required = True),
    "version": _text("The distribution's version.", required = True),
    "python_tag": _text("The Python tag.", default = "py3"),
    "abi": _text("The ABI tag.", default = "none"),
    "platform": _text("The platform tag.", default = "any"),
    "entry_points": _row("string_list_dict", "Entry points by group: `{\"console_scripts\": [\"app = package.module:main\"]}`."),
    "requires": _row("strings", "Requirements, such as `requests >= 2`."),
    "extra_requires": _row("string_list_dict", "Requirements by extra."),
    "python_requires": _text("The versions of Python that it is for, such as `>=3.11`."),
    "summary": _text("What it is, in one line."),
    "author": _text("Who wrote it."),
    "author_email": _text("Where to write to."),
    "homepage": _text("Where to read more."),
    "license": _text("Its licence."),
    "classifiers": _row("strings", "Trove classifiers."),
}

# What an interpreter is, which is not asked while building.
INTERPRETER = {
    "path": _text(
        "The absolute path of an interpreter of the system, instead of `runtime`. It must be there where the environment is used, " +
        "not where it is built. For Windows also one from the environment's directory, such as `../python/python.exe`.",
    ),
    "facts": _text("What `venvtree interpreter probe PYTHON` prints, instead of `version`, `abi` and `platform`; each of those overrides it."),
    "version": _text("The version, such as `3.11.7`. Without a patch level, a wheel whose requirement depends on it is refused."),
    "abi": _text("The ABI tag; by default that of a regular build, such as `cp311`. A free-threaded build has `cp313t`."),
    "platform": _text(
        "The platform: `linux-x86_64-glibc-2.36`, `linux-aarch64-musl-1.2`, `macos-aarch64-14.0`, `windows-x86_64`. It decides " +
        "which wheels fit, and need not be the platform of the build.",
    ),
}

# What more than one rule has, but that is a file or a target, whose types differ too much to be one row.
DOCS = {
    "launchers": "For Windows: the programs that scripts and `python.exe` are made from, called as in distlib: `t64.exe` and `w64.exe`, " +
                 "`t64-arm.exe` and `w64-arm.exe`, or `t32.exe` and `w32.exe`. By default those that a release of the tool brings.",
    "venv": "The environment: a `py_venv`. Many binaries and tests can share one.",
    "archived_venv": "The environment: a `py_venv`. Its directory need not be built for this.",
    "archive_interpreter": "The interpreter where this is used, if it is another one than the environment's: a `venvtree_interpreter`. One with `path` is " +
                           "expected there, one that is part of the build goes into it, as the environment's own does. For one of another version there " +
                           "is no bytecode.",
    "description_file": "A longer description: Markdown (`.md`), reStructuredText (`.rst`) or plain text.",
    "main": "The file to run. By default the only one of `srcs`, or the one named as the rule.",
    "program_srcs": "First-party sources of the program itself.",
}
