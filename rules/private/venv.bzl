"""`py_venv`: an environment, made by one cached action."""

load("//rules:providers.bzl", "VenvInfo")
load(":bytecode.bzl", "overlays_of", "wheel_bytecode")
load(":closure.bzl", "collect_closure", "locks_of_closure", "locks_of_wheels", "wheel_closure")
load(":collect.bzl", "collect_first_party", "collect_wheels")
load(":environment.bzl", "ENVIRONMENT_ATTRS", "build_environment", "environment_groups")
load(":launch.bzl", "LAUNCH_ATTRS", "write_launcher")

def _py_venv_impl(ctx):
    closure = collect_closure(ctx.label, ctx.attr.deps)
    first_party = collect_first_party(ctx, deps = ctx.attr.deps)
    found = collect_wheels(ctx, ctx.attr.wheels, closure)
    venv = build_environment(
        ctx,
        wheels = found.wheels,
        twins = found.twins,
        locks = locks_of_wheels(ctx.attr.wheels) + locks_of_closure(closure),
        overlays = depset(transitive = [overlays_of(ctx.attr.wheels), closure.overlays]),
        first_party = first_party,
    )
    launcher = ctx.actions.declare_file(ctx.label.name)
    launch_runfiles = write_launcher(
        ctx,
        output = launcher,
        tree = venv.tree,
        start = struct(kind = "python"),
        imports = first_party.imports,
        sources = first_party.sources,
    )
    return [
        venv,
        DefaultInfo(executable = launcher, files = depset([venv.tree]), runfiles = venv.runfiles.merge(launch_runfiles)),
        environment_groups(ctx, venv),
    ]

py_venv = rule(
    implementation = _py_venv_impl,
    doc = """A Python environment, made from wheels by one cached action `PyVenv`.

`bazel build` makes the environment's directory, `NAME.venv`; the output groups `manifest`, `digest` and `spec` hold what is known about it,
`sbom` (CycloneDX and SPDX), `licenses` (with their texts) and `provenance` (in-toto) what it is made of.
`bazel run //:env -- ARGUMENTS` starts its Python, in the directory where `bazel` was called. Binaries and tests share environments:
first-party code is theirs, and editing it rebuilds no environment.""",
    attrs = dict(
        {
            "wheels": attr.label_list(
                doc = "The wheels to install: files, filegroups, `py_wheel`s, or any targets that yield `.whl` files, such as " +
                      "`@pypi//requests` of a lock. Wheels among a target's runfiles are installed too. Where `conflicts` says so, their order matters.",
                allow_files = True,
                aspects = [wheel_bytecode],
            ),
            "deps": attr.label_list(
                doc = "Python libraries that `bazel run` of the environment can import: targets with `PyInfo`. They are no part of " +
                      "the environment's directory, and binaries and tests that use the environment see them too. Wheels of a lock that " +
                      "they need, directly or by other libraries, are installed, after `wheels`.",
                aspects = [wheel_closure],
            ),
        },
        **dict(ENVIRONMENT_ATTRS, **LAUNCH_ATTRS)
    ),
    executable = True,
    provides = [VenvInfo],
)
