"""`py_venv_binary`: a program that runs in an environment."""

load("//rules:providers.bzl", "VenvInfo")
load("//rules/common:attributes.bzl", "DOCS", "PROGRAM")
load("//rules/common:label.bzl", "label_text")
load("//rules/common:start.bzl", "choose_start")
load(":attributes.bzl", "attributes")
load(":closure.bzl", "check_closure", "collect_closure", "locks_of_closure", "wheel_closure")
load(":collect.bzl", "collect_first_party", "collect_wheels")
load(":environment.bzl", "ENVIRONMENT_ATTRS", "build_environment", "check_script", "environment_groups")
load(":launch.bzl", "LAUNCH_ATTRS", "write_launcher")
load(":shared.bzl", "SHARED_ATTRS", "wants_shared")

def program(ctx, start, runner = None):
    """What binaries and tests have in common.

    Args:
      ctx: the rule's context.
      start: what to start, for `write_launcher`.
      runner: for tests, the program that does what Bazel wants of tests.

    Returns:
      A list of providers.
    """
    first_party = collect_first_party(
        ctx,
        srcs = ctx.files.srcs + ([ctx.file.main] if ctx.file.main and ctx.file.main not in ctx.files.srcs else []),
        deps = ctx.attr.deps,
        data = ctx.attr.data,
        imports = ctx.attr.imports,
    )
    venv = _environment(ctx, first_party)
    launcher = ctx.actions.declare_file(ctx.label.name)
    shared = venv.shared if wants_shared(ctx) else None
    launch_runfiles = write_launcher(
        ctx,
        output = launcher,
        tree = venv.tree,
        shared = shared,
        start = start,
        imports = depset(transitive = [first_party.imports, venv.imports]),
        sources = depset(transitive = [first_party.sources, venv.sources]),
        env = {name: _expand(ctx, value) for name, value in ctx.attr.env.items()},
        interpreter_args = ctx.attr.interpreter_args,
        runner = runner,
    )

    # What is looked at whenever the program is built, and only then: nothing waits for it.
    checks = {"_validation": depset([check_script(ctx, venv, start.name)])} if start.kind == "script" else {}
    return ([OutputGroupInfo(**checks)] if ctx.attr.venv else [venv, environment_groups(ctx, venv, **checks)]) + [
        DefaultInfo(
            executable = launcher,
            files = depset([launcher]),
            runfiles = launch_runfiles.merge(first_party.runfiles).merge(shared.runfiles.merge(venv.first_party) if shared else venv.runfiles),
        ),
        coverage_common.instrumented_files_info(
            ctx,
            source_attributes = ["srcs", "main"],
            dependency_attributes = ["deps", "data"],
            extensions = ["py"],
        ),
    ]

def _environment(ctx, first_party):
    """The environment that `venv` names, or one of the wheels that the program's code needs."""
    closure = collect_closure(ctx.label, ctx.attr.deps)
    if ctx.attr.venv:
        check_closure(ctx.label, closure, ctx.attr.venv)
        return ctx.attr.venv[VenvInfo]
    found = collect_wheels(ctx, [], closure)
    return build_environment(
        ctx,
        wheels = found.wheels,
        twins = found.twins,
        locks = locks_of_closure(closure),
        overlays = closure.overlays,
        first_party = first_party,
    )

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
        doc = DOCS["venv"] + " By default the program gets one of its own: of the wheels of locks that `deps` need, directly or by other " +
              "libraries. One that is named must have these wheels.",
        providers = [VenvInfo],
    ),
    "srcs": attr.label_list(
        doc = DOCS["program_srcs"],
        allow_files = [".py", ".pyi"],
    ),
    "deps": attr.label_list(
        doc = "Python libraries: targets with Bazel's own or rules_python's `PyInfo`. Their import roots come first on `sys.path`. Packages " +
              "of a lock, such as `@pypi//requests`, are wheels that the environment has to have.",
        aspects = [wheel_closure],
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
        doc = "Environment variables, set wherever the program is started, over what the caller has set. `$(rootpath LABEL)` and the like are " +
              "expanded for labels in `data`, and so are Make variables.",
    ),
}, **dict(attributes(PROGRAM), **dict(ENVIRONMENT_ATTRS, **dict(LAUNCH_ATTRS, **SHARED_ATTRS))))

def _py_venv_binary_impl(ctx):
    return program(ctx, start_of(ctx))

py_venv_binary = rule(
    implementation = _py_venv_binary_impl,
    doc = """A program that runs in an environment.

First-party import roots come first on `sys.path`, also in children that `multiprocessing` and `subprocess` start with `sys.executable`. It
works from runfiles and straight from `bazel-bin`. The directory of `main` comes last on `sys.path`. What concerns the environment
(`interpreter`, `conflicts`, `requirements` and so on, as in `py_venv`) counts where `venv` names none.""",
    attrs = PROGRAM_ATTRS,
    executable = True,
)
