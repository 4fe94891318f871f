"""Layers and images, as options of `venvtree pack`: pure functions, without `ctx`."""

load(":text.bzl", "check_line")
load(":wheel_name.bzl", "normalise_distribution", "parse_wheel_name")

def split_wheels(document, alone):
    """Which wheels are packed together.

    Args:
      document: the environment's spec, a dict.
      alone: the names of distributions that are layers of their own.

    Returns:
      A struct: `value` is a list of pairs of a layer's name and its part of the spec's `wheels`, or None; `error` says what was
      wrong, or None.
    """
    flags = document["flags"]
    if alone and (flags.get("conflicts", "error") != "error" or flags.get("conflict_overrides")):
        return _refused("`alone` separates wheels that the environment's `conflicts` lets claim the same paths; leave one of both out")
    wanted = {normalise_distribution(name): name for name in alone}
    layers, rest = [], []
    for wheel in document["wheels"]:
        distribution = parse_wheel_name(wheel["path"]).distribution
        if wanted.pop(distribution, None):
            layers.append((distribution, [wheel]))
        else:
            rest.append(wheel)
    if wanted:
        return _refused("`alone` names %s, but the environment has no wheel of that name" % ", ".join(["`%s`" % name for name in sorted(wanted.values())]))

    # Called by what no distribution can be called.
    return struct(value = sorted(layers) + ([("_packages", rest)] if rest else []), error = None)

def layer_options(attributes):
    """The options that layers have, whatever they are for.

    Args:
      attributes: the rule's attributes, with those of the table LAYERS.

    Returns:
      A struct: `value` is a list of str, or None; `error` says what was wrong, or None.
    """
    options = ["--prefix=" + attributes.prefix]
    if attributes.level >= 0:
        options.append("--level=%d" % attributes.level)
    if attributes.owner:
        options.append("--owner=" + attributes.owner)
    return _lines(options)

def image_options(attributes):
    """The options of an image.

    Args:
      attributes: the rule's attributes, with those of the table IMAGE.

    Returns:
      A struct: `value` is a list of str, or None; `error` says what was wrong, or None.
    """
    options = ["--layer-policy=" + attributes.layer_policy, "--max-layers=%d" % attributes.max_layers]
    options.append("--compression=" + attributes.compression)
    options += ["--entrypoint=" + argument for argument in attributes.entrypoint]
    options += ["--cmd=" + argument for argument in attributes.cmd]
    options += ["--env=%s=%s" % pair for pair in attributes.env.items()]
    options += ["--label=%s=%s" % pair for pair in attributes.labels.items()]
    for name in ["user", "workdir", "tag"]:
        if getattr(attributes, name):
            options.append("--%s=%s" % (name, getattr(attributes, name)))
    return _lines(options)

def _lines(options):
    """Options, each of which becomes a line of a file."""
    for option in options:
        name, _, text = option[len("--"):].partition("=")
        problem = check_line(name, text)
        if problem:
            return _refused(problem)
    return struct(value = options, error = None)

def _refused(error):
    return struct(value = None, error = error)
