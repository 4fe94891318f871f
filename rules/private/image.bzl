"""`py_venv_layers` and `py_venv_image`: environments in container images."""

load("//rules:providers.bzl", "VenvInfo", "VenvtreeInterpreterInfo")
load("//rules/common:attributes.bzl", "IMAGE", "LAYERS")
load("//rules/common:bytecode.bzl", "packed_bytecode")
load("//rules/common:install_path.bzl", "install_path")
load("//rules/common:label.bzl", "label_text")
load("//rules/common:layers.bzl", "image_options", "layer_options", "split_wheels")
load("//rules/common:spec.bzl", "interpreter_facts", "python_launcher", "spec_document")
load(":action.bzl", "TOOL_ATTRS", "run_tool")
load(":archive.bzl", "ARCHIVED_ATTRS", "installed_files")
load(":attributes.bzl", "attributes")
load(":closure.bzl", "check_closure", "collect_closure")
load(":collect.bzl", "collect_first_party", "rlocation_path")
load(":spec_args.bzl", "add_inputs", "add_located_inputs")

_EXTENSIONS = {"gzip": "tar.gz", "none": "tar", "zstd": "tar.zst"}

def _py_venv_layers_impl(ctx):
    environment = _environment(ctx)
    venv = ctx.attr.venv[VenvInfo]
    split = _checked(ctx, split_wheels(venv.document, ctx.attr.alone))
    options = _checked(ctx, layer_options(ctx.attr))
    files = {file.basename: file for file in environment.wheels + environment.overlays}
    layers = []
    for name, wheels in split:
        # One wheel's files do not depend on another wheel: the action sees no more than these.
        keys = [key for wheel in wheels for key in [wheel["path"]] + wheel.get("bytecode", [])]
        part = struct(name = name, only = "packages", wheels = wheels, sources = [], files = [files[key] for key in keys if key in files], located = [])
        layers.append(_layer(ctx, (environment, options), part))
    layers.append(_layer(ctx, (environment, options), struct(name = "environment", only = "environment", wheels = [], sources = [], files = [], located = [])))
    if environment.located:
        layers.append(_layer(ctx, (environment, options), struct(name = "sources", only = "sources", wheels = [], sources = environment.sources, files = [], located = environment.located)))
    return [
        DefaultInfo(files = depset(layers), runfiles = ctx.runfiles(files = layers)),
        # Whether the wheels go together is known by whoever sees them all.
        OutputGroupInfo(_validation = depset([venv.digest])),
    ]

def _checked(ctx, result):
    if result.error:
        fail("%s: %s" % (label_text(ctx.label), result.error))
    return result.value

def _environment(ctx):
    """What goes into the image.

    Args:
      ctx: the context of a rule with the attributes `venv`, `deps` and `interpreter`.

    Returns:
      A struct of `venv` (VenvInfo), `interpreter` (VenvtreeInterpreterInfo), `wheels` and `overlays` (files), `located` (files of sources) and
      `sources` (of the spec).
    """
    venv = ctx.attr.venv[VenvInfo]
    check_closure(ctx.label, collect_closure(ctx.label, ctx.attr.deps), ctx.attr.venv)
    first_party = collect_first_party(ctx, deps = ctx.attr.deps)
    import_roots = first_party.imports.to_list()
    located = installed_files(ctx, first_party)
    interpreter = ctx.attr.interpreter[VenvtreeInterpreterInfo] if ctx.attr.interpreter else venv.interpreter
    if interpreter.platform["os"] == "windows":
        fail("%s: the interpreter is for Windows, and no image or layer is; pack such an environment with `py_venv_archive`" % label_text(ctx.label))
    if not interpreter.path:
        fail("%s: the interpreter is part of the build, and an image is used elsewhere; add `interpreter = …`, a `venvtree_interpreter` with `path`" % label_text(ctx.label))
    return struct(
        venv = venv,
        interpreter = interpreter,
        wheels = venv.wheels,
        overlays = venv.overlays if packed_bytecode(venv, interpreter, []) else [],
        located = located,
        sources = [
            {"path": file.short_path, "into": install_path(rlocation_path(ctx.workspace_name, file), import_roots)}
            for file in located
        ],
    )

