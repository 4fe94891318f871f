"""The repositories of locks: one of labels for each lock, and one for each wheel."""

load("//rules/common:locks.bzl", "check_supply", "read_index")
load(":credentials.bzl", "credentials_for")
load(":hub.bzl", "hub_files", "wheel_repository")

# The variable that says `no` where only labels and analysis are wanted: a query with `deps`, `build --nobuild`.
_FETCH = "VENVTREE_FETCH_WHEELS"

def _whl_impl(repository_ctx):
    attr = repository_ctx.attr
    if repository_ctx.os.environ.get(_FETCH) != "no":
        _download(repository_ctx)
    repository_ctx.file("BUILD.bazel", """\
filegroup(
    name = "whl",
    srcs = [%s],
    visibility = ["//visibility:public"],
)
""" % repr(attr.file_name))

def _download(repository_ctx):
    attr = repository_ctx.attr
    urls = list(attr.urls)
    if attr.path:
        path = attr.path if attr.path.startswith("/") else "%s/%s" % (repository_ctx.path(attr.lock).dirname, attr.path)
        urls.insert(0, "file://" + path.replace("%", "%25").replace(" ", "%20"))
    pinned = {"integrity": attr.integrity} if attr.integrity else {"sha256": attr.sha256}
    repository_ctx.download(
        url = urls,
        output = attr.file_name,
        auth = credentials_for(repository_ctx, urls),
        **pinned
    )

venvtree_whl = repository_rule(
    implementation = _whl_impl,
    doc = "One wheel of a lock, fetched by Bazel's own downloader.",
    attrs = {
        "file_name": attr.string(doc = "The wheel's name.", mandatory = True),
        "integrity": attr.string(doc = "The wheel's SHA-384 or SHA-512, where the lock has no SHA-256."),
        "lock": attr.label(doc = "The lock or its index, beside which `path` is looked for."),
        "path": attr.string(doc = "Where the wheel is, relative to the lock."),
        "sha256": attr.string(doc = "The wheel's SHA-256, where the lock has it."),
        "urls": attr.string_list(doc = "Where the wheel can be had."),
    },
    environ = [_FETCH],
)

def whl_attributes(file, lock):
    """The attributes of a wheel's repository.

    Args:
      file: what the index says of it.
      lock: the label of the lock or of the index.

    Returns:
      A dict.
    """
    attributes = {"file_name": file["name"], "urls": file.get("urls", [])}
    pinned = "sha256" if "sha256" in file else "integrity"
    attributes[pinned] = file[pinned]
    if "path" in file:
        attributes["path"] = file["path"]
        attributes["lock"] = lock
    return attributes

def _own(text):
    """A label of this repository that means the same in every other one."""
    label = str(Label(text))
    return "@" + label if label.startswith("//") else label

_PLATFORMS = str(Label("@platforms//os:linux")).split("//")[0]

def labels_of(name, attribute, texts, lock, mapped):
    """Labels of an attribute that are texts, so that they mean the same in the lock's repository.

    Args:
      name: the name of the lock's repository.
      attribute: the attribute.
      texts: the labels.
      lock: the label of the lock, which lies in the repository that the texts are written in.
      mapped: whether the names of repositories mean there something else than in the lock's repository.

    Returns:
      The labels.
    """
    repository = str(lock).split("//")[0]
    labels = []
    for text in texts:
        if text.startswith("//"):
            # Bazel 4 writes labels of the main repository without any.
            labels.append((repository or "@") + text)
        elif text.startswith("@platforms//"):
            labels.append(_PLATFORMS + text[len("@platforms"):])
        elif text.startswith("@@") or (text.startswith("@") and not mapped):
            labels.append(text)
        else:
            fail("@%s: `%s` has `%s`; expected a label such as `//third_party:wheel`, where an `alias` can lead to another repository" % (name, attribute, text))
    return labels

def locks_of(ctx, requests):
    """Reads locks.

    Args:
      ctx: the context of the repository rule or of the module extension.
      requests: a list of tags, or the attributes of the rule.

    Returns:
      A list of structs of `label`; `text`, the index as JSON; `index`; and `order`, the names of the targets.
    """

    # What may begin all over comes first: the tool may have to be built, and files have to be there.
    tool = None
    if [request for request in requests if request.lock]:
        tool = ctx.path(Label("@venvtree_tool//:venvtree"))
    paths = []
    for request in requests:
        if bool(request.lock) == bool(request.index):
            fail("@%s: expected one of `lock` and `index`; found %s" % (request.name, "both" if request.lock else "neither"))
        if bool(request.lock) != bool(request.targets):
            fail("@%s: %s" % (request.name, "an index has its own `targets`; say them to `venvtree lock index`" if request.index else "`targets` is empty; expected names and interpreters, such as `{\"linux\": \"3.12.1 linux-x86_64-glibc-2.28\"}`"))
        path = ctx.path(request.lock or request.index)
        if hasattr(ctx, "watch"):
            ctx.watch(path)
        paths.append(path)
    locks = []
    for request, path in zip(requests, paths):
        if request.lock:
            text = _run_tool(ctx, tool, request, path)
        else:
            text = ctx.read(path)
        index = read_index(json.decode(text))
        if index.error:
            fail("@%s: %s %s" % (request.name, request.index or request.lock, index.error))
        index = index.value
        order = list(request.targets.keys()) if request.lock else list(index["targets"].keys())
        locks.append(struct(label = request.lock or request.index, text = text, index = index, order = order))
    return locks

