"""An environment, made by one cached action: for `py_venv`, and for programs that name none."""

load("//rules:providers.bzl", "ChoiceInfo", "VenvInfo", "VenvtreeInterpreterInfo")
load("//rules/common:attributes.bzl", "BYTECODE", "ENVIRONMENT")
load("//rules/common:bytecode.bzl", "bytecode_document")
load("//rules/common:label.bzl", "label_text")
load("//rules/common:locks.bzl", "check_flags")
load("//rules/common:spec.bzl", "check_environment", "environment_flags", "interpreter_candidates", "interpreter_facts", "python_launcher", "spec_document", "wheel_documents")
load(":action.bzl", "TOOL_ATTRS", "run_tool")
load(":attributes.bzl", "attributes", "setting_attributes", "setting_value")
load(":bytecode.bzl", "BYTECODE_ATTRS", "environment_bytecode")
load(":closure.bzl", "check_locks")
load(":launchers.bzl", "launchers_for")
load(":proof.bzl", "proofs")
load(":shared.bzl", "declare_shared")
load(":spec_args.bzl", "add_inputs")

_REMOTE_CACHE = setting_attributes(
    "remote_cache",
    ["yes", "no"],
    "Whether the environment's directory goes into a remote cache, and is taken from one: `yes`, or `no` where it is built faster than " +
    "its files are fetched. By default what `--@venvtree//rules:remote_cache` says, which is `yes`.",
)

ENVIRONMENT_ATTRS = dict({
    "interpreter": attr.label(
        doc = "The interpreter that the environment is for: a `venvtree_interpreter`. By default the one that was given to " +
              "`venvtree_repositories` or to the module extension.",
        default = Label("@venvtree_host//:interpreter"),
    ),
    "_default_interpreter": attr.label(default = Label("@venvtree_host//:interpreter")),
    "_libc": attr.label(default = Label("//rules:libc"), providers = [ChoiceInfo]),
    "_python": attr.label(default = Label("//rules:python"), providers = [ChoiceInfo]),
}, **dict(_REMOTE_CACHE, **dict(attributes(dict(ENVIRONMENT, **BYTECODE)), **dict(BYTECODE_ATTRS, **TOOL_ATTRS))))

