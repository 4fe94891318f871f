"""The index of a lock, as `venvtree lock index` prints it: what its wheels and packages are called in a build, and which target is for whom.

Pure functions that Bazel and Buck2 share. Nothing here fails: a function that can refuse its input returns a struct of `value` and `error`.
"""

load(":wheel_name.bzl", "is_version", "parse_wheel_name")

_VERSION = 2
_SECTIONS = ["files", "packages", "sets", "targets"]
_NAME = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"

# What stands in a closure for a package without a wheel.
_PACKAGE = "package:"

# What stands for every target where all have the same.
_EVERY = "*"

# What names of sets begin with in closures, where names of packages stand, too.
_SET = "set:"

_NOT_REQUIRED = "nothing requires it there"

def read_index(document):
    """Checks that a value is an index that these rules can read.

    Args:
      document: what the JSON holds.

    Returns:
      A struct: `value` is the document, or None; `error` says what was wrong, or None.
    """
    if type(document) != type({}) or "version" not in document:
        return _refused("is no index of a lock; make one with `venvtree lock index`")
    if document["version"] != _VERSION:
        return _refused("has the version %s; these rules read %d" % (document["version"], _VERSION))
    for section in _SECTIONS:
        if section not in document:
            return _refused("has no `%s`; make it again with `venvtree lock index`" % section)

        # They become names of targets and directories.
        for name in document[section]:
            if not name or name[0] in ".-" or name.strip(_NAME):
                return _refused("has the name %s in `%s`; expected letters, digits, `.`, `_` and `-`" % (repr(name), section))
    for key, file in document["files"].items():
        if "sha256" not in file and "integrity" not in file:
            return _refused("has neither SHA-256 nor SHA-384 nor SHA-512 of %s, without which a build cannot fetch it (`%s`)" % (file["name"], key))
    return struct(value = document, error = None)

def _of(by_target, target):
    """What is said for a target, or None."""
    return by_target.get(target, by_target.get(_EVERY))

def _whl(package, target):
    return (_of(package, target) or {}).get("whl")

def _reason(package, target):
    return _of(package.get("unavailable", {}), target)

def package_directory(name):
    """The name of a package's directory and of its main target, as rules_python writes it.

    Args:
      name: the package's normalised name, such as `a-b`.

    Returns:
      Such as `a_b`.
    """
    return name.replace("-", "_").replace(".", "_")

def check_supply(index, supply):
    """Looks for packages of the attribute `supply` that cannot be supplied.

    Args:
      index: the index.
      supply: the attribute: what brings the wheel of a package, by the package's name in the lock.

    Returns:
      What is wrong, or None.
    """
    for name in supply:
        package = index["packages"].get(name)
        if package == None:
            return "`supply` names `%s`, which the lock does not have; expected a package's normalised name, such as `typing-extensions`" % name
        if "unavailable" not in package and not [target for target in index["targets"] if _whl(package, target)]:
            return "`supply` names `%s`, which is a part of the project: depend on its sources instead" % name
    return None

def supplied_package(index, name, target):
    """What a supplied wheel has to be a wheel of.

    Args:
      index: the index.
      name: the package's name.
      target: the target's name.

    Returns:
      `NAME VERSION`, or `NAME` where the lock has no version.
    """
    version = (_of(index["packages"][name], target) or {}).get("version")
    return "%s %s" % (name, version) if version else name

def check_supplied(package, label, wheels):
    """Looks for wheels that are not what they are supplied for.

    Args:
      package: what `supplied_package` says.
      label: the label that `supply` has for it.
      wheels: the names of the files that it yields.

    Returns:
      What is wrong, or None.
    """
    name, _, version = package.partition(" ")
    if not wheels:
        return "`supply` has %s for `%s`, which yields no wheel; expected a `py_wheel` or a file called `.whl`" % (label, name)
    for wheel in wheels:
        found = parse_wheel_name(wheel)
        if not found or found.distribution != name or (version and not is_version(version, found.version)):
            return "`supply` has %s for `%s`, which yields %s; expected a wheel of %s" % (label, name, wheel, package)
    return None

