"""`py_venv_archive`: an environment as one file, for images and deployments."""

load("//rules/common:attributes.bzl", "ARCHIVE", "DOCS")
load("//rules/common:packed.bzl", "packed_document")
load("//rules/common:text.bzl", "check_line")
load(":action.bzl", "TOOL_ATTRS", "named_input", "run_tool", "target_name")
load(":attributes.bzl", "attributes", "optional", "targets")
load(":collect.bzl", "collect_sources")
load(":launchers.bzl", "launchers_for")
load(":packed.bzl", "packed_interpreter")
load(":providers.bzl", "VenvInfo", "VenvtreeInterpreterInfo")

def _py_venv_archive_impl(ctx: AnalysisContext) -> list[Provider]:
    name = target_name(ctx)
    problem = check_line("prefix", ctx.attrs.prefix)
    if problem:
        fail("%s: %s" % (name, problem))
    venv = ctx.attrs.venv[VenvInfo]
    sources = collect_sources(name, ctx.attrs.deps)
    interpreter = packed_interpreter(ctx, venv)
    launchers = launchers_for(name, interpreter.info)
    places = [{"path": source_key(place), "into": place} for place in sources.keys()]
    document = packed_document(venv, interpreter, venv.document["wheels"], places, launchers = launchers.documents)
    stem = ctx.label.name.replace("/", "_")
    spec = ctx.actions.write_json(stem + ".spec.json", document, pretty = True, has_content_based_path = True)
    archive = ctx.actions.declare_output(ctx.attrs.out or "%s.%s" % (stem, ctx.attrs.format), has_content_based_path = True)

    # Packed from the wheels: the environment's directory need not be there.
    command = ["pack", spec, "--archive-format", ctx.attrs.format, "--quiet"]
    if ctx.attrs.prefix:
        command += ["--prefix", ctx.attrs.prefix]
    run_tool(
        ctx,
        command = command,
        category = "py_venv_archive",
        outputs = [("--out", archive)],
        inputs = [named_input(file.basename, file) for file in venv.wheels + interpreter.wheel_overlays + interpreter.overlays + launchers.files] +
                 interpreter.inputs + [named_input(source_key(place), file) for place, file in sources.items()],
    )
    return [DefaultInfo(default_output = archive, sub_targets = {"spec": [DefaultInfo(default_output = spec)]})]

def source_key(place: str) -> str:
    """The key of a first-party file, apart from the keys of wheels, which have no directory.

    Args:
      place: its path below the import root.

    Returns:
      The key.
    """
    return "first_party/" + place

# What is packed: an environment with first-party code in it.
ARCHIVED_ATTRS = {
    "venv": attrs.dep(
        providers = [VenvInfo],
        doc = DOCS["archived_venv"],
    ),
    "deps": targets("Python libraries of the prelude to install into the environment: their sources and resources, below their `base_module`."),
    "interpreter": optional(attrs.dep(providers = [VenvtreeInterpreterInfo]), DOCS["archive_interpreter"]),
}

py_venv_archive = rule(
    impl = _py_venv_archive_impl,
    doc = """An environment as one file, the same bytes wherever it is packed.

An interpreter that is part of the build is in it, one of the system is not. With `deps`, first-party code is in the environment's `site-packages`.""",
    attrs = ARCHIVED_ATTRS | attributes(ARCHIVE) | TOOL_ATTRS,
)