def _run_tool(ctx, tool, request, path):
    arguments = []
    for name, text in request.targets.items():
        arguments += ["--target", "%s=%s" % (name, text)]
    out = "%s.index.json" % request.name
    result = ctx.execute([tool, "lock", "index", path] + arguments + ["--quiet", "--out", out])
    if result.return_code:
        fail("@%s: %s cannot be read:\n%s" % (request.name, request.lock, result.stderr))
    return ctx.read(out)

def _write_hub(repository_ctx, hub):
    """Writes the files of a lock's repository, except for `wheels.bzl`."""
    problem = check_supply(hub.index, hub.supply)
    if problem:
        fail("@%s: %s" % (hub.name, problem))
    files = hub_files(hub)
    if files.error:
        fail("@%s: %s" % (hub.name, files.error))
    for path, text in files.value.items():
        repository_ctx.file(path, text, executable = False)

def _hub(name, index, order, constraints, supply):
    return struct(
        name = name,
        index = index,
        order = order,
        constraints = constraints,
        supply = supply,
        rules = _own("//rules/private:locked.bzl"),
        flags = _own("//rules:defs.bzl").split(":")[0] + ":%s",
        platforms = _PLATFORMS,
    )

def _lock_impl(repository_ctx):
    attr = repository_ctx.attr
    name = attr.name
    lock = locks_of(repository_ctx, [attr])[0]
    _write_hub(repository_ctx, _hub(
        name = name,
        index = lock.index,
        order = lock.order,
        constraints = {target: labels_of(name, "constraints", texts, lock.label, False) for target, texts in attr.constraints.items()},
        supply = {package: labels_of(name, "supply", [text], lock.label, False)[0] for package, text in attr.supply.items()},
    ))
    repository = str(lock.label)
    wheels = {
        wheel_repository(key): whl_attributes(file, ("" if repository.startswith("@") else "@") + repository)
        for key, file in lock.index["files"].items()
    }
    repository_ctx.file("wheels.bzl", _WHEELS.format(
        name = name.replace("-", "_").replace(".", "_"),
        rules = _own("//rules/private:lock_repositories.bzl"),
        wheels = "{\n%s}" % "".join(["    %s: %s,\n" % (repr(key), repr(wheels[key])) for key in sorted(wheels)]),
    ), executable = False)

_WHEELS = """\
load("{rules}", "venvtree_whl")

_WHEELS = {wheels}

def {name}_wheels():
    for name, attributes in _WHEELS.items():
        if not native.existing_rule(name):
            venvtree_whl(name = name, **attributes)
"""

LOCK_ATTRIBUTES = {
    "lock": attr.label(
        doc = "The lock: `uv.lock` or `pylock.toml`. The tool reads it whenever it changes.",
        allow_single_file = True,
    ),
    "index": attr.label(
        doc = "What `venvtree lock index` made of the lock, instead of `lock`: the tool is then not needed for loading.",
        allow_single_file = True,
    ),
    "targets": attr.string_dict(
        doc = "The interpreters that wheels are chosen for, by names of your own: a version of Python and a platform as `venvtree_interpreter` " +
              "has them, such as `{\"linux\": \"3.12.1 linux-x86_64-glibc-2.28\"}`. With `index` they are said there.",
    ),
    "constraints": attr.string_list_dict(
        doc = "For a target's name, the constraints that a platform has which the target is for. By default those of its operating system and " +
              "processor; targets that differ only in their Python or C library are told apart by the flags `@venvtree//rules:python` " +
              "(`3.12`, `3.13t`) and `@venvtree//rules:libc` (`glibc`, `musl`), without which the first one is meant.",
    ),
    "supply": attr.string_dict(
        doc = "For a package's name, the label of a wheel of it to take instead of the lock's, of the version that the lock has: for packages " +
              "without a wheel, and for wheels that were changed.",
    ),
}

venvtree_lock = repository_rule(
    implementation = _lock_impl,
    doc = """A lock as a repository, for WORKSPACE: `@NAME//flask` is flask and what it requires, `@NAME//:all` what the project requires.

It does not bring the wheels: `load("@NAME//:wheels.bzl", "NAME_wheels")` and call `NAME_wheels()`.""",
    attrs = LOCK_ATTRIBUTES,
)

def _hub_impl(repository_ctx):
    attr = repository_ctx.attr
    _write_hub(repository_ctx, _hub(attr.hub, json.decode(attr.index), attr.order, attr.constraints, attr.supply))

lock_hub = repository_rule(
    implementation = _hub_impl,
    doc = "The repository of a lock that something else has read.",
    attrs = {
        "constraints": attr.string_list_dict(doc = "As in `venvtree_lock`, but with labels that mean the same everywhere."),
        "hub": attr.string(doc = "The name that people know it by.", mandatory = True),
        "index": attr.string(doc = "The index of the lock.", mandatory = True),
        "order": attr.string_list(doc = "The names of the targets, that of the default first.", mandatory = True),
        "supply": attr.string_dict(doc = "As in `venvtree_lock`, but with labels that mean the same everywhere."),
    },
)
