"""Names of wheel files, taken apart as the tool does (binary distribution format, "File name convention")."""

def parse_wheel_name(file_name):
    """Takes a wheel's file name apart.

    Args:
      file_name: such as `numpy-1.26.4-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl`.

    Returns:
      A struct of `distribution` (normalised), `version`, `build` (or None), `python_tags`, `abi_tags` and
      `platform_tags`; or None where this is not the name of a wheel.
    """
    if not file_name.endswith(".whl"):
        return None
    parts = file_name[:-len(".whl")].split("-")
    if len(parts) not in [5, 6]:
        return None
    for part in parts:
        if not part:
            return None
    build = parts[2] if len(parts) == 6 else None
    if build != None and not build[0].isdigit():
        return None
    return struct(
        distribution = normalise_distribution(parts[0]),
        version = parts[1],
        build = build,
        python_tags = parts[-3].split("."),
        abi_tags = parts[-2].split("."),
        platform_tags = parts[-1].split("."),
    )

def normalise_distribution(name):
    """A distribution's name in its normal form: lower case, runs of `-`, `_` and `.` as one `-`.

    Args:
      name: such as `Foo.Bar_baz`.

    Returns:
      The normal form, such as `foo-bar-baz`.
    """
    name = name.lower().replace("_", "-").replace(".", "-")
    return "-".join([part for part in name.split("-") if part])

def escape_distribution(name):
    """A distribution's name as it stands in file names.

    Args:
      name: such as `foo-bar`.

    Returns:
      The escaped form, such as `foo_bar`.
    """
    return normalise_distribution(name).replace("-", "_")
