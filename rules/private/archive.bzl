"""`py_venv_archive`: an environment as one file, for images and deployments."""

load("//rules:providers.bzl", "VenvInfo")
load("//rules/common:attributes.bzl", "ARCHIVE")
load("//rules/common:label.bzl", "label_text")
load("//rules/common:packed.bzl", "packed_document")
load("//rules/common:text.bzl", "check_line")
load(":action.bzl", "run_tool")
load(":attributes.bzl", "attributes")
load(":launchers.bzl", "launchers_for")
load(":packed.bzl", "PACKED_ATTRS", "packed_interpreter", "packed_sources")
load(":spec_args.bzl", "add_packed_inputs")

def _py_venv_archive_impl(ctx):
    problem = check_line("prefix", ctx.attr.prefix)
    if problem:
        fail("%s: %s" % (label_text(ctx.label), problem))
    venv = ctx.attr.venv[VenvInfo]
    first_party = packed_sources(ctx)
    interpreter = packed_interpreter(ctx, venv)
    launchers = launchers_for(ctx, interpreter.info)
    document = packed_document(venv, interpreter, venv.document["wheels"], first_party.entries, launchers = launchers.documents)
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
    add_packed_inputs(args, named, interpreter.files, first_party.files)
    run_tool(
        ctx,
        args = args,
        mnemonic = "PyVenvArchive",
        progress_message = "Packing Python environment %s" % label_text(ctx.label),
        inputs = [spec] + named + interpreter.files + first_party.files,
        outputs = [archive],
    )
    return [DefaultInfo(files = depset([archive]), runfiles = ctx.runfiles(files = [archive]))]

py_venv_archive = rule(
    implementation = _py_venv_archive_impl,
    doc = """An environment as one file, the same bytes wherever it is packed.

An interpreter that is part of the build is in it, one of the system is not. With `deps`, first-party code is in the environment's `site-packages`.""",
    attrs = dict(PACKED_ATTRS, **attributes(ARCHIVE)),
)
