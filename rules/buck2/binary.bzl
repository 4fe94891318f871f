"""`py_venv_binary`: a program that runs in an environment."""

load("//rules/common:attributes.bzl", "DOCS", "PROGRAM")
load("//rules/common:start.bzl", "choose_start")
load(":action.bzl", "target_name")
load(":attributes.bzl", "attributes", "optional", "placed_files", "targets")
load(":collect.bzl", "collect_sources", "place_files")
load(":launch.bzl", "LAUNCH_ATTRS", "write_launcher")
load(":providers.bzl", "VenvInfo")

def write_program(ctx: AnalysisContext, start: struct, runner: Artifact | None = None) -> struct:
    """What binaries and tests have in common.

    Args:
      ctx: the rule's context.
      start: what to start, as `choose_start` and `start_tests` say it.
      runner: for tests, the program that runs pytest.

    Returns:
      What `write_launcher` returns.
    """
    venv = ctx.attrs.venv[VenvInfo]
    own = place_files(ctx.label, ctx.attrs.base_module, ctx.attrs.srcs)
    own.update(place_files(ctx.label, ctx.attrs.base_module, ctx.attrs.resources))
    places = {file: place for place, file in own.items()}
    if start.kind == "main":
        if start.file not in places:
            main = place_files(ctx.label, ctx.attrs.base_module, [start.file])
            own.update(main)
            places[start.file] = main.keys()[0]
        start = struct(kind = "main", place = places[start.file])
    elif start.kind == "pytest":
        start = struct(kind = "pytest", name = start.name, places = [places[file] for file in start.files])
    sources = collect_sources(target_name(ctx), ctx.attrs.deps, own)
    for place, file in venv.sources.items():
        sources.setdefault(place, file)
    return write_launcher(
        ctx,
        tree = venv.tree,
        interpreter = venv.interpreter,
        start = start,
        sources = sources,
        env = ctx.attrs.env,
        interpreter_args = ctx.attrs.interpreter_args,
        runner = runner,
    )

def own_sources(ctx: AnalysisContext) -> list[Artifact]:
    """The files of the attribute `srcs`.

    Args:
      ctx: the rule's context.

    Returns:
      A list of artifacts.
    """
    return ctx.attrs.srcs if type(ctx.attrs.srcs) == type([]) else ctx.attrs.srcs.values()

def start_of(ctx: AnalysisContext) -> struct:
    """What the attributes `main`, `module` and `script` say to start.

    Args:
      ctx: the rule's context.

    Returns:
      A struct for `write_program`.
    """
    start = choose_start(ctx.label.name, ctx.attrs.main, ctx.attrs.module, ctx.attrs.script, own_sources(ctx))
    if start.error:
        fail("%s: %s" % (target_name(ctx), start.error))
    return start.value

PROGRAM_ATTRS = {
    "venv": attrs.dep(
        providers = [VenvInfo],
        doc = DOCS["venv"],
    ),
    "srcs": placed_files(DOCS["program_srcs"]),
    "resources": placed_files("Files that are needed at run time; they lie beside the sources.", attrs.source(allow_directory = True)),
    "base_module": optional(
        attrs.string(),
        "The package that `srcs` and `resources` are in, as the prelude's Python rules have it: by default the one that the path says, `\"\"` for none.",
    ),
    "deps": targets(
        "Python libraries of the prelude: their sources and resources, and those of their own `deps`. What `prebuilt_python_library` unpacks is left out; the environment has the wheel.",
    ),
    "main": optional(attrs.source(), DOCS["main"]),
    "env": attrs.dict(
        attrs.string(),
        attrs.string(),
        default = {},
        doc = "Environment variables.",
    ),
} | attributes(PROGRAM) | LAUNCH_ATTRS

def _py_venv_binary_impl(ctx: AnalysisContext) -> list[Provider]:
    launcher = write_program(ctx, start_of(ctx))
    return [
        DefaultInfo(default_output = launcher.file, other_outputs = launcher.needs),
        RunInfo(args = cmd_args(launcher.file, hidden = launcher.needs)),
    ]

py_venv_binary = rule(
    impl = _py_venv_binary_impl,
    doc = """A program that runs in an environment.

First-party code comes first on `sys.path`, also in children that `multiprocessing` and `subprocess` start with `sys.executable`. The directory of
`main` comes last. The program works where Buck made it, wherever the project lies.""",
    attrs = PROGRAM_ATTRS,
)
