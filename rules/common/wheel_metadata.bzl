"""What a wheel that a build makes says of itself. `attributes` are those of the rule `py_wheel`."""

load(":text.bzl", "check_lines")
load(":wheel_name.bzl", "escape_distribution")

def wheel_file_name(attributes):
    """The name of the wheel.

    Args:
      attributes: the rule's attributes.

    Returns:
      The name.
    """
    return "%s-%s-%s-%s-%s.whl" % (escape_distribution(attributes.distribution), attributes.version, attributes.python_tag, attributes.abi, attributes.platform)

def check_wheel(attributes):
    """Looks for what cannot stand in a name or a header.

    Args:
      attributes: the rule's attributes.

    Returns:
      What is wrong, or None.
    """
    problem = check_lines(_texts(attributes))
    if problem:
        return problem
    for name in ["distribution", "version", "python_tag", "abi", "platform"]:
        value = getattr(attributes, name)
        forbidden = [character for character in ("/\\ " + ("-" if name != "distribution" else "")).elems() if character in value]
        if not value or forbidden:
            return "`%s` is `%s`; expected a text without `-`, `/` and white space, because it is part of the wheel's name" % (name, value)
    return None

def _texts(attributes):
    """What becomes part of a name, of a header or of a line of entry_points.txt, by attribute."""
    names = [
        "distribution",
        "version",
        "python_tag",
        "abi",
        "platform",
        "summary",
        "author",
        "author_email",
        "license",
        "homepage",
        "python_requires",
    ]
    texts = [(name, [getattr(attributes, name)]) for name in names]
    texts += [("classifiers", attributes.classifiers), ("requires", attributes.requires)]
    for name, lists in [("extra_requires", attributes.extra_requires), ("entry_points", attributes.entry_points)]:
        texts.append((name, lists.keys()))
        texts += [(name, values) for values in lists.values()]
    return texts

def metadata_text(attributes, description = None):
    """The METADATA, without the description itself.

    Args:
      attributes: the rule's attributes.
      description: the file of the description, or None.

    Returns:
      The text.
    """
    lines = ["Metadata-Version: 2.1", "Name: " + attributes.distribution, "Version: " + attributes.version]
    for header, value in [
        ("Summary", attributes.summary),
        ("Home-page", attributes.homepage),
        ("Author", attributes.author),
        ("Author-email", attributes.author_email),
        ("License", attributes.license),
        ("Requires-Python", attributes.python_requires),
    ]:
        if value:
            lines.append("%s: %s" % (header, value))
    lines += ["Classifier: " + classifier for classifier in attributes.classifiers]
    lines += ["Requires-Dist: " + requirement for requirement in attributes.requires]
    for extra in sorted(attributes.extra_requires.keys()):
        lines.append("Provides-Extra: " + extra)
        for requirement in attributes.extra_requires[extra]:
            requirement, _, marker = requirement.partition(";")
            condition = "extra == '%s'" % extra
            if marker:
                condition = "(%s) and %s" % (marker.strip(), condition)
            lines.append("Requires-Dist: %s; %s" % (requirement.strip(), condition))
    if description:
        lines.append("Description-Content-Type: " + _CONTENT_TYPES.get(description.extension.lstrip("."), "text/plain"))
    return "\n".join(lines) + "\n"

_CONTENT_TYPES = {
    "md": "text/markdown",
    "rst": "text/x-rst",
}

def entry_points_text(groups):
    """The entry_points.txt.

    Args:
      groups: a dict of lists of entry points.

    Returns:
      The text.
    """
    lines = []
    for group in sorted(groups.keys()):
        lines.append("[%s]" % group)
        lines += sorted(groups[group])
        lines.append("")
    return "\n".join(lines)
