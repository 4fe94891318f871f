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