def wheel_sets(index, supply):
    """All that a lock's packages and sets are made of.

    Args:
      index: the index.
      supply: packages whose wheel something else brings.

    Returns:
      A struct of `packages`, a dict from a package's name to its own sets by name: `""` is its closure, `whl` its wheel alone, and `[X]` its
      closure with the extra X; and of `sets`, a dict of the lock's sets by name. A set is a struct of dicts by target: `files` (keys of
      the index's `files`), `supplied` (names of packages) and `missing` (reasons why it cannot be used). In `parts` are, by target, the
      entries with which the index says it: other closures besides files.
    """
    supplied = {}
    for name in supply:
        for target in index["targets"]:
            whl = _whl(index["packages"][name], target)
            if whl:
                supplied[whl] = name
    said = {target: _said(index, target) for target in index["targets"]}
    closures = {target: _closures(said[target]) for target in said}
    packages = {}
    for name, package in index["packages"].items():
        own = {"": _wheel_set(index, supply, supplied, (name, package), _named(closures, name), _named(said, name))}
        wheels = {}
        for target in index["targets"]:
            whl = _whl(package, target)
            if whl:
                wheels[target] = [whl]
            elif _reason(package, target):
                wheels[target] = [_PACKAGE + name]
        if wheels:
            own["whl"] = _wheel_set(index, supply, supplied, (name, package), wheels, wheels)
        for extra in package.get("extras", {}):
            part = "[%s]" % extra
            own[part] = _wheel_set(index, supply, supplied, (name, package), _named(closures, name + part), _named(said, name + part))
        packages[name] = own
    sets = {}
    for name, entry in index["sets"].items():
        sets[name] = _wheel_set(index, supply, supplied, (name, entry), _named(closures, _SET + name), _named(said, _SET + name))
    return struct(packages = packages, sets = sets)

def _named(closures, name):
    return {target: known[name] for target, known in closures.items() if name in known}

def _said(index, target):
    """All closures for a target as the index says them, by the names that closures have in closures."""
    said = {}
    for name, package in index["packages"].items():
        own = _of(package, target)
        if own != None:
            whl = own.get("whl")
            entries = [whl] if whl else [_PACKAGE + name] if _reason(package, target) else []
            said[name] = entries + own.get("requires", [])
        for extra, by_target in package.get("extras", {}).items():
            if _of(by_target, target) != None:
                said["%s[%s]" % (name, extra)] = _of(by_target, target)
    for name, by_target in index["sets"].items():
        if _of(by_target, target) != None:
            said[_SET + name] = _of(by_target, target)
    return said

def _closures(said):
    """All closures for a target, each a sorted list of files and of packages without a wheel."""
    pending = said
    known = {}

    # Each is said by others that lead to it no more, so every pass knows more. What leads in a circle, or nowhere, is as it stands.
    for _ in range(len(pending)):
        later = {}
        for name, entries in pending.items():
            if [entry for entry in entries if entry in pending and entry not in known]:
                later[name] = entries
            else:
                parts = {}
                for entry in entries:
                    for part in known.get(entry, [entry]):
                        parts[part] = True
                known[name] = sorted(parts.keys())
        if len(later) == len(pending):
            break
        pending = later
    known.update(pending)
    return known

def _wheel_set(index, supply, supplied, named, closures, parts):
    """One of the sets of `wheel_sets`; `named` is its name, and what the index says of it."""
    name, entry = named
    result = struct(files = {}, supplied = {}, missing = {}, parts = parts)
    for target in index["targets"]:
        files = []
        others = []
        missing = []
        if target not in closures:
            unavailable = _reason(entry, target)
            missing.append(unavailable or "%s: %s" % (name, _NOT_REQUIRED))
        for part in closures.get(target, []):
            if part.startswith(_PACKAGE):
                package = part[len(_PACKAGE):]
                if package in supply:
                    others.append(package)
                else:
                    missing.append(_reason(index["packages"][package], target))
            elif part in supplied:
                others.append(supplied[part])
            elif part in index["files"]:
                files.append(part)
            else:
                missing.append("%s: the index does not say what `%s` is" % (name, part))
        result.files[target] = files
        result.supplied[target] = others
        result.missing[target] = missing
    return result

def wheel_owners(index, target):
    """Which package a wheel is the wheel of.

    Args:
      index: the index.
      target: the target's name.

    Returns:
      A dict from keys of the index's `files` to names of packages. A version that only extras or groups ask for is not in it.
    """
    return {_whl(package, target): name for name, package in index["packages"].items() if _whl(package, target)}

