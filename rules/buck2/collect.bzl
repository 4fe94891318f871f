"""What the rules take from their dependencies: wheels, and first-party sources."""

load("@prelude//python:python.bzl", "PythonLibraryInfo")
load("//rules/common:text.bzl", "check_line")
load("//rules/common:wheel_name.bzl", "parse_wheel_name")
load(":providers.bzl", "LockInfo", "VenvInfo")

def collect_wheels(name: str, values: list) -> list[Artifact]:
    """The wheel files of the attribute `wheels`, each once, in their order.

    Args:
      name: the rule's label, for messages.
      values: the attribute: files, and targets that make them.

    Returns:
      A list of artifacts.
    """
    wheels = []
    owners = {}
    for value in values:
        if isinstance(value, Artifact):
            files, origin = [value], "the file " + value.short_path
        else:
            files, origin = value[DefaultInfo].default_outputs, str(value.label.raw_target())
        found = [file for file in files if file.basename.endswith(".whl")]
        if not found and (isinstance(value, Artifact) or LockInfo not in value):
            fail("%s: `wheels` has %s, which yields no .whl file; name a wheel, or a target that makes one, such as a `prebuilt_python_library` of a wheel, an `http_file` or a `py_wheel`" % (name, origin))
        for file in found:
            if not parse_wheel_name(file.basename):
                fail("%s: `wheels` has %s, whose file %s is not named as a wheel is; expected NAME-VERSION-PYTHON-ABI-PLATFORM.whl" % (name, origin, file.basename))
            other = owners.get(file.basename)
            if other == None:
                owners[file.basename] = file
                wheels.append(file)
            elif other != file:
                fail("%s: `wheels` has two files named %s: %s and %s; remove one" % (name, file.basename, other, file))
    return wheels

# What the prelude calls the unpacked directory of a `prebuilt_python_library`, where other libraries have a file's place.
_PREBUILT = ["binary_src", "source_dir"]

def collect_sources(name: str, deps: list[Dependency], own: dict[str, Artifact] = {}) -> dict[str, Artifact]:
    """First-party files by their path below the import root, as the prelude's own binaries have them.

    What `prebuilt_python_library` unpacks is left out: the environment has the wheel.

    Args:
      name: the rule's label, for messages.
      deps: targets: the prelude's Python libraries, or other environments.
      own: the rule's own files.

    Returns:
      A dict of artifacts.
    """
    sources = dict(own)
    for dep in deps:
        if PythonLibraryInfo in dep:
            for library in dep[PythonLibraryInfo].manifests.traverse():
                _add_library(name, sources, library)
        elif VenvInfo in dep:
            for place, file in dep[VenvInfo].sources.items():
                _add(name, sources, place, file)
        else:
            fail("%s: `deps` has %s, which is no Python library: it has no PythonLibraryInfo; files belong in `resources`, wheels in the environment's `wheels`" % (name, dep.label.raw_target()))
    return sources

def _add_library(name: str, sources: dict[str, Artifact], library) -> None:
    if library.extensions:
        fail("%s: `deps` leads to %s, which is a native extension; put it into a wheel, and the wheel into the environment" % (name, library.label.raw_target()))
    manifests = [library.srcs] + ([library.default_resources[0]] if library.default_resources else [])
    for manifest in manifests:
        if manifest == None:
            continue
        for file, place in manifest.artifacts:
            if place not in _PREBUILT:
                _add(name, sources, place, file)

def _add(name: str, sources: dict[str, Artifact], place: str, file: Artifact) -> None:
    other = sources.get(place, file)
    if other != file:
        fail("%s: two first-party files would be %s: %s and %s; remove one, or give its library another `base_module`" % (name, place, other, file))
    sources[place] = file

def place_files(label: Label, base_module: str | None, files: list[Artifact] | dict[str, Artifact]) -> dict[str, Artifact]:
    """Where a rule's own files go: below `base_module`, by default the package.

    Args:
      label: the rule's label.
      base_module: the attribute, or None.
      files: an attribute of the kind `named_set`.

    Returns:
      A dict of artifacts.
    """
    problem = check_line("base_module", base_module or "")
    if problem:
        fail("%s: %s" % (label.raw_target(), problem))
    prefix = label.package if base_module == None else base_module.replace(".", "/")
    if type(files) == type([]):
        files = {file.short_path: file for file in files}
    return {(prefix + "/" + place if prefix else place): file for place, file in files.items()}
