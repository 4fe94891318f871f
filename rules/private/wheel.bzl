"""`py_wheel`: a wheel made of first-party code."""

load("//rules:providers.bzl", "VenvtreeToolInfo", "WheelInfo")
load("//rules/common:install_path.bzl", "install_path")
load("//rules/common:label.bzl", "label_text")
load("//rules/common:wheel_name.bzl", "escape_distribution", "normalise_distribution")
load(":action.bzl", "run_tool")
load(":collect.bzl", "import_root", "python_info", "rlocation_path")
load(":venv.bzl", "TOOL_ATTRS")

def _py_wheel_impl(ctx):
    _check(ctx)
    name = "%s-%s-%s-%s-%s" % (escape_distribution(ctx.attr.distribution), ctx.attr.version, ctx.attr.python_tag, ctx.attr.abi, ctx.attr.platform)
    wheel = ctx.actions.declare_file(name + ".whl")
    metadata = ctx.actions.declare_file(ctx.label.name + ".metadata")
    ctx.actions.write(metadata, _metadata(ctx))

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
        ctx.actions.write(entry_points, _entry_points(ctx))
        args.add("--entry-points", entry_points)
        inputs.append(entry_points)
    for path, file in _contents(ctx):
        # Only so does path mapping see the file.
        args.add(file, format = "--file=%s=%%s" % path.replace("%", "%%"))
        inputs.append(file)
    run_tool(
        ctx,
        toolchain = ctx.attr._toolchain[VenvtreeToolInfo],
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

def _check(ctx):
    for name in ["distribution", "version", "python_tag", "abi", "platform"]:
        value = getattr(ctx.attr, name)
        forbidden = [character for character in ("/\\ \t\n" + ("-" if name != "distribution" else "")).elems() if character in value]
        if not value or forbidden:
            fail("%s: `%s` is `%s`; expected a text without `-`, `/` and white space, because it is part of the wheel's name" % (label_text(ctx.label), name, value))
    for name in ["summary", "author", "author_email", "license", "homepage"]:
        if "\n" in getattr(ctx.attr, name):
            fail("%s: `%s` has more than one line; a longer text belongs in `description_file`" % (label_text(ctx.label), name))

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

def _metadata(ctx):
    attr = ctx.attr
    lines = ["Metadata-Version: 2.1", "Name: " + attr.distribution, "Version: " + attr.version]
    for header, value in [
        ("Summary", attr.summary),
        ("Home-page", attr.homepage),
        ("Author", attr.author),
        ("Author-email", attr.author_email),
        ("License", attr.license),
        ("Requires-Python", attr.python_requires),
    ]:
        if value:
            lines.append("%s: %s" % (header, value))
    lines += ["Classifier: " + classifier for classifier in attr.classifiers]
    lines += ["Requires-Dist: " + requirement for requirement in attr.requires]
    for extra in sorted(attr.extra_requires.keys()):
        lines.append("Provides-Extra: " + extra)
        for requirement in attr.extra_requires[extra]:
            requirement, _, marker = requirement.partition(";")
            condition = "extra == '%s'" % extra
            if marker:
                condition = "(%s) and %s" % (marker.strip(), condition)
            lines.append("Requires-Dist: %s; %s" % (requirement.strip(), condition))
    if ctx.file.description_file:
        lines.append("Description-Content-Type: " + _CONTENT_TYPES.get(ctx.file.description_file.extension, "text/plain"))
    return "\n".join(lines) + "\n"

_CONTENT_TYPES = {
    "md": "text/markdown",
    "rst": "text/x-rst",
}

def _entry_points(ctx):
    lines = []
    for group in sorted(ctx.attr.entry_points.keys()):
        lines.append("[%s]" % group)
        lines += sorted(ctx.attr.entry_points[group])
        lines.append("")
    return "\n".join(lines)

py_wheel = rule(
    implementation = _py_wheel_impl,
    doc = "A wheel made of first-party code, the same bytes wherever it is packed. It can be one of an environment's `wheels`.",
    attrs = dict({
        "distribution": attr.string(
            doc = "The distribution's name.",
            mandatory = True,
        ),
        "version": attr.string(
            doc = "The distribution's version.",
            mandatory = True,
        ),
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
        "python_tag": attr.string(doc = "The Python tag.", default = "py3"),
        "abi": attr.string(doc = "The ABI tag.", default = "none"),
        "platform": attr.string(doc = "The platform tag.", default = "any"),
        "entry_points": attr.string_list_dict(
            doc = "Entry points by group: `{\"console_scripts\": [\"app = package.module:main\"]}`.",
        ),
        "requires": attr.string_list(
            doc = "Requirements, such as `requests >= 2`.",
        ),
        "extra_requires": attr.string_list_dict(
            doc = "Requirements by extra.",
        ),
        "python_requires": attr.string(
            doc = "The versions of Python that it is for, such as `>=3.11`.",
        ),
        "summary": attr.string(doc = "What it is, in one line."),
        "description_file": attr.label(
            doc = "A longer description: Markdown (`.md`), reStructuredText (`.rst`) or plain text.",
            allow_single_file = True,
        ),
        "author": attr.string(doc = "Who wrote it."),
        "author_email": attr.string(doc = "Where to write to."),
        "homepage": attr.string(doc = "Where to read more."),
        "license": attr.string(doc = "Its licence."),
        "classifiers": attr.string_list(doc = "Trove classifiers."),
    }, **TOOL_ATTRS),
    provides = [WheelInfo],
)
