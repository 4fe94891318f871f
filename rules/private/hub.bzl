"""The files of a lock's repository, as texts."""

load("//rules/common:locks.bzl", "config_settings", "package_directory", "part_label", "supplied_package", "wheel_owners", "wheel_sets")

_HEAD = """\
load(%s, "lock_target", "locked_wheels")

package(default_visibility = ["//visibility:public"])
"""

def wheel_repository(key):
    """The name of the repository that holds a wheel.

    Args:
      key: what the wheel is called in the index.

    Returns:
      The name.
    """
    return "venvtree_whl_" + key

def hub_files(hub):
    """All files of the repository.

    Args:
      hub: a struct of `name`, the repository's name; `index`; `order`, the names of its targets, that of the default first; `constraints` and
        `supply`, the attributes with labels that mean the same everywhere; `rules`, the label of the file with the rules; and `flags` and
        `platforms`, what labels of flags and of constraints begin with.

    Returns:
      A struct: `value` is a dict from paths to texts, or None; `error` says what was wrong, or None.
    """
    settings = config_settings(hub.index["targets"], hub.order, hub.constraints, struct(
        os = hub.platforms + "//os:%s",
        cpu = hub.platforms + "//cpu:%s",
        # As every version of @platforms has them.
        names = {"macos": "osx", "i686": "x86_32", "armv7l": "armv7"},
    ))
    if settings.error:
        return struct(value = None, error = settings.error)
    sets = wheel_sets(hub.index, hub.supply)
    owners = {target: wheel_owners(hub.index, target) for target in hub.order}
    root = [_HEAD % repr(hub.rules)] + _targets(hub, settings.value)
    for name, wheels in sets.sets.items():
        root.append(_wheels(hub, name, _part_labels(hub, owners, wheels), wheels.missing))
    files = {
        "BUILD.bazel": "\n".join(root),
        "requirements.bzl": _REQUIREMENTS.replace("%PACKAGES%", repr(sorted([name for name in sets.packages]))),
    }
    for name, own in sets.packages.items():
        directory = package_directory(name)
        lines = [_HEAD % repr(hub.rules)]
        for part, wheels in own.items():
            if part == "whl":
                supplied = _supplied(hub, name, wheels)
                lines.append(_wheels(hub, part, _wheel_labels(wheels), wheels.missing, supplied))
            else:
                lines.append(_wheels(hub, directory + part, _part_labels(hub, owners, wheels), wheels.missing))
        files[directory + "/BUILD.bazel"] = "\n".join(lines)
        if directory != name:
            files[name + "/BUILD.bazel"] = _aliases(name, directory, own)
    return struct(value = files, error = None)

def _targets(hub, settings):
    lines = []
    facts = hub.index["targets"]
    for name in hub.order:
        lines += [
            "lock_target(",
            "    name = %s," % repr("target_" + name),
            "    facts = %s," % repr(json.encode(facts[name])),
            "    hub = %s," % repr(hub.name),
            "    target = %s," % repr(name),
            ")",
            "",
        ]
        if settings:
            lines += _setting(hub, name, settings[name])
    lines += [
        "alias(",
        "    name = \"target\",",
        "    actual = %s," % _by_target(hub, {name: ":target_" + name for name in hub.order}),
        ")",
        "",
    ]
    return lines

def _setting(hub, name, setting):
    """`is_NAME`, which holds where any of the alternatives does."""
    lines = []
    parts = ["is_" + name]
    if len(setting.flags) > 1:
        parts = ["is_%s_%d" % (name, number + 1) for number in range(len(setting.flags))]
    for part, flags in zip(parts, setting.flags):
        lines += ["config_setting(", "    name = %s," % repr(part), "    constraint_values = %s," % repr(setting.constraints)]
        if flags:
            lines.append("    flag_values = %s," % repr({hub.flags % flag: value for flag, value in flags.items()}))
        lines += [")", ""]
    if len(parts) > 1:
        arms = {":" + part: ":" + part for part in parts}
        arms["//conditions:default"] = ":" + parts[0]
        lines += ["alias(", "    name = %s," % repr("is_" + name), "    actual = select(%s)," % repr(arms), ")", ""]
    return lines

def _wheel_labels(wheels):
    """The label of a package's wheel that the lock has, by target."""
    return {target: ["@%s//:whl" % wheel_repository(key) for key in wheels.files[target]] for target in wheels.files}

def _supplied(hub, name, wheels):
    """The label of a package's wheel that something else brings, and what that has to be, by target."""
    return {
        target: {hub.supply[name]: supplied_package(hub.index, name, target)} if wheels.supplied[target] else {}
        for target in wheels.supplied
    }

def _part_labels(hub, owners, wheels):
    """The labels of what makes up a closure, by target.

    As in the index, a package requires other packages, so that queries follow requirements. Where these lead in a circle, wheels stand.
    """
    labels = {}
    for target in hub.order:
        labels[target] = []
        for entry in [] if wheels.missing[target] else wheels.parts[target]:
            label = part_label(entry, hub.index["files"], owners[target])
            labels[target].append(label or "@%s//:whl" % wheel_repository(entry))
    return labels

def _wheels(hub, name, labels, missing, supplied = {}):
    lines = ["locked_wheels(", "    name = %s," % repr(name), "    srcs = %s," % _by_target(hub, labels)]
    if [target for target in missing if missing[target]]:
        # It fails where it is used, and is passed over where everything is built.
        lines += ["    missing = %s," % _by_target(hub, missing), "    tags = [\"manual\"],"]
    if [target for target in supplied if supplied[target]]:
        lines.append("    supply = %s," % _by_target(hub, supplied))
    return "\n".join(lines + ["    target = \"//:target\",", ")", ""])

def _by_target(hub, values):
    first = values[hub.order[0]]
    if not [target for target in hub.order if values[target] != first]:
        return repr(first)
    arms = ["        \"//:is_%s\": %s," % (target, repr(values[target])) for target in hub.order]
    error = "the lock `%s` was read for %s; none is what this build is for: add one to `targets` of its lock" % (hub.name, ", ".join(hub.order))
    return "select(\n        {\n    %s\n        },\n        no_match_error = %s,\n    )" % ("\n    ".join(arms), repr(error))

def _aliases(name, directory, own):
    lines = ["package(default_visibility = [\"//visibility:public\"])", ""]
    for part in own:
        source = part if part == "whl" else name + part
        actual = "//%s:%s" % (directory, part if part == "whl" else directory + part)
        lines += ["alias(", "    name = %s," % repr(source), "    actual = %s," % repr(actual), ")", ""]
    return "\n".join(lines)

_REQUIREMENTS = '''\
"""Labels of the packages of the lock, by their names."""

_PACKAGES = %PACKAGES%

def _package(requirement):
    name, _, extra = requirement.replace(" ", "").partition("[")
    name = "-".join([part for part in name.lower().replace("_", "-").replace(".", "-").split("-") if part])
    if name not in _PACKAGES:
        fail("there is no package `%s` in the lock" % requirement)
    return name.replace("-", "_"), extra

def requirement(name):
    """A package with what it requires: `flask`, or `flask[async]` with an extra.

    Args:
      name: the package's name.

    Returns:
      A label.
    """
    package, extra = _package(name)
    return str(Label("//%s:%s" % (package, package + ("[" + extra if extra else ""))))

def whl_requirement(name):
    """The wheel of a package alone.

    Args:
      name: the package's name.

    Returns:
      A label.
    """
    return str(Label("//%s:whl" % _package(name)[0]))

# What the project requires.
all_requirements = [str(Label("//:all"))]
'''
