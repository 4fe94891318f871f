"""`py_wheel`: a wheel made of first-party code."""

load("@prelude//python:python.bzl", "PythonLibraryInfo")
load("//rules/common:attributes.bzl", "DOCS", "WHEEL")
load("//rules/common:wheel_metadata.bzl", "check_wheel", "entry_points_text", "metadata_text", "wheel_file_name")
load("//rules/common:wheel_name.bzl", "normalise_distribution")
load(":action.bzl", "TOOL_ATTRS", "run_tool", "target_name")
load(":attributes.bzl", "attributes", "optional", "placed_files", "targets")
load(":collect.bzl", "place_files")
load(":providers.bzl", "WheelInfo")

def _py_wheel_impl(ctx: AnalysisContext) -> list[Provider]:
    name = target_name(ctx)
    problem = check_wheel(ctx.attrs)
    if problem:
        fail("%s: %s" % (name, problem))
    wheel = ctx.actions.declare_output(wheel_file_name(ctx.attrs), has_content_based_path = True)
    stem = ctx.label.name.replace("/", "_")
    metadata = ctx.actions.write(stem + ".metadata", metadata_text(ctx.attrs, ctx.attrs.description_file), has_content_based_path = True)
    inputs = [cmd_args(metadata, format = "--metadata={}")]
    if ctx.attrs.description_file:
        inputs.append(cmd_args(ctx.attrs.description_file, format = "--description={}"))
    if ctx.attrs.entry_points:
        entry_points = ctx.actions.write(stem + ".entry_points", entry_points_text(ctx.attrs.entry_points), has_content_based_path = True)
        inputs.append(cmd_args(entry_points, format = "--entry-points={}"))
    for place, file in _contents(ctx, name):
        inputs.append(cmd_args(file, format = "--file=%s={}" % place.replace("{", "{{").replace("}", "}}")))
    run_tool(
        ctx,
        command = ["wheel", "pack"],
        category = "py_wheel",
        outputs = [("--out", wheel)],
        inputs = inputs,
    )
    return [
        DefaultInfo(default_output = wheel),
        WheelInfo(wheel = wheel, distribution = normalise_distribution(ctx.attrs.distribution), version = ctx.attrs.version),
    ]

def _contents(ctx: AnalysisContext, name: str) -> list[(str, Artifact)]:
    contents = place_files(ctx.label, ctx.attrs.base_module, ctx.attrs.srcs)
    for dep in ctx.attrs.deps:
        if PythonLibraryInfo not in dep:
            fail("%s: `deps` has %s, which is no Python library: it has no PythonLibraryInfo; files belong in `srcs`" % (name, dep.label.raw_target()))

        # The library's own files, and not those of its dependencies: the first of the set.
        library = dep[PythonLibraryInfo].manifests.value
        for manifest in [library.srcs] + ([library.default_resources[0]] if library.default_resources else []):
            for file, place in (manifest.artifacts if manifest else []):
                if contents.get(place, file) != file:
                    fail("%s: both %s and %s would be %s in the wheel; remove one, or correct `base_module`" % (name, contents[place], file, place))
                contents[place] = file
    if not contents:
        fail("%s: there is nothing to put into the wheel; add `srcs` or `deps`" % name)
    return sorted(contents.items())

py_wheel = rule(
    impl = _py_wheel_impl,
    doc = "A wheel made of first-party code, the same bytes wherever it is packed. It can be one of an environment's `wheels`.",
    attrs = attributes(WHEEL) | {
        "srcs": placed_files("Files to put into the wheel: modules, and data beside them."),
        "base_module": optional(
            attrs.string(),
            "The package that `srcs` are in, as the prelude's Python rules have it: by default the one that the path says, `\"\"` for none.",
        ),
        "deps": targets("Python libraries of the prelude whose own files go into the wheel, those of their dependencies not."),
        "description_file": optional(attrs.source(), DOCS["description_file"]),
    } | TOOL_ATTRS,
)
