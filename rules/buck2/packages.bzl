"""`venvtree_packages`: the wheels of a lock, as targets of a package."""

load("//rules/common:locks.bzl", "check_supply", "config_settings", "package_directory", "read_index", "supplied_package", "wheel_sets")
load(":wheel_set.bzl", "wheel_set")

_NAMES = {"aarch64": "arm64", "armv7l": "arm32", "i686": "x86_32"}

# buildifier: disable=unnamed-macro
def venvtree_packages(index, constraints = {}, supply = {}, visibility = ["PUBLIC"]):
    """Makes targets of a lock's packages: an `http_file` for each wheel, which is fetched when something needs its bytes, and sets of them.

    `:flask` is flask and what it requires, `:flask[whl]` its wheel alone, `:flask[async]` flask with an extra that the lock has; `:all` is what
    the project requires, `:extra_X` that with an extra, and `:group_X` what a group requires.

    Args:
      index: what `venvtree lock index` printed, from a file that is checked in: `load(":pypi.json", index = "value")`.
      constraints: for a target's name, labels of the constraints that a platform has which the target is for, by default those of the prelude for its operating system and processor. Targets that differ only in their Python or C library need them.
      supply: for a package's name, the label of a wheel of it to take instead of the lock's, of the version that the lock has: for packages without a wheel, and for wheels that were changed.
      visibility: who may use the sets.
    """
    checked = read_index(index)
    if checked.error:
        fail("`index` %s" % checked.error)
    problem = check_supply(index, supply)
    if problem:
        fail(problem)
    order = list(index["targets"].keys())
    settings = config_settings(index["targets"], order, constraints, struct(
        os = "config//os/constraints:%s",
        cpu = "config//cpu/constraints:%s",
        names = _NAMES,
    ))
    if settings.error:
        fail(settings.error)
    for target, setting in settings.value.items():
        if setting.flags != [{}]:
            fail("other targets have the platform of `%s` too; tell them apart with `constraints`" % target)
        native.config_setting(name = "is_" + target, constraint_values = setting.constraints, visibility = visibility)
    for key, file in index["files"].items():
        _fetch(key, file)
    sets = wheel_sets(index, supply)
    for name, parts in sets.packages.items():
        own = package_directory(name)
        _set(index, settings.value, own, parts, supply, visibility)
        if own != name:
            native.alias(name = name, actual = ":" + own, visibility = visibility)
    for name, wheels in sets.sets.items():
        _set(index, settings.value, name, {"": wheels}, supply, visibility)

def _fetch(key, file):
    if not file.get("urls"):
        fail("the lock has no address of %s; give the label of the wheel with `supply`" % file["name"])
    if "sha256" not in file:
        fail("the lock has no SHA-256 of %s, the only hash of it that Buck2 compares; lock again from an index that has it, or give the label of the wheel with `supply`" % file["name"])
    native.http_file(
        name = "venvtree_whl_" + key,
        out = file["name"],
        sha256 = file["sha256"],
        # With it, a download waits until somebody needs the bytes.
        size_bytes = file.get("size"),
        # There is room for one.
        urls = file["urls"][:1],
    )

def _set(index, settings, name, parts, supply, visibility):
    wheel_set(
        name = name,
        facts = _by_target(settings, {target: json.encode(facts) for target, facts in index["targets"].items()}),
        missing = _by_target(settings, {target: {_part(part): wheels.missing[target] for part, wheels in parts.items()} for target in index["targets"]}),
        parts = _by_target(settings, {target: {_part(part): _wheels(wheels, target, supply) for part, wheels in parts.items()} for target in index["targets"]}),
        supply = _by_target(settings, {target: _supplied(index, parts, target, supply) for target in index["targets"]}),
        target = _by_target(settings, {target: target for target in index["targets"]}),
        visibility = visibility,
    )

def _part(name):
    """`[async]` without its brackets, which Buck2 writes itself."""
    return name[1:-1] if name.startswith("[") else name

def _wheels(wheels, target, supply):
    return [":venvtree_whl_" + key for key in wheels.files[target]] + [supply[package] for package in wheels.supplied[target]]

def _supplied(index, parts, target, supply):
    """The labels that stand for packages in any of the parts, by what they have to be."""
    return {supplied_package(index, name, target): supply[name] for wheels in parts.values() for name in wheels.supplied[target]}

def _by_target(settings, values):
    if not settings:
        return list(values.values())[0]
    return select({":is_" + target: value for target, value in values.items()})
