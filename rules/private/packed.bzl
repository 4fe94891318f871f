"""What is packed with an environment: its interpreter, where that goes into it, and first-party code."""

load("//rules:providers.bzl", "VenvInfo", "VenvtreeInterpreterInfo")
load("//rules/common:attributes.bzl", "DOCS")
load("//rules/common:bytecode.bzl", "packed_bytecode")
load("//rules/common:inside.bzl", "copied_files", "inside_files", "inside_flags")
load("//rules/common:install_path.bzl", "install_path")
load("//rules/common:label.bzl", "label_text")
load("//rules/common:spec.bzl", "python_launcher")
load(":action.bzl", "TOOL_ATTRS")
load(":closure.bzl", "check_closure", "collect_closure", "wheel_closure")
load(":collect.bzl", "collect_first_party", "rlocation_path")

def packed_interpreter(ctx, venv):
    """The interpreter of an environment that is packed.

    Args:
      ctx: the context of a rule with the attribute `interpreter`.
      venv: the environment's VenvInfo.

    Returns:
      A struct of `info` (VenvtreeInterpreterInfo), `python` and `flags` (of the spec), `is_copied` (whether it goes into what is packed), `files`
      (list of File: what of it does), and bytecode for it: `wheel_overlays` (list of File: that of the environment's wheels) and `overlays`
      (list of File: that of its own library).
    """
    info = ctx.attr.interpreter[VenvtreeInterpreterInfo] if ctx.attr.interpreter else venv.interpreter
    flags = venv.document["flags"]
    has_bytecode = bool(packed_bytecode(venv, info, []))
    if info.path:
        return struct(info = info, python = python_launcher([info.path]), flags = flags, is_copied = False, files = [], wheel_overlays = venv.overlays if has_bytecode else [], overlays = [])
    files = {file.short_path: file for file in info.files.to_list()}
    copied = copied_files(info.file.short_path, files.keys())
    problem = copied.error
    overlays = []
    if not problem and has_bytecode:
        wanted = [(venv.bytecode.validation, level) for level in venv.bytecode.levels]
        overlays = [info.bytecode[way] for way in wanted if way in info.bytecode]
        if not overlays:
            problem = "nothing compiles its library where actions run; name what does with its `compiler`"
    if problem:
        fail("%s: the interpreter is part of the build and cannot be packed: %s; or add `interpreter = …`, a `venvtree_interpreter` with `path`" % (label_text(ctx.label), problem))
    return struct(
        info = info,
        python = inside_files(info.file.short_path),
        flags = inside_flags(flags, info.platform),
        is_copied = True,
        files = [files[path] for path in copied.value],
        wheel_overlays = venv.overlays if has_bytecode else [],
        overlays = overlays,
    )

def packed_sources(ctx):
    """First-party code that is packed with an environment: sources, and the data that libraries need beside them.

    Args:
      ctx: the context of a rule with the attributes `venv` and `deps`.

    Returns:
      A struct of `files` (list of File) and `entries` (the spec's `sources`).
    """
    check_closure(ctx.label, collect_closure(ctx.label, ctx.attr.deps), ctx.attr.venv)
    first_party = collect_first_party(ctx, deps = ctx.attr.deps)
    import_roots = first_party.imports.to_list()
    files = depset(transitive = [first_party.sources, first_party.runfiles.files]).to_list()
    for file in files:
        if file.is_directory:
            fail("%s: `deps` need the directory %s at run time, which cannot be installed; name its files as `data`" % (label_text(ctx.label), file.short_path))
    return struct(
        files = files,
        entries = [
            {"path": file.short_path, "into": install_path(rlocation_path(ctx.workspace_name, file), import_roots)}
            for file in files
        ],
    )

# What is packed: an environment with first-party code in it; and what packs it.
PACKED_ATTRS = dict({
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
}, **TOOL_ATTRS)