def build_environment(ctx, wheels, twins, locks, overlays, first_party):
    """Declares the environment `NAME.venv` and the action that makes it.

    Args:
      ctx: the context of a rule with ENVIRONMENT_ATTRS.
      wheels: a list of File.
      twins: files of the same names as wheels, which have to be the same; a list of File.
      locks: the targets of locks that wheels were chosen for: a list for `check_locks`.
      overlays: depset of bytecode that the wheels' targets have, as WheelBytecodeInfo has it.
      first_party: what `collect_first_party` found; no part of the environment's directory.

    Returns:
      A VenvInfo.
    """
    interpreter = _interpreter(ctx)
    check_locks(ctx.label, locks, ctx.attr.interpreter.label, interpreter)
    problem = check_environment(ctx.attr)
    if problem:
        fail("%s: %s" % (label_text(ctx.label), problem))
    tree = ctx.actions.declare_directory(ctx.label.name + ".venv")
    manifest = ctx.actions.declare_file(ctx.label.name + ".manifest.json")
    digest = ctx.actions.declare_file(ctx.label.name + ".digest")
    bytecode = environment_bytecode(ctx, wheels, overlays, interpreter)
    documents = wheel_documents([wheel.basename for wheel in wheels], ctx.attr.exclude, bytecode.keys)
    if documents.error:
        fail("%s: %s" % (label_text(ctx.label), documents.error))
    launchers = launchers_for(ctx, interpreter)
    document = spec_document(
        interpreter = interpreter_facts(interpreter),
        python = _python(interpreter, tree),
        wheels = documents.value,
        flags = environment_flags(ctx.attr, locked = bool(locks)),
        launchers = launchers.documents,
        bytecode = bytecode_document(bytecode.wanted, interpreter.version),
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

    # Where Bazel sees no time of change, or file systems give inodes again, it knows files by size and time.
    args.add("--distinct-times")
    args.add("--quiet")
    inputs = wheels + bytecode.files + launchers.files
    add_inputs(args, inputs + twins)
    run_tool(
        ctx,
        args = args,
        mnemonic = "PyVenv",
        progress_message = "Building Python environment %s (%d wheels)" % (label_text(ctx.label), len(wheels)),
        inputs = [spec] + inputs + twins,
        outputs = [tree, manifest, digest],
        requirements = {"no-remote-cache": "1"} if _stays_here(ctx) else {},
    )
    return VenvInfo(
        tree = tree,
        manifest = manifest,
        digest = digest,
        spec = spec,
        document = document,
        interpreter = interpreter,
        wheels = wheels,
        launchers = launchers.files,
        overlays = bytecode.files,
        bytecode = bytecode.wanted,
        imports = first_party.imports,
        sources = first_party.sources,
        runfiles = ctx.runfiles(files = [tree], transitive_files = interpreter.files).merge(first_party.runfiles),
        shared = declare_shared(ctx, spec, document, interpreter, inputs, twins),
        first_party = first_party.runfiles,
    )

def _stays_here(ctx):
    return setting_value(ctx, "remote_cache") == "no"

def environment_groups(ctx, venv, **groups):
    """The output groups of an environment.

    Args:
      ctx: the context of the rule that makes it.
      venv: its VenvInfo.
      **groups: further groups.

    Returns:
      An OutputGroupInfo.
    """
    inputs = venv.wheels + venv.launchers + venv.overlays
    return OutputGroupInfo(
        manifest = depset([venv.manifest]),
        digest = depset([venv.digest]),
        spec = depset([venv.spec]),
        shared = depset([venv.shared.file]),
        **dict(proofs(ctx, venv.spec, inputs), **groups)
    )

def check_script(ctx, venv, name):
    """Declares an action that refuses an environment without a script.

    Args:
      ctx: the context of a rule with TOOL_ATTRS.
      venv: the environment's VenvInfo.
      name: the script's name.

    Returns:
      What the action makes; a File.
    """
    found = ctx.actions.declare_file(ctx.label.name + ".script")
    inputs = venv.wheels + venv.launchers + venv.overlays
    args = ctx.actions.args()
    args.add("digest")
    args.add(venv.spec)
    args.add("--has", ("Scripts/%s.exe" if venv.interpreter.platform["os"] == "windows" else "bin/%s") % name)
    args.add("--digest-file", found)
    args.add("--no-store")
    args.add("--quiet")
    add_inputs(args, inputs)
    run_tool(
        ctx,
        args = args,
        mnemonic = "PyVenvScript",
        progress_message = "Looking for the script %s in the environment of %s" % (name, label_text(ctx.label)),
        inputs = [venv.spec] + inputs,
        outputs = [found],
    )
    return found

def _interpreter(ctx):
    target = ctx.attr.interpreter
    if VenvtreeInterpreterInfo not in target:
        fail(("%s: there is no interpreter; add `interpreter = \"//:python\"`, the label of a `venvtree_interpreter`, or give one as " +
              "`venvtree_repositories(interpreter = …)` in WORKSPACE or `venvtree.python(interpreter = …)` in MODULE.bazel") % label_text(ctx.label))
    interpreter = target[VenvtreeInterpreterInfo]

    # An environment that names another interpreter than the default one wants that, whatever the flags say of the others.
    if target.label == ctx.attr._default_interpreter.label:
        flags = {"python": ctx.attr._python[ChoiceInfo].value, "libc": ctx.attr._libc[ChoiceInfo].value}
        problem = check_flags(flags, label_text(target.label), interpreter_facts(interpreter))
        if problem:
            fail("%s: %s" % (label_text(ctx.label), problem))
    return interpreter

def _python(interpreter, tree):
    if interpreter.path:
        return python_launcher([interpreter.path])
    return python_launcher(interpreter_candidates(
        tree = tree.short_path,
        root = tree.root.path,
        interpreter = interpreter.file.short_path,
        is_source = interpreter.file.is_source,
    ))
