"""`venvtree_interpreter`: what environments must know about an interpreter."""

load("//rules/common:attributes.bzl", "DOCS", "INTERPRETER")
load("//rules/common:facts.bzl", "interpreter_facts_of")
load("//rules/common:spec.bzl", "check_interpreter_path")
load("//rules/common:text.bzl", "check_lines")
load(":attributes.bzl", "attributes", "optional")
load(":providers.bzl", "VenvtreeInterpreterInfo")

def _venvtree_interpreter_impl(ctx: AnalysisContext) -> list[Provider]:
    name = str(ctx.label.raw_target())
    facts = interpreter_facts_of(ctx.attrs)
    if facts.error:
        fail("%s: %s" % (name, facts.error))
    if bool(ctx.attrs.runtime) == bool(ctx.attrs.path):
        fail("%s: expected one of `runtime` (a file, a directory or a target) and `path` (an absolute path); found %s" % (name, "both" if ctx.attrs.path else "neither"))
    problem = check_lines([("path", [ctx.attrs.path]), ("executable", [ctx.attrs.executable])])
    if problem:
        fail("%s: %s" % (name, problem))
    platform = facts.value["platform"]
    problem = check_interpreter_path(ctx.attrs.path, platform) if ctx.attrs.path else None
    if problem:
        fail("%s: `path` %s" % (name, problem))
    if ctx.attrs.launchers and platform["os"] != "windows":
        fail("%s: `launchers` are for Windows, and `platform` is %s; leave them out" % (name, platform["os"]))
    file, files = _runtime(ctx, name)
    info = VenvtreeInterpreterInfo(
        implementation = facts.value["implementation"],
        version = facts.value["version"],
        abi = facts.value["abi"],
        platform = platform,
        path = ctx.attrs.path or None,
        file = file,
        files = files,
        executable = ctx.attrs.executable if file else "",
        launchers = ctx.attrs.launchers,
        compiler = _compiler(ctx, file, files, platform),
    )
    return [info, DefaultInfo(default_outputs = files)]

def _compiler(ctx: AnalysisContext, file: Artifact | None, files: list[Artifact], platform: dict[str, str]):
    if ctx.attrs.compiler:
        return ctx.attrs.compiler[RunInfo]
    if platform["os"] == "windows":
        # Windows is what environments are for, and no machine that actions run on.
        return None
    return cmd_args(file, hidden = files) if file else ctx.attrs.path

def _runtime(ctx: AnalysisContext, name: str) -> (Artifact | None, list[Artifact]):
    runtime = ctx.attrs.runtime
    if not runtime:
        return None, []
    if isinstance(runtime, Artifact):
        whole = [runtime]
    else:
        whole = runtime[DefaultInfo].default_outputs
    if len(whole) != 1:
        fail("%s: `runtime` is %s, which makes %d files; expected the interpreter, or one directory that has it and `executable`" % (name, runtime.label.raw_target(), len(whole)))
    return (whole[0].project(ctx.attrs.executable) if ctx.attrs.executable else whole[0]), whole

venvtree_interpreter = rule(
    impl = _venvtree_interpreter_impl,
    doc = """Describes an interpreter for environments.

The interpreter is not run while building: what wheels and scripts depend on is said here. Only bytecode, where an environment has some, is made
by running it. CPython 3.11 and newer.""",
    attrs = {
        "launchers": attrs.list(
            attrs.source(),
            default = [],
            doc = DOCS["launchers"],
        ),
        "runtime": optional(
            attrs.one_of(attrs.dep(), attrs.source(allow_directory = True)),
            "An interpreter that is part of the project or of the build: its directory, with `executable`, as a source or a target such as an `http_archive`; or its file.",
        ),
        "compiler": optional(
            attrs.exec_dep(providers = [RunInfo]),
            "What compiles bytecode where actions run: an interpreter of the same version that can be run. By default `runtime` or the one at `path`.",
        ),
        "executable": attrs.string(
            default = "",
            doc = "Where the interpreter is in the directory that is `runtime`, such as `bin/python3.11`.",
        ),
    } | attributes(INTERPRETER),
)
