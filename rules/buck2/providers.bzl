"""The providers of the rules for Buck2, field by field."""

VenvtreeInterpreterInfo = provider(
    doc = """An interpreter that environments are for. It is never run while building.

- `implementation`: `cpython`.
- `version`: such as `3.11.7`.
- `abi`: the ABI tag, such as `cp311`.
- `platform`: the spec's `platform`: `os`, `arch`, and `libc` or `version`.
- `path`: the absolute path of an interpreter of the system, or None.
- `file`: an interpreter that is part of the project or of the build, or None.
- `files`: what such an interpreter needs at run time.
- `executable`: where it is in its directory, which is all of `files`; empty where it is a file.
- `launchers`: for Windows, the launchers that scripts are made from.
- `compiler`: what compiles bytecode where actions run, for a command line, or None.""",
    fields = {
        "implementation": provider_field(str),
        "version": provider_field(str),
        "abi": provider_field(str),
        "platform": provider_field(dict[str, str]),
        "path": provider_field(str | None),
        "file": provider_field(Artifact | None),
        "files": provider_field(list[Artifact]),
        "executable": provider_field(str),
        "launchers": provider_field(list[Artifact]),
        "compiler": provider_field(typing.Any),
    },
)

VenvtreeToolInfo = provider(
    doc = """The tool that builds environments.

- `tool`: RunInfo: the `venvtree` program.
- `interpreter`: VenvtreeInterpreterInfo: the interpreter of environments that name none, or None.
- `bytecode`: which bytecode environments have that do not say it: `none`, `unchecked` or `checked`.
- `bytecode_exclude`: patterns of modules that nobody compiles.""",
    fields = {
        "tool": provider_field(RunInfo),
        "interpreter": provider_field(typing.Any),
        "bytecode": provider_field(str),
        "bytecode_exclude": provider_field(list[str]),
    },
)

VenvInfo = provider(
    doc = """A Python environment.

- `tree`: the directory that is the environment.
- `manifest`: JSON: the tree's digest, the wheels, and a digest for every file.
- `digest`: the tree's digest, `HASH/SIZE` and a line feed.
- `spec`: the JSON spec; its inputs are keys.
- `document`: what `spec` holds.
- `interpreter`: VenvtreeInterpreterInfo: the interpreter of the environment.
- `wheels`: the wheels, in the order of the spec; the key of each is its file name.
- `overlays`: the bytecode of the wheels, if the environment has bytecode; the key of each is its file name.
- `bytecode`: which bytecode the environment has: `validation`, `levels` and `exclude`; or None.
- `sources`: first-party files of the environment's `deps`, by their path below the import root.""",
    fields = {
        "tree": provider_field(Artifact),
        "manifest": provider_field(Artifact),
        "digest": provider_field(Artifact),
        "spec": provider_field(Artifact),
        "document": provider_field(typing.Any),
        "interpreter": provider_field(typing.Any),
        "wheels": provider_field(list[Artifact]),
        "overlays": provider_field(list[Artifact]),
        "bytecode": provider_field(typing.Any),
        "sources": provider_field(dict[str, Artifact]),
    },
)

WheelInfo = provider(
    doc = """A wheel that this build makes.

- `wheel`: the wheel.
- `distribution`: the distribution's name, normalised.
- `version`: the distribution's version.""",
    fields = {
        "wheel": provider_field(Artifact),
        "distribution": provider_field(str),
        "version": provider_field(str),
    },
)

LockInfo = provider(
    doc = """Which of a lock's targets wheels were chosen for. An environment refuses wheels that were chosen for another interpreter.

- `target`: the target's name.
- `facts`: the interpreter that the target is: `implementation`, `version`, `abi` and `platform`, as the spec has them.
- `missing`: why the wheels cannot be used: packages without one.""",
    fields = {
        "target": provider_field(str),
        "facts": provider_field(typing.Any),
        "missing": provider_field(list[str]),
    },
)
