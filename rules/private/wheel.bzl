"""`py_wheel`: a wheel made of first-party code."""

load("//rules:providers.bzl", "WheelInfo")
load("//rules/common:attributes.bzl", "DOCS", "WHEEL")
load("//rules/common:install_path.bzl", "install_path")
load("//rules/common:label.bzl", "label_text")
load("//rules/common:wheel_metadata.bzl", "check_wheel", "entry_points_text", "metadata_text", "wheel_file_name")
load("//rules/common:wheel_name.bzl", "normalise_distribution")
load(":action.bzl", "TOOL_ATTRS", "run_tool")
load(":attributes.bzl", "attributes")
load(":collect.bzl", "import_root", "python_info", "rlocation_path")

def _py_wheel_impl(ctx):
    problem = check_wheel(ctx.attr)
    if problem:
        fail("%s: %s" % (label_text(ctx.label), problem))
    wheel = ctx.actions.declare_file(wheel_file_name(ctx.attr))
    metadata = ctx.actions.declare_file(ctx.label.name + ".metadata")
    ctx.actions.write(metadata, metadata_text(ctx.attr, ctx.file.description_file))

    args = ctx.actions.args()
    args.add("wheel")
    args.add("pack")
    args.add("--out", wheel)
    args.add("--metadata", metadata)
    inputs = [metadata]
    if ctx.file.description_file:
        args.add("--description", ctx.file.description_file)
        inputs.append(ctx.file.description_file)
    if ctx.attr.entry_points:
        entry_points = ctx.actions.declare_file(ctx.label.name + ".entry_points")
        ctx.actions.write(entry_points, entry_points_text(ctx.attr.entry_points))
        args.add("--entry-points", entry_points)
        inputs.append(entry_points)
    for path, file in _contents(ctx):
        # Only so does path mapping see the file.
        args.add(file, format = "--file=%s=%%s" % path.replace("%", "%%"))
        inputs.append(file)
    run_tool(
        ctx,
        args = args,
        mnemonic = "PyWheel",
        progress_message = "Packing wheel %s" % label_text(ctx.label),
        inputs = inputs,
        outputs = [wheel],
    )
    return [
        DefaultInfo(files = depset([wheel]), runfiles = ctx.runfiles(files = [wheel])),
        WheelInfo(wheel = wheel, distribution = normalise_distribution(ctx.attr.distribution), version = ctx.attr.version),
    ]

def _contents(ctx):
    roots = [import_root(ctx.label, ctx.workspace_name, path) for path in ctx.attr.imports]
    files = list(ctx.files.srcs)
    for dep in ctx.attr.deps:
        info = python_info(dep)
        if not info:
            fail("%s: `deps` has %s, which is no Python library: it has no PyInfo; files belong in `srcs`" % (label_text(ctx.label), label_text(dep.label)))
        roots += info.imports.to_list()
        files += [file for file in dep[DefaultInfo].files.to_list() if file.extension in ["py", "pyi", "so"]]
    contents = {}
    for file in files:
        path = install_path(rlocation_path(ctx.workspace_name, file), roots)
        if contents.get(path, file) != file:
            fail("%s: both %s and %s would be %s in the wheel; remove one, or correct `imports`" % (label_text(ctx.label), contents[path].short_path, file.short_path, path))
        contents[path] = file
    if not contents:
        fail("%s: there is nothing to put into the wheel; add `srcs` or `deps`" % label_text(ctx.label))
    return sorted(contents.items())

py_wheel = rule(
    implementation = _py_wheel_impl,
    doc = "A wheel made of first-party code, the same bytes wherever it is packed. It can be one of an environment's `wheels`.",
    attrs = dict(attributes(WHEEL), **dict({
        "srcs": attr.label_list(
            doc = "Files to put into the wheel: modules, and data beside them.",
            allow_files = True,
        ),
        "deps": attr.label_list(
            doc = "Python libraries whose own files go into the wheel, those of their dependencies not. Their import roots count.",
        ),
        "imports": attr.string_list(
            doc = "Import roots, relative to the package. A file's path in the wheel is its path below the longest import root that " +
                  "holds it, else below the repository.",
        ),
        "description_file": attr.label(
            doc = DOCS["description_file"],
            allow_single_file = True,
        ),
    }, **TOOL_ATTRS)),
    provides = [WheelInfo],
)
