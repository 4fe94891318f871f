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

def is_version(wanted, found):
    """Whether a wheel's version is the wanted one, however they are written (PEP 440).

    A local label of the wheel, such as `+cpu`, does not matter where none is wanted.

    Args:
      wanted: such as `1.0`.
      found: such as `1` or `1.0+cpu`.

    Returns:
      A boolean.
    """
    wanted, mark, wanted_label = wanted.lower().partition("+")
    found, _, found_label = found.lower().partition("+")
    if mark and wanted_label.replace("-", ".").replace("_", ".") != found_label.replace("-", ".").replace("_", "."):
        return False
    return _version_parts(wanted) == _version_parts(found)

_SPELLINGS = {"alpha": "a", "beta": "b", "c": "rc", "pre": "rc", "preview": "rc", "r": "post", "rev": "post"}

def _version_parts(version):
    """A version as its epoch, its release without zeros at the end, and the words and numbers of the rest."""
    epoch, mark, rest = version.partition("!")
    runs = []
    for character in (rest if mark else version).lstrip("v").elems():
        kind = "number" if character.isdigit() else "word" if character.isalpha() else "separator"
        if runs and runs[-1][0] == kind:
            runs[-1][1] += character
        else:
            runs.append([kind, character])
    release = []
    suffixes = []
    for index, (kind, text) in enumerate(runs):
        if kind == "word":
            suffixes.append([_SPELLINGS.get(text, text), 0])
        elif kind == "number" and suffixes:
            suffixes[-1][1] = int(text)
        elif kind == "number" and release and runs[index - 1][1] in "-_":
            # `1.0-1` is `1.0.post1`.
            suffixes.append(["post", int(text)])
        elif kind == "number":
            release.append(int(text))
    for _ in release[1:]:
        if release[-1] == 0:
            release.pop()
    return (int(epoch) if epoch.isdigit() and mark else 0, release, suffixes)

def escape_distribution(name):
    """A distribution's name as it stands in file names.

    Args:
      name: such as `foo-bar`.

    Returns:
      The escaped form, such as `foo_bar`.
    """
    return normalise_distribution(name).replace("-", "_")
