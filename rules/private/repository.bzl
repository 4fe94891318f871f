"""What repository rules share: labels that mean the same everywhere, and the version of Bazel."""

def absolute(label):
    """A label's text that means the same in every repository.

    Args:
      label: the label.

    Returns:
      The text.
    """
    text = str(label)
    return "@" + text if text.startswith("//") else text

def bazel_major():
    """The first part of Bazel's version.

    Returns:
      A number.
    """
    digits = ""
    for character in (native.bazel_version or "").elems():
        if not character.isdigit():
            break
        digits += character
    if digits:
        return int(digits)

    # Built without a version, as distributions do: by what there is.
    if not hasattr(native, "py_library"):
        return 9
    if hasattr(native, "legacy_globals"):
        return 8
    return 6 if hasattr(native, "package_relative_label") else 4

def clash(first, second, what, name, which = ""):
    """What a module extension says of two repositories of one name.

    Args:
      first: the module that has one.
      second: the module that has the other.
      what: such as `a lock`.
      name: the name.
      which: more about both of them.

    Returns:
      The message.
    """
    names = [module.name or "of the workspace" for module in [first, second]]
    who = "the module %s twice has" % names[0] if first == second else "the modules %s both have" % " and ".join(names)
    return "%s %s called `%s`%s; rename one, or make it a `dev_dependency`" % (who, what, name, which)
