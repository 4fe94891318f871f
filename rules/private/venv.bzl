"""`py_venv`: an environment, made by one cached action."""

load("//rules:providers.bzl", "LockInfo", "VenvInfo", "VenvtreeInterpreterInfo")
load("//rules/common:attributes.bzl", "ENVIRONMENT")
load("//rules/common:label.bzl", "label_text")
load("//rules/common:locks.bzl", "serves", "wrong_pairing")
load("//rules/common:spec.bzl", "environment_flags", "interpreter_candidates", "interpreter_facts", "python_launcher", "spec_document", "wheel_documents")
load(":action.bzl", "TOOL_ATTRS", "run_tool")
load(":attributes.bzl", "attributes")
load(":collect.bzl", "collect_first_party", "collect_wheels")
load(":launch.bzl", "LAUNCH_ATTRS", "write_launcher")
load(":locked.bzl", "locked_label")
load(":spec_args.bzl", "add_inputs")

def _py_venv_impl(ctx):
    interpreter = _interpreter(ctx)
    _check_targets(ctx, interpreter)
    wheels = collect_wheels(ctx, ctx.attr.wheels)
    first_party = collect_first_party(ctx, deps = ctx.attr.deps)
    tree = ctx.actions.declare_directory(ctx.label.name + ".venv")
    manifest = ctx.actions.declare_file(ctx.label.name + ".manifest.json")
    digest = ctx.actions.declare_file(ctx.label.name + ".digest")
    documents = wheel_documents([wheel.basename for wheel in wheels], ctx.attr.exclude)
    if documents.error:
        fail("%s: %s" % (label_text(ctx.label), documents.error))
    document = spec_document(
        interpreter = interpreter_facts(interpreter),
        python = _python(interpreter, tree),
        wheels = documents.value,
        flags = environment_flags(ctx.attr),
    )
    spec = ctx.actions.declare_file(ctx.label.name + ".spec.json")
    ctx.actions.write(spec, json.encode(document) + "\n")

    args = ctx.actions.args()
    args.add("build")
    args.add(spec)
    args.add_all("--out", [tree], expand_directories = False)
    args.add("--manifest", manifest)
    args.add("--digest-file", digest)

    # Bazel has caches of its own, and an action writes only its outputs.
    args.add("--no-store")
    args.add("--quiet")
    add_inputs(args, wheels)
    run_tool(
        ctx,
        args = args,
        mnemonic = "PyVenv",
        progress_message = "Building Python environment %s (%d wheels)" % (label_text(ctx.label), len(wheels)),
        inputs = [spec] + wheels,
        outputs = [tree, manifest, digest],
    )

    runfiles = ctx.runfiles(files = [tree], transitive_files = interpreter.files).merge(first_party.runfiles)
    launcher = ctx.actions.declare_file(ctx.label.name)
    launch_runfiles = write_launcher(
        ctx,
        output = launcher,
        tree = tree,
        start = struct(kind = "python"),
        imports = first_party.imports,
        sources = first_party.sources,
    )
    venv = VenvInfo(
        tree = tree,
        manifest = manifest,
        digest = digest,
        spec = spec,
        document = document,
        interpreter = interpreter,
        wheels = wheels,
        imports = first_party.imports,
        sources = first_party.sources,
        runfiles = runfiles,
    )
    return [
        venv,
        DefaultInfo(executable = launcher, files = depset([tree]), runfiles = runfiles.merge(launch_runfiles)),
        OutputGroupInfo(manifest = depset([manifest]), digest = depset([digest]), spec = depset([spec])),
    ]

def _interpreter(ctx):
    target = ctx.attr.interpreter
    if VenvtreeInterpreterInfo not in target:
        fail(("%s: there is no interpreter; add `interpreter = \"//:python\"`, the label of a `venvtree_interpreter`, or give one as " +
              "`venvtree_repositories(interpreter = …)` in WORKSPACE or `venvtree.python(interpreter = …)` in MODULE.bazel") % label_text(ctx.label))
    return target[VenvtreeInterpreterInfo]

def _check_targets(ctx, interpreter):
    """Wheels of a lock must have been chosen for an interpreter like this one."""
    found = interpreter_facts(interpreter)
    for target in ctx.attr.wheels:
        if LockInfo in target and not serves(target[LockInfo].facts, found):
            lock = target[LockInfo]
            fail(wrong_pairing(
                name = label_text(ctx.label),
                wheels = locked_label(lock.hub, target.label),
                target = lock.target,
                wanted = lock.facts,
                interpreter = label_text(ctx.attr.interpreter.label),
                found = found,
            ))

def _python(interpreter, tree):
    if interpreter.path:
        return python_launcher([interpreter.path])
    return python_launcher(interpreter_candidates(
        tree = tree.short_path,
        root = tree.root.path,
        interpreter = interpreter.file.short_path,
        is_source = interpreter.file.is_source,
    ))

py_venv = rule(
    implementation = _py_venv_impl,
    doc = """A Python environment, made from wheels by one cached action `PyVenv`.

`bazel build` makes the environment's directory, `NAME.venv`; the output groups `manifest`, `digest` and `spec` hold what is known about it.
`bazel run //:env -- ARGUMENTS` starts its Python, in the directory where `bazel` was called. Binaries and tests share environments:
first-party code is theirs, and editing it rebuilds no environment.""",
    attrs = dict(
        {
            "wheels": attr.label_list(
                doc = "The wheels to install: files, filegroups, `py_wheel`s, or any targets that yield `.whl` files, such as " +
                      "`@pypi//requests` of a lock. Wheels among a target's runfiles are installed too. Where `conflicts` says so, their order matters.",
                allow_files = True,
            ),
            "interpreter": attr.label(
                doc = "The interpreter that the environment is for: a `venvtree_interpreter`. By default the one that was given to " +
                      "`venvtree_repositories` or to the module extension.",
                default = Label("@venvtree_host//:interpreter"),
            ),
            "deps": attr.label_list(
                doc = "Python libraries that `bazel run` of the environment can import: targets with `PyInfo`. They are no part of " +
                      "the environment's directory, and binaries and tests that use the environment see them too.",
            ),
        },
        **dict(attributes(ENVIRONMENT), **dict(TOOL_ATTRS, **LAUNCH_ATTRS))
    ),
    executable = True,
    provides = [VenvInfo],
)
