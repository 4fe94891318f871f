"""`py_venv_binary`: a program that runs in an environment."""

load("//rules:providers.bzl", "VenvInfo")
load("//rules/common:attributes.bzl", "DOCS", "PROGRAM")
load("//rules/common:label.bzl", "label_text")
load("//rules/common:start.bzl", "choose_start")
load(":attributes.bzl", "attributes")
load(":collect.bzl", "collect_first_party")
load(":launch.bzl", "LAUNCH_ATTRS", "write_launcher")

def program(ctx, start, runner = None):
    """What binaries and tests have in common.

    Args:
      ctx: the rule's context.
      start: what to start, for `write_launcher`.
      runner: for tests, the program that does what Bazel wants of tests.

    Returns:
      A list of providers.
    """
    venv = ctx.attr.venv[VenvInfo]
    first_party = collect_first_party(
        ctx,
        srcs = ctx.files.srcs + ([ctx.file.main] if ctx.file.main and ctx.file.main not in ctx.files.srcs else []),
        deps = ctx.attr.deps,
        data = ctx.attr.data,
        imports = ctx.attr.imports,
    )
    launcher = ctx.actions.declare_file(ctx.label.name)
    launch_runfiles = write_launcher(
        ctx,
        output = launcher,
        tree = venv.tree,
        start = start,
        imports = depset(transitive = [first_party.imports, venv.imports]),
        sources = depset(transitive = [first_party.sources, venv.sources]),
        env = {name: _expand(ctx, value) for name, value in ctx.attr.env.items()},
        interpreter_args = ctx.attr.interpreter_args,
        runner = runner,
    )
    return [
        DefaultInfo(
            executable = launcher,
            files = depset([launcher]),
            runfiles = launch_runfiles.merge(first_party.runfiles).merge(venv.runfiles),
        ),
        coverage_common.instrumented_files_info(
            ctx,
            source_attributes = ["srcs", "main"],
            dependency_attributes = ["deps", "data"],
            extensions = ["py"],
        ),
    ]

def _expand(ctx, text):
    return ctx.expand_make_variables("env", ctx.expand_location(text, ctx.attr.data), {})

def start_of(ctx):
    """What the attributes `main`, `module` and `script` say to start.

    Args:
      ctx: the rule's context.

    Returns:
      A struct for `write_launcher`.
    """
    start = choose_start(ctx.label.name, ctx.file.main, ctx.attr.module, ctx.attr.script, ctx.files.srcs)
    if start.error:
        fail("%s: %s" % (label_text(ctx.label), start.error))
    return start.value

PROGRAM_ATTRS = dict({
    "venv": attr.label(
        doc = DOCS["venv"],
        mandatory = True,
        providers = [VenvInfo],
    ),
    "srcs": attr.label_list(
        doc = DOCS["program_srcs"],
        allow_files = [".py", ".pyi"],
    ),
    "deps": attr.label_list(
        doc = "Python libraries: targets with Bazel's own or rules_python's `PyInfo`. Their import roots come first on `sys.path`.",
    ),
    "data": attr.label_list(
        doc = "Files that are needed at run time.",
        allow_files = True,
    ),
    "main": attr.label(
        doc = DOCS["main"],
        allow_single_file = [".py"],
    ),
    "imports": attr.string_list(doc = "Import roots to add, relative to the package. The directory of each repository is one anyway."),
    "env": attr.string_dict(
        doc = "Environment variables. `$(rootpath LABEL)` and the like are expanded for labels in `data`, and so are Make variables.",
    ),
}, **dict(attributes(PROGRAM), **LAUNCH_ATTRS))

def _py_venv_binary_impl(ctx):
    return program(ctx, start_of(ctx))

py_venv_binary = rule(
    implementation = _py_venv_binary_impl,
    doc = """A program that runs in an environment.

First-party import roots come first on `sys.path`, also in children that `multiprocessing` and `subprocess` start with `sys.executable`. It
works from runfiles and straight from `bazel-bin`. The directory of `main` comes last on `sys.path`.""",
    attrs = PROGRAM_ATTRS,
    executable = True,
)
