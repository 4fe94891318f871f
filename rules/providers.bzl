"""The providers of the rules, field by field."""

VenvtreeToolInfo = provider(
    doc = "The tool that builds environments, and how Bazel may run it.",
    fields = {
        "tool": "FilesToRunProvider: the `venvtree` program.",
        "worker": "bool: whether Bazel may keep the tool running as a persistent worker.",
        "json": "bool: whether workers speak JSON instead of protocol buffers.",
        "launchers": "list of File: launchers for Windows that the tool brings; it may bring none.",
    },
)

VenvtreeInterpreterInfo = provider(
    doc = "An interpreter that environments are for. It is never run while building.",
    fields = {
        "implementation": "str: `cpython`.",
        "version": "str: such as `3.11.7`.",
        "abi": "str: the ABI tag, such as `cp311`.",
        "platform": "dict: the spec's `platform`: `os`, `arch`, and `libc` or `version`.",
        "path": "str or None: the absolute path of an interpreter of the system.",
        "file": "File or None: an interpreter that is part of the build.",
        "files": "depset of File: what an interpreter that is part of the build needs at run time.",
        "launchers": "list of File: for Windows, launchers to take instead of those that the tool brings.",
        "compiler": "struct or None: the interpreter of the same version that compiles where actions run: `path` (str or None), `file` " +
                    "(File or None), `files` (depset of File) and `version` (str or None, where it is known).",
        "bytecode": "dict of File: the bytecode of an interpreter that is part of the build, by pairs of validation (str) and level (int); " +
                    "empty where there is none. It is made when somebody asks for it.",
    },
)

VenvInfo = provider(
    doc = "A Python environment.",
    fields = {
        "tree": "File: the directory that is the environment.",
        "manifest": "File: JSON: the tree's digest, the wheels, and a digest for every file.",
        "digest": "File: the tree's digest, `HASH/SIZE` and a line feed.",
        "spec": "File: the JSON spec; its inputs are keys.",
        "document": "dict: what `spec` holds.",
        "interpreter": "VenvtreeInterpreterInfo: the interpreter of the environment.",
        "wheels": "list of File: the wheels, in the order of the spec; the key of each is its file name.",
        "launchers": "list of File: for Windows, the launchers; the key of each is its file name.",
        "overlays": "list of File: the bytecode of the wheels, if the environment has bytecode; the key of each is its file name.",
        "bytecode": "struct or None: which bytecode the environment has: `validation`, `levels` and `exclude`.",
        "imports": "depset of str: first-party import roots, relative to the runfiles directory.",
        "sources": "depset of File: first-party Python sources.",
        "runfiles": "runfiles: the tree, the interpreter's files, and what the first-party sources need.",
        "shared": "struct: the same environment where it is shared: `file`, which holds its digest once it is on this machine, and what programs need to find it.",
        "first_party": "runfiles: what the first-party sources need.",
    },
)

ChoiceInfo = provider(
    doc = "What a build setting says.",
    fields = {
        "value": "str: its value.",
    },
)

WheelInfo = provider(
    doc = "A wheel that this build makes.",
    fields = {
        "wheel": "File: the wheel.",
        "distribution": "str: the distribution's name, normalised.",
        "version": "str: the distribution's version.",
    },
)

LockInfo = provider(
    doc = "Which of a lock's targets wheels were chosen for. An environment refuses wheels that were chosen for another interpreter.",
    fields = {
        "hub": "str: the name of the lock's repository.",
        "target": "str: the target's name.",
        "facts": "dict: the interpreter that the target is: `implementation`, `version`, `abi` and `platform`, as the spec has them.",
    },
)

WheelBytecodeInfo = provider(
    doc = "The bytecode of wheels for the default interpreter, made when somebody asks for it.",
    fields = {
        "overlays": "depset of struct: `wheel` and `file` (File), `validation` (str), `level` (int), and the compiler's `version` and `python`, " +
                    "its path or File.",
    },
)

WheelClosureInfo = provider(
    doc = "The wheels that a target and what it depends on need, as an aspect along `deps` finds them.",
    fields = {
        "wheels": "depset of File: the wheels.",
        "overlays": "depset of struct: their bytecode, as WheelBytecodeInfo has it.",
        "locks": "depset of struct: the targets of locks that they were chosen for: `hub`, `target`, and `facts` as JSON.",
        "users": "depset of struct: who needs them: `library`, a label as people write it, `package`, a Label, and `wheels`, a depset of File.",
    },
)

PyLibraryInfo = provider(
    doc = "First-party Python code, whatever `PyInfo` there is in a build.",
    fields = {
        "imports": "depset of str: import roots, relative to the runfiles directory.",
        "transitive_sources": "depset of File: the sources, those of dependencies too.",
    },
)
