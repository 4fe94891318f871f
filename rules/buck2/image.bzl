"""`py_venv_layers` and `py_venv_image`: environments in container images."""

load("//rules/common:attributes.bzl", "IMAGE", "LAYERS")
load("//rules/common:layers.bzl", "image_options", "layer_options", "split_wheels")
load("//rules/common:packed.bzl", "layer_document", "packed_document")
load(":action.bzl", "TOOL_ATTRS", "named_input", "run_tool", "target_name")
load(":archive.bzl", "ARCHIVED_ATTRS", "source_key")
load(":attributes.bzl", "attributes", "optional")
load(":collect.bzl", "collect_sources")
load(":packed.bzl", "packed_interpreter")
load(":providers.bzl", "VenvInfo")

_EXTENSIONS = {"gzip": "tar.gz", "none": "tar", "zstd": "tar.zst"}

def _py_venv_layers_impl(ctx: AnalysisContext) -> list[Provider]:
    environment = _environment(ctx)
    split = _checked(ctx, split_wheels(environment.venv.document, ctx.attrs.alone))
    files = {file.basename: file for file in environment.files}
    layers = {}
    interpreter = environment.interpreter
    if interpreter.inputs:
        # All images with this interpreter have this layer, whatever else is in them.
        inputs = [named_input(file.basename, file) for file in interpreter.overlays] + interpreter.inputs
        layers["interpreter"] = _layer(ctx, environment, _part("interpreter", inputs = inputs))
    for name, wheels in split:
        # One wheel's files do not depend on another wheel: the action sees no more than these.
        keys = [key for wheel in wheels for key in [wheel["path"]] + wheel.get("bytecode", [])]
        inputs = [named_input(key, files[key]) for key in keys if key in files]
        layers[name] = _layer(ctx, environment, _part("packages", name = name, wheels = wheels, inputs = inputs))
    layers["environment"] = _layer(ctx, environment, _part("environment"))
    if environment.sources:
        part = _part("sources", sources = environment.sources, inputs = environment.located)
        layers["sources"] = _layer(ctx, environment, part)
    return [DefaultInfo(
        default_outputs = layers.values(),
        # Whether the wheels go together is known by whoever sees them all.
        other_outputs = [environment.venv.digest],
        sub_targets = {name: [DefaultInfo(default_output = layer)] for name, layer in layers.items()},
    )]

def _checked(ctx: AnalysisContext, result):
    if result.error:
        fail("%s: %s" % (target_name(ctx), result.error))
    return result.value

def _environment(ctx: AnalysisContext) -> struct:
    """What goes into the image: the environment's wheels and the first-party files in it."""
    name = target_name(ctx)
    venv = ctx.attrs.venv[VenvInfo]
    sources = collect_sources(name, ctx.attrs.deps)
    interpreter = packed_interpreter(ctx, venv)
    if interpreter.info.platform["os"] == "windows":
        fail("%s: the interpreter is for Windows, and no image or layer is; pack such an environment with `py_venv_archive`" % name)
    return struct(
        venv = venv,
        interpreter = interpreter,
        files = venv.wheels + interpreter.wheel_overlays,
        sources = [{"path": source_key(place), "into": place} for place in sources.keys()],
        located = [named_input(source_key(place), file) for place, file in sources.items()],
    )

def _part(only: str, name: str | None = None, wheels: list = [], sources: list = [], inputs: list[cmd_args] = []) -> struct:
    """A part of the environment: what is in it, and the inputs of that."""
    return struct(only = only, name = name or only, wheels = wheels, sources = sources, inputs = inputs)

def _layer(ctx: AnalysisContext, environment: struct, part: struct) -> Artifact:
    """Packs one layer.

    Args:
      ctx: the rule's context.
      environment: what goes into the image.
      part: what `_part` gives.

    Returns:
      The layer.
    """

    spec = _write_spec(ctx, part.name, layer_document(environment, part))
    extension = _EXTENSIONS[ctx.attrs.compression]
    layer = ctx.actions.declare_output("layers/%s.%s" % (part.name, extension), has_content_based_path = True)
    run_tool(
        ctx,
        command = ["pack", spec, "--only", part.only, "--archive-format", extension, "--quiet"] + _checked(ctx, layer_options(ctx.attrs)),
        category = "py_venv_layer",
        identifier = part.name,
        outputs = [("--out", layer)],
        inputs = part.inputs,
    )
    return layer

def _write_spec(ctx: AnalysisContext, name: str, document: dict) -> Artifact:
    return ctx.actions.write_json(name + ".spec.json", document, pretty = True, has_content_based_path = True)

def _py_venv_image_impl(ctx: AnalysisContext) -> list[Provider]:
    environment = _environment(ctx)
    interpreter = environment.interpreter
    document = packed_document(environment.venv, interpreter, environment.venv.document["wheels"], environment.sources)
    spec = _write_spec(ctx, "image", document)
    image = ctx.actions.declare_output("image", dir = True, has_content_based_path = True)
    options = _checked(ctx, layer_options(ctx.attrs)) + _checked(ctx, image_options(ctx.attrs))
    run_tool(
        ctx,
        command = ["pack", spec, "--archive-format", "oci", "--quiet"] + options + (["--base", ctx.attrs.base] if ctx.attrs.base else []),
        category = "py_venv_image",
        outputs = [("--out", image)],
        inputs = [named_input(file.basename, file) for file in environment.files + interpreter.overlays] + interpreter.inputs + environment.located,
    )
    return [DefaultInfo(default_output = image, sub_targets = {"spec": [DefaultInfo(default_output = spec)]})]

py_venv_layers = rule(
    impl = _py_venv_layers_impl,
    doc = """An environment as layers, the same bytes wherever they are packed, for rules that take tar archives.

Each layer is an action `py_venv_layer` that sees only what is in it, and a sub-target by its name: `[interpreter]` (one that is part of the
build, the same for all images that have it), `[environment]`, `[sources]`, `[_packages]` and what `alone` names. An edited source packs
`[sources]` again, and no other one. Whether the wheels go together is found out beside that, by building the environment.""",
    attrs = ARCHIVED_ATTRS | attributes(LAYERS) | TOOL_ATTRS,
)

py_venv_image = rule(
    impl = _py_venv_image_impl,
    doc = """An environment as an image: a directory in the format of the Open Container Initiative, made by one action.

An interpreter that is part of the build is in it. Where images are put together by other rules, `py_venv_layers` is the better half of this.""",
    attrs = {
        "base": optional(
            attrs.source(allow_directory = True),
            "The image to put it on: a directory in the same format.",
        ),
    } | ARCHIVED_ATTRS | attributes(IMAGE) | TOOL_ATTRS,
)