def _layer(ctx, common, part):
    """Packs one layer.

    Args:
      ctx: the rule's context.
      common: what goes into the image, and the options of all its layers.
      part: a struct of `name`, `only` (the part of the spec), `wheels` and `sources` (of the spec), and their files.

    Returns:
      The layer, a File.
    """

    environment, options = common

    # What other wheels require is not this layer's business.
    spec = _write_spec(ctx, "%s.%s.spec.json" % (ctx.label.name, part.name), environment, part.wheels, part.sources, {"requirements": "off"})
    layer = ctx.actions.declare_file("%s.layers/%s.%s" % (ctx.label.name, part.name, _EXTENSIONS[ctx.attr.compression]))
    args = ctx.actions.args()
    args.add("pack")
    args.add(spec)
    args.add("--only", part.only)
    args.add("--out", layer)
    args.add("--archive-format", _EXTENSIONS[ctx.attr.compression])
    args.add("--quiet")
    args.add_all(options)
    add_inputs(args, part.files)
    add_located_inputs(args, part.located)
    run_tool(
        ctx,
        args = args,
        mnemonic = "PyVenvLayer",
        progress_message = "Packing layer %s of %s" % (part.name, label_text(ctx.label)),
        inputs = [spec] + part.files + part.located,
        outputs = [layer],
    )
    return layer

def _write_spec(ctx, name, environment, wheels, sources, flags):
    document = spec_document(
        interpreter = interpreter_facts(environment.interpreter),
        python = python_launcher([environment.interpreter.path]),
        wheels = wheels,
        flags = dict(environment.venv.document["flags"], **flags),
        sources = sources,
        bytecode = packed_bytecode(environment.venv, environment.interpreter, sources),
    )
    spec = ctx.actions.declare_file(name)
    ctx.actions.write(spec, json.encode(document) + "\n")
    return spec

def _py_venv_image_impl(ctx):
    environment = _environment(ctx)
    wheels = ctx.attr.venv[VenvInfo].document["wheels"]
    spec = _write_spec(ctx, ctx.label.name + ".spec.json", environment, wheels, environment.sources, {})
    image = ctx.actions.declare_directory(ctx.label.name + ".oci")
    options = _checked(ctx, layer_options(ctx.attr)) + _checked(ctx, image_options(ctx.attr))
    args = ctx.actions.args()
    args.add("pack")
    args.add(spec)
    args.add("--archive-format", "oci")
    args.add_all("--out", [image], expand_directories = False)
    args.add("--quiet")
    args.add_all(options)
    if ctx.file.base:
        args.add_all("--base", [ctx.file.base], expand_directories = False)
    add_inputs(args, environment.wheels + environment.overlays)
    add_located_inputs(args, environment.located)
    run_tool(
        ctx,
        args = args,
        mnemonic = "PyVenvImage",
        progress_message = "Packing image %s" % label_text(ctx.label),
        inputs = [spec] + environment.wheels + environment.overlays + environment.located + ctx.files.base,
        outputs = [image],
    )
    return [DefaultInfo(files = depset([image]), runfiles = ctx.runfiles(files = [image]))]

py_venv_layers = rule(
    implementation = _py_venv_layers_impl,
    doc = """An environment as layers, the same bytes wherever they are packed: `oci_image(tars = [":layers"])`.

Each layer is an action `PyVenvLayer` that sees only what is in it: an edited source packs the layer of `deps` again, and no other one.
Whether the wheels go together is found out beside that, by building the environment.""",
    attrs = dict(ARCHIVED_ATTRS, **dict(attributes(LAYERS), **TOOL_ATTRS)),
)

py_venv_image = rule(
    implementation = _py_venv_image_impl,
    doc = """An environment as an image: a directory in the format of the Open Container Initiative, made by one action.

Where images are put together by other rules, `py_venv_layers` is the better half of this.""",
    attrs = dict(
        {"base": attr.label(
            doc = "The image to put it on: a directory in the same format.",
            allow_single_file = True,
        )},
        **dict(ARCHIVED_ATTRS, **dict(attributes(IMAGE), **TOOL_ATTRS))
    ),
)