def part_label(entry, files, owners):
    """The label, within the repository of a lock, of an entry of `parts`.

    Args:
      entry: the entry.
      files: the index's `files`.
      owners: what `wheel_owners` says.

    Returns:
      The label, or None for a wheel that is no package's.
    """
    if entry.startswith(_SET):
        return "//:" + entry[len(_SET):]
    if entry.startswith(_PACKAGE) or entry in owners:
        return "//%s:whl" % package_directory(owners.get(entry) or entry[len(_PACKAGE):])
    if entry in files:
        return None
    name, bracket, extra = entry.partition("[")
    return "//%s:%s" % (package_directory(name), package_directory(name) + bracket + extra)

def missing_message(name, target, reasons):
    """What a build says of wheels that a target does not have.

    Args:
      name: the label of what was asked for.
      target: the target's name.
      reasons: a list of texts.

    Returns:
      The message.
    """
    message = "%s cannot be used for the target `%s`:\n%s" % (name, target, "\n".join(["  " + reason for reason in reasons]))
    if [reason for reason in reasons if not reason.endswith(_NOT_REQUIRED)]:
        message += "\nhint: build a wheel elsewhere, and give its label with `supply`"
    return message

def config_settings(targets, order, constraints, labels):
    """What tells targets apart: constraints of their platforms, and flags where these are equal.

    Args:
      targets: the index's `targets`.
      order: their names, that of the default first.
      constraints: the attribute: labels instead of those of the operating system and the processor, by a target's name.
      labels: a struct of `os` and `cpu`, which make labels of constraints, and `defaults`, dicts from the index's names to others.

    Returns:
      A struct: `value` is a dict by target of a struct of `constraints` (labels) and `flags` (a list of dicts of `python` and `libc`, any of
      which fits), or None; `error` says what was wrong, or None. With one target there is nothing to tell apart: an empty dict.
    """
    for name in constraints:
        if name not in targets:
            return _refused("`constraints` names the target `%s`; there are %s" % (name, ", ".join(sorted(targets.keys()))))
    if len(order) < 2:
        return struct(value = {}, error = None)
    groups = {}
    chosen = {}
    for name in order:
        platform = targets[name]["platform"]
        own = constraints.get(name)
        if not own:
            own = [
                labels.os % labels.names.get(platform["os"], platform["os"]),
                labels.cpu % labels.names.get(platform["arch"], platform["arch"]),
            ]
        chosen[name] = own
        groups.setdefault(" ".join(sorted(own)), []).append(name)
    settings = {}
    for group in groups.values():
        facts = {name: _flags(targets[name]) for name in group}
        used = [flag for flag in ["python", "libc"] if [name for name in group if facts[name][flag] != facts[group[0]][flag]]]
        seen = {}
        for name in group:
            key = " ".join([facts[name][flag] for flag in used])
            if key in seen:
                return _refused("the targets `%s` and `%s` have the same platform, Python and C library; tell them apart with `constraints`" % (seen[key], name))
            seen[key] = name
            settings[name] = struct(constraints = chosen[name], flags = _alternatives(used, facts[name], facts[group[0]]))
    return struct(value = settings, error = None)

def _flags(facts):
    python = ".".join(facts["version"].split(".")[:2])
    return {
        "python": python + ("t" if facts["abi"].endswith("t") else ""),
        "libc": facts["platform"].get("libc", "glibc").split("-")[0],
    }

def check_flag(flag, value):
    """Looks for what cannot be the value of a flag that tells targets apart.

    Args:
      flag: `python` or `libc`.
      value: its value.

    Returns:
      What is wrong, or None.
    """
    if flag == "libc":
        expected = "`glibc` or `musl`"
        known = value in ["", "glibc", "musl"]
    else:
        expected = "a version such as `3.12`, or `3.13t` for one without the GIL"
        numbers = (value[:-1] if value.endswith("t") else value).split(".")
        known = not value or (len(numbers) == 2 and not [number for number in numbers if not number.isdigit()])
    return None if known else "`--@venvtree//rules:%s` is `%s`; expected %s" % (flag, value, expected)

