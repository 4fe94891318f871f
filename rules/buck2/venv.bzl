"""`py_venv`: an environment, made by one cached action."""

load("//rules/common:attributes.bzl", "BYTECODE", "ENVIRONMENT")
load("//rules/common:bytecode.bzl", "bytecode_document")
load("//rules/common:spec.bzl", "environment_flags", "interpreter_facts", "python_launcher", "spec_document", "wheel_documents")
load(":action.bzl", "TOOL_ATTRS", "named_input", "run_tool", "target_name")
load(":attributes.bzl", "attributes", "optional", "targets")
load(":bytecode.bzl", "compile_wheels")
load(":collect.bzl", "collect_sources", "collect_wheels")
load(":launch.bzl", "LAUNCH_ATTRS", "write_launcher")
load(":launchers.bzl", "launchers_for")
load(":proof.bzl", "proofs")
load(":providers.bzl", "VenvInfo", "VenvtreeInterpreterInfo", "VenvtreeToolInfo")
load(":wheel_set.bzl", "check_locked")

def _py_venv_impl(ctx: AnalysisContext) -> list[Provider]:
    name = target_name(ctx)
    interpreter = _interpreter(ctx)
    check_locked(name, ctx.attrs.wheels, interpreter, _interpreter_name(ctx))
    wheels = collect_wheels(name, ctx.attrs.wheels)
    sources = collect_sources(name, ctx.attrs.deps)
    stem = ctx.label.name.replace("/", "_")
    tree = ctx.actions.declare_output(stem + ".venv", dir = True, has_content_based_path = True)
    manifest = ctx.actions.declare_output(stem + ".manifest.json", has_content_based_path = True)
    digest = ctx.actions.declare_output(stem + ".digest", has_content_based_path = True)
    bytecode = compile_wheels(ctx, interpreter, wheels)
    documents = wheel_documents([wheel.basename for wheel in wheels], ctx.attrs.exclude, bytecode.keys)
    if documents.error:
        fail("%s: %s" % (name, documents.error))

    # The only path in the spec is the interpreter's: of the machine, or relative to the tree.
    candidate = interpreter.path or cmd_args(interpreter.file, relative_to = tree, delimiter = "")
    launchers = launchers_for(name, interpreter)
    document = spec_document(
        interpreter = interpreter_facts(interpreter),
        python = python_launcher([candidate]),
        wheels = documents.value,
        flags = environment_flags(ctx.attrs),
        launchers = launchers.documents,
        bytecode = bytecode_document(bytecode.wanted, interpreter.version),
    )
    inputs = wheels + launchers.files + bytecode.files
    spec = ctx.actions.write_json(stem + ".spec.json", document, pretty = True, has_content_based_path = True)
    run_tool(
        ctx,
        # Buck has caches of its own, and an action writes only its outputs.
        command = ["build", spec, "--no-store", "--quiet"],
        category = "py_venv",
        outputs = [("--out", tree), ("--manifest", manifest), ("--digest-file", digest)],
        inputs = [named_input(wheel.basename, wheel) for wheel in inputs],
    )

    launcher = write_launcher(
        ctx,
        tree = tree,
        interpreter = interpreter,
        start = struct(kind = "python"),
        sources = sources,
    )
    return [
        VenvInfo(
            tree = tree,
            manifest = manifest,
            digest = digest,
            spec = spec,
            document = document,
            interpreter = interpreter,
            wheels = wheels,
            overlays = bytecode.files,
            bytecode = bytecode.wanted,
            sources = sources,
        ),
        DefaultInfo(
            default_output = tree,
            other_outputs = interpreter.files,
            sub_targets = {
                "digest": [DefaultInfo(default_output = digest)],
                "manifest": [DefaultInfo(default_output = manifest)],
                "spec": [DefaultInfo(default_output = spec)],
            } | proofs(ctx, spec, inputs),
        ),
        RunInfo(args = cmd_args(launcher.file, hidden = launcher.needs)),
    ]

def _interpreter_name(ctx: AnalysisContext) -> str:
    return str((ctx.attrs.interpreter or ctx.attrs._toolchain).label.raw_target())

def _interpreter(ctx: AnalysisContext) -> VenvtreeInterpreterInfo:
    if ctx.attrs.interpreter:
        return ctx.attrs.interpreter[VenvtreeInterpreterInfo]
    interpreter = ctx.attrs._toolchain[VenvtreeToolInfo].interpreter
    if not interpreter:
        fail(("%s: there is no interpreter; add `interpreter = \"//:python\"`, the label of a `venvtree_interpreter`, or give one to the " +
              "`venvtree_toolchain` that is toolchains//:venvtree") % target_name(ctx))
    return interpreter

py_venv = rule(
    impl = _py_venv_impl,
    doc = """A Python environment, made from wheels by one cached action `py_venv`.

`buck2 build` makes the environment's directory; the sub-targets `[manifest]`, `[digest]` and `[spec]` are what is known about it,
`[sbom]` (CycloneDX and SPDX), `[licenses]` (with their texts) and `[provenance]` (in-toto) what it is made of.
`buck2 run //:env -- ARGUMENTS` starts its Python. Binaries and tests share environments: first-party code is theirs, and editing it
rebuilds no environment.""",
    attrs = {
        "wheels": attrs.list(
            attrs.one_of(attrs.dep(), attrs.source()),
            default = [],
            doc = "The wheels to install: files, and targets that make `.whl` files, such as `py_wheel`, `http_file`, and the prelude's " +
                  "`prebuilt_python_library` of a wheel. Their `deps` are not followed. Where `conflicts` says so, their order matters.",
        ),
        "deps": targets(
            "Python libraries of the prelude that `buck2 run` of the environment can import. They are no part of the environment's " +
            "directory, and binaries and tests that use the environment see them too.",
        ),
        "interpreter": optional(
            attrs.dep(providers = [VenvtreeInterpreterInfo]),
            "The interpreter that the environment is for: a `venvtree_interpreter`. By default that of the toolchain.",
        ),
    } | attributes(ENVIRONMENT | BYTECODE) | LAUNCH_ATTRS | TOOL_ATTRS,
)
