"""What the rules take from their dependencies: wheels, and first-party import roots and sources."""

load("@venvtree_host//:host.bzl", "PY_INFOS")
load("//rules:providers.bzl", "LockInfo", "PyLibraryInfo", "VenvInfo")
load("//rules/common:label.bzl", "label_text")
load("//rules/common:text.bzl", "check_line")
load("//rules/common:wheel_name.bzl", "parse_wheel_name")

def collect_wheels(ctx, targets, closure):
    """The wheel files of targets and of a closure, each once, in their order.

    Besides a target's files, those of its runfiles count: a wheel that rules_python fetched carries the wheels that it
    requires there. Wheels of a lock are in the order of their names.

    Args:
      ctx: the rule's context.
      targets: the targets of its attribute `wheels`.
      closure: the WheelClosureInfo of its `deps`.

    Returns:
      A struct of `wheels`, a list of File, and `twins`, a list of further files of the same names: whether they are the same, too, only the tool
      can see.
    """
    wheels = []
    twins = {}
    owners = {}
    for target in targets:
        info = target[DefaultInfo]
        found = [file for file in info.files.to_list() if file.basename.endswith(".whl")]
        if LockInfo in target:
            found = by_name(found)
        elif not found:
            fail("%s: `wheels` has %s, which yields no .whl file; name a wheel, a filegroup of wheels, or a target such as `@pypi//requests:whl`" % (label_text(ctx.label), label_text(target.label)))
        if info.default_runfiles:
            found += [file for file in info.default_runfiles.files.to_list() if file.basename.endswith(".whl")]
        for file in found:
            if not parse_wheel_name(file.basename):
                fail("%s: `wheels` has %s, whose file %s is not named as a wheel is; expected NAME-VERSION-PYTHON-ABI-PLATFORM.whl" % (label_text(ctx.label), label_text(target.label), file.basename))
            _add_wheel(wheels, owners, twins, file)
    for file in by_name(closure.wheels.to_list()):
        _add_wheel(wheels, owners, twins, file)
    return struct(wheels = wheels, twins = twins.keys())

def _add_wheel(wheels, owners, twins, file):
    other = owners.get(file.basename)
    if other == None:
        owners[file.basename] = file
        wheels.append(file)
    elif other != file:
        twins[file] = True

def by_name(files):
    """Files in the order of their names.

    Args:
      files: a list of File.

    Returns:
      A list of File.
    """
    return [file for _, _, file in sorted([(file.basename, number, file) for number, file in enumerate(files)])]

def collect_first_party(ctx, srcs = [], deps = [], data = [], imports = []):
    """First-party code: of the rule itself and of the Python libraries that it depends on.

    Args:
      ctx: the rule's context.
      srcs: the rule's own sources, a list of File.
      deps: targets with rules_python's or Bazel's own `PyInfo`, or other environments' `VenvInfo`.
      data: targets whose files are needed at run time.
      imports: import roots of the rule itself, relative to its package.

    Returns:
      A struct of `imports` (depset of str), `sources` (depset of File) and `runfiles`.
    """
    transitive_imports = []
    transitive_sources = []
    runfiles = ctx.runfiles(files = srcs)
    for dep in deps:
        info = python_info(dep)
        if info:
            transitive_imports.append(info.imports)
            transitive_sources.append(info.transitive_sources)
            runfiles = runfiles.merge(ctx.runfiles(transitive_files = info.transitive_sources))
        elif VenvInfo in dep:
            transitive_imports.append(dep[VenvInfo].imports)
            transitive_sources.append(dep[VenvInfo].sources)
        elif LockInfo not in dep:
            fail("%s: `deps` has %s, which is no Python library: it has no PyInfo; files belong in `data`, wheels in the environment's `wheels`%s" % (label_text(ctx.label), label_text(dep.label), _PY_INFO_HINT))
        runfiles = runfiles.merge(dep[DefaultInfo].default_runfiles)
    for target in data:
        runfiles = runfiles.merge(ctx.runfiles(transitive_files = target[DefaultInfo].files))
        runfiles = runfiles.merge(target[DefaultInfo].default_runfiles)
    own = [import_root(ctx.label, ctx.workspace_name, path) for path in imports]
    return struct(
        imports = depset(own, transitive = transitive_imports),
        sources = depset(srcs, transitive = transitive_sources),
        runfiles = runfiles,
    )

_PY_INFO_HINT = "" if PY_INFOS else ("; this Bazel has no PyInfo of its own: give rules_python's with " +
                                     "`venvtree.python(py_info = \"@rules_python//python:py_info.bzl\")` in MODULE.bazel")

def python_info(target):
    """The `PyInfo` of a target, whoever's it is.

    Args:
      target: the target.

    Returns:
      The provider, or None.
    """
    for provider in PY_INFOS + [PyLibraryInfo]:
        if provider in target:
            return target[provider]
    return None

def one_line(root):
    """An import root as a line of a file, for `map_each`: other rules' roots are seen only when the file is written.

    Args:
      root: the import root.

    Returns:
      The root.
    """
    problem = check_line("imports", root)
    if problem:
        fail("an import root that a dependency brings cannot be used: %s" % problem)
    return root

def import_root(label, workspace_name, path):
    """An entry of `imports`, relative to the runfiles directory.

    Args:
      label: the rule's label.
      workspace_name: the name of the main repository's directory in runfiles.
      path: relative to the rule's package; `..` may lead up, but not out of the repository.

    Returns:
      The root.
    """
    parts = [part for part in label.package.split("/") if part]
    problem = check_line("imports", path)
    if problem:
        fail("%s: %s" % (label_text(label), problem))
    if path.startswith("/"):
        fail("%s: `imports` has `%s`; expected a path relative to the package" % (label_text(label), path))
    for part in path.split("/"):
        if part in ["", "."]:
            continue
        if part == "..":
            if not parts:
                fail("%s: `imports` has `%s`, which leaves the repository" % (label_text(label), path))
            parts.pop()
        else:
            parts.append(part)
    return "/".join([label.workspace_name or workspace_name] + parts)

def rlocation_path(workspace_name, file):
    """A file's path relative to the runfiles directory.

    Args:
      workspace_name: the name of the main repository's directory in runfiles.
      file: the file.

    Returns:
      The path.
    """
    if file.short_path.startswith("../"):
        return file.short_path[len("../"):]
    return workspace_name + "/" + file.short_path