def check_flags(flags, interpreter, found):
    """Compares an environment's interpreter with the flags that tell targets apart.

    Args:
      flags: a dict of `python` and `libc`, empty where a flag is not set.
      interpreter: the label of the interpreter.
      found: its facts.

    Returns:
      What is wrong, or None.
    """
    own = _flags(found)
    for flag, value in flags.items():
        if value and value != own[flag] and (flag == "python" or "libc" in found["platform"]):
            return ("`--@venvtree//rules:%s` is `%s`, and its interpreter %s is %s; leave the flag out, or let the default interpreter be an " +
                    "`alias` that chooses another one with `select()`, or name one as `interpreter`") % (flag, value, interpreter, describe_interpreter(found))
    return None

def _alternatives(used, own, default):
    """The values of flags that mean a target: a flag that is not set means the first target's."""
    result = [{}]
    for flag in used:
        values = [own[flag]] + ([""] if own[flag] == default[flag] else [])
        result = [dict(flags, **{flag: value}) for flags in result for value in values]
    return result

def describe_interpreter(facts):
    """An interpreter as people write it.

    Args:
      facts: a dict of `version`, `abi` and `platform`.

    Returns:
      Such as `CPython 3.12.1, linux-x86_64-glibc-2.28`.
    """
    platform = facts["platform"]
    last = platform.get("libc") or platform.get("version")
    return "CPython %s%s, %s" % (
        facts["version"],
        " (free-threaded)" if facts["abi"].endswith("t") else "",
        "-".join([platform["os"], platform["arch"]] + ([last] if last else [])),
    )

def serves(wanted, found):
    """Whether wheels that were chosen for one interpreter are right for another one.

    A patch level may differ, and the C library or macOS be newer.

    Args:
      wanted: the facts of the interpreter that wheels were chosen for.
      found: those of the interpreter that gets them.

    Returns:
      A boolean.
    """
    if wanted["version"].split(".")[:2] != found["version"].split(".")[:2] or wanted["abi"] != found["abi"]:
        return False
    for part in ["os", "arch"]:
        if wanted["platform"][part] != found["platform"][part]:
            return False
    oldest = wanted["platform"].get("libc") or wanted["platform"].get("version")
    own = found["platform"].get("libc") or found["platform"].get("version")
    if not oldest or not own:
        return True
    oldest = oldest.split("-")
    own = own.split("-")
    return oldest[:-1] == own[:-1] and _numbers(oldest[-1]) <= _numbers(own[-1])

def _numbers(version):
    return [int(part) for part in version.split(".") if part.isdigit()]

def wrong_pairing(name, wheels, target, wanted, interpreter, found):
    """What a build says of an environment whose wheels were chosen for another interpreter.

    Args:
      name: the environment's label.
      wheels: the label of the wheels.
      target: the name of the target that they are of.
      wanted: the target's facts.
      interpreter: the label of the environment's interpreter.
      found: its facts.

    Returns:
      The message.
    """
    return "%s: %s was read for %s (target `%s`); its interpreter %s is %s; name that in `targets`, or choose another `interpreter`" % (
        name,
        wheels,
        describe_interpreter(wanted),
        target,
        interpreter,
        describe_interpreter(found),
    )

def lacking_message(name, environment, needs, installed):
    """What a build says of an environment that lacks wheels.

    Args:
      name: the label of the program.
      environment: the label of its environment.
      needs: a list of structs of `library` and `package`, labels as people write them, and `wheels`, names of files.
      installed: the names of the environment's wheels.

    Returns:
      The message.
    """
    versions = {parse_wheel_name(wheel).distribution: wheel for wheel in installed}
    lines = []
    for need in needs:
        lines.append("  %s needs %s and so %s" % (need.library, need.package, ", ".join([_lacking(wheel, versions) for wheel in need.wheels])))
    packages = {need.package: True for need in needs}
    return "%s: its environment %s lacks wheels:\n%s\nadd %s to the `wheels` of %s, or name no `venv`" % (
        name,
        environment,
        "\n".join(lines),
        " and ".join(packages.keys()),
        environment,
    )

def _lacking(wheel, versions):
    other = versions.get(parse_wheel_name(wheel).distribution)
    return "%s (it has %s)" % (wheel, other) if other else wheel

def _refused(error):
    return struct(value = None, error = error)
