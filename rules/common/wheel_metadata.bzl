"""What a wheel that a build makes says of itself. `attributes` are those of the rule `py_wheel`."""

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
    for name in ["distribution", "version", "python_tag", "abi", "platform"]:
        value = getattr(attributes, name)
        forbidden = [character for character in ("/\\ \t\n" + ("-" if name != "distribution" else "")).elems() if character in value]
        if not value or forbidden:
            return "`%s` is `%s`; expected a text without `-`, `/` and white space, because it is part of the wheel's name" % (name, value)
    for name in ["summary", "author", "author_email", "license", "homepage"]:
        if "\n" in getattr(attributes, name):
            return "`%s` has more than one line; a longer text belongs in `description_file`" % name
    return None

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
