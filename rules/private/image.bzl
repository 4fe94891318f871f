"""`py_venv_layers` and `py_venv_image`: environments in container images."""

load("//rules:providers.bzl", "VenvInfo")
load("//rules/common:attributes.bzl", "IMAGE", "LAYERS")
load("//rules/common:label.bzl", "label_text")
load("//rules/common:layers.bzl", "image_options", "layer_options", "split_wheels")
load("//rules/common:packed.bzl", "layer_document", "packed_document")
load(":action.bzl", "run_tool")
load(":attributes.bzl", "attributes")
load(":packed.bzl", "PACKED_ATTRS", "packed_interpreter", "packed_sources")
load(":spec_args.bzl", "add_packed_inputs")

_EXTENSIONS = {"gzip": "tar.gz", "none": "tar", "zstd": "tar.zst"}

def _py_venv_layers_impl(ctx):
    environment = _environment(ctx)
    venv = ctx.attr.venv[VenvInfo]
    split = _checked(ctx, split_wheels(venv.document, ctx.attr.alone))
    options = _checked(ctx, layer_options(ctx.attr))
    files = {file.basename: file for file in environment.wheels + environment.interpreter.wheel_overlays}
    layers = []
    if environment.interpreter.files:
        # All images with this interpreter have this layer, whatever else is in them.
        part = _part("interpreter", files = environment.interpreter.overlays, copied = environment.interpreter.files)
        layers.append(_layer(ctx, (environment, options), part))
    for name, wheels in split:
        # One wheel's files do not depend on another wheel: the action sees no more than these.
        keys = [key for wheel in wheels for key in [wheel["path"]] + wheel.get("bytecode", [])]
        part = _part("packages", name = name, wheels = wheels, files = [files[key] for key in keys if key in files])
        layers.append(_layer(ctx, (environment, options), part))
    layers.append(_layer(ctx, (environment, options), _part("environment")))
    if environment.located:
        layers.append(_layer(ctx, (environment, options), _part("sources", sources = environment.sources, located = environment.located)))
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
      A struct of `venv` (VenvInfo), `interpreter` (what `packed_interpreter` gives), `wheels` (files), `located` (files of sources) and `sources`
      (of the spec).
    """
    venv = ctx.attr.venv[VenvInfo]
    first_party = packed_sources(ctx)
    interpreter = packed_interpreter(ctx, venv)
    if interpreter.info.platform["os"] == "windows":
        fail("%s: the interpreter is for Windows, and no image or layer is; pack such an environment with `py_venv_archive`" % label_text(ctx.label))
    return struct(
        venv = venv,
        interpreter = interpreter,
        wheels = venv.wheels,
        located = first_party.files,
        sources = first_party.entries,
    )

def _part(only, name = None, wheels = [], sources = [], files = [], located = [], copied = []):
    """A part of the environment: what is in it, and the files of that."""
    return struct(only = only, name = name or only, wheels = wheels, sources = sources, files = files, located = located, copied = copied)

def _layer(ctx, common, part):
    """Packs one layer.

    Args:
      ctx: the rule's context.
      common: what goes into the image, and the options of all its layers.
      part: what `_part` gives.

    Returns:
      The layer, a File.
    """

    environment, options = common

    spec = _write_spec(ctx, "%s.%s.spec.json" % (ctx.label.name, part.name), layer_document(environment, part))
    layer = ctx.actions.declare_file("%s.layers/%s.%s" % (ctx.label.name, part.name, _EXTENSIONS[ctx.attr.compression]))
    args = ctx.actions.args()
    args.add("pack")
    args.add(spec)
    args.add("--only", part.only)
    args.add("--out", layer)
    args.add("--archive-format", _EXTENSIONS[ctx.attr.compression])
    args.add("--quiet")
    args.add_all(options)
    add_packed_inputs(args, part.files, part.copied, part.located)
    run_tool(
        ctx,
        args = args,
        mnemonic = "PyVenvLayer",
        progress_message = "Packing layer %s of %s" % (part.name, label_text(ctx.label)),
        inputs = [spec] + part.files + part.copied + part.located,
        outputs = [layer],
    )
    return layer

def _write_spec(ctx, name, document):
    spec = ctx.actions.declare_file(name)
    ctx.actions.write(spec, json.encode(document) + "\n")
    return spec

def _py_venv_image_impl(ctx):
    environment = _environment(ctx)
    wheels = ctx.attr.venv[VenvInfo].document["wheels"]
    interpreter = environment.interpreter
    document = packed_document(environment.venv, interpreter, wheels, environment.sources)
    spec = _write_spec(ctx, ctx.label.name + ".spec.json", document)
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
    named = environment.wheels + interpreter.wheel_overlays + interpreter.overlays
    add_packed_inputs(args, named, interpreter.files, environment.located)
    run_tool(
        ctx,
        args = args,
        mnemonic = "PyVenvImage",
        progress_message = "Packing image %s" % label_text(ctx.label),
        inputs = [spec] + named + interpreter.files + environment.located + ctx.files.base,
        outputs = [image],
    )
    return [DefaultInfo(files = depset([image]), runfiles = ctx.runfiles(files = [image]))]

py_venv_layers = rule(
    implementation = _py_venv_layers_impl,
    doc = """An environment as layers, the same bytes wherever they are packed: `oci_image(tars = [":layers"])`.

Each layer is an action `PyVenvLayer` that sees only what is in it: an edited source packs the layer of `deps` again, and no other one.
An interpreter that is part of the build is a layer, too, the same for all images that have it. Whether the wheels go together is found out
beside that, by building the environment.""",
    attrs = dict(PACKED_ATTRS, **attributes(LAYERS)),
)

py_venv_image = rule(
    implementation = _py_venv_image_impl,
    doc = """An environment as an image: a directory in the format of the Open Container Initiative, made by one action.

An interpreter that is part of the build is in it. Where images are put together by other rules, `py_venv_layers` is the better half of this.""",
    attrs = dict(
        {"base": attr.label(
            doc = "The image to put it on: a directory in the same format.",
            allow_single_file = True,
        )},
        **dict(PACKED_ATTRS, **attributes(IMAGE))
    ),
)
