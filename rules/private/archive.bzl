"""`py_venv_archive`: an environment as one file, for images and deployments."""

load("//rules:providers.bzl", "VenvInfo", "VenvtreeInterpreterInfo")
load("//rules/common:attributes.bzl", "ARCHIVE", "DOCS")
load("//rules/common:install_path.bzl", "install_path")
load("//rules/common:label.bzl", "label_text")
load("//rules/common:text.bzl", "check_line")
load(":action.bzl", "TOOL_ATTRS", "run_tool")
load(":attributes.bzl", "attributes")
load(":closure.bzl", "check_closure", "collect_closure", "wheel_closure")
load(":collect.bzl", "collect_first_party", "rlocation_path")
load(":launchers.bzl", "launchers_for")
load(":packed.bzl", "packed_document", "packed_interpreter")
load(":spec_args.bzl", "add_inputs", "add_interpreter_inputs", "add_located_inputs")

def _py_venv_archive_impl(ctx):
    problem = check_line("prefix", ctx.attr.prefix)
    if problem:
        fail("%s: %s" % (label_text(ctx.label), problem))
    venv = ctx.attr.venv[VenvInfo]
    check_closure(ctx.label, collect_closure(ctx.label, ctx.attr.deps), ctx.attr.venv)
    first_party = collect_first_party(ctx, deps = ctx.attr.deps)
    import_roots = first_party.imports.to_list()
    files = installed_files(ctx, first_party)
    interpreter = packed_interpreter(ctx, venv)
    launchers = launchers_for(ctx, interpreter.info)
    sources = [
        {"path": file.short_path, "into": install_path(rlocation_path(ctx.workspace_name, file), import_roots)}
        for file in files
    ]
    document = packed_document(venv, interpreter, venv.document["wheels"], sources, launchers = launchers.documents)
    spec = ctx.actions.declare_file(ctx.label.name + ".spec.json")
    ctx.actions.write(spec, json.encode(document) + "\n")
    archive = ctx.actions.declare_file(ctx.attr.out or "%s.%s" % (ctx.label.name, ctx.attr.format))

    # Packed from the wheels: in the environment's directory modes are not what they were, after a remote cache.
    args = ctx.actions.args()
    args.add("pack")
    args.add(spec)
    args.add("--out", archive)
    args.add("--archive-format", ctx.attr.format)
    args.add("--quiet")
    if ctx.attr.prefix:
        args.add("--prefix", ctx.attr.prefix)
    named = venv.wheels + interpreter.wheel_overlays + interpreter.overlays + launchers.files
    add_inputs(args, named)
    add_interpreter_inputs(args, interpreter.files)
    add_located_inputs(args, files)
    run_tool(
        ctx,
        args = args,
        mnemonic = "PyVenvArchive",
        progress_message = "Packing Python environment %s" % label_text(ctx.label),
        inputs = [spec] + named + interpreter.files + files,
        outputs = [archive],
    )
    return [DefaultInfo(files = depset([archive]), runfiles = ctx.runfiles(files = [archive]))]

def installed_files(ctx, first_party):
    """First-party sources, and the data that libraries need beside them.

    Args:
      ctx: the rule's context.
      first_party: what `collect_first_party` returned.

    Returns:
      A list of File.
    """
    files = depset(transitive = [first_party.sources, first_party.runfiles.files]).to_list()
    for file in files:
        if file.is_directory:
            fail("%s: `deps` need the directory %s at run time, which cannot be installed; name its files as `data`" % (label_text(ctx.label), file.short_path))
    return files

# What is packed: an environment with first-party code in it.
ARCHIVED_ATTRS = {
    "venv": attr.label(
        doc = DOCS["archived_venv"],
        mandatory = True,
        providers = [VenvInfo],
    ),
    "deps": attr.label_list(
        doc = "Python libraries to install into the environment: their sources and data, below their import roots.",
        aspects = [wheel_closure],
    ),
    "interpreter": attr.label(
        doc = DOCS["archive_interpreter"],
        providers = [VenvtreeInterpreterInfo],
    ),
}

py_venv_archive = rule(
    implementation = _py_venv_archive_impl,
    doc = """An environment as one file, the same bytes wherever it is packed.

An interpreter that is part of the build is in it, one of the system is not. With `deps`, first-party code is in the environment's `site-packages`.""",
    attrs = dict(ARCHIVED_ATTRS, **dict(attributes(ARCHIVE), **TOOL_ATTRS)),
)
