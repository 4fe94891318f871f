"""The repositories of the tool: for this machine, and for all machines that actions may run on."""

load("//rules/common:release.bzl", "check_release", "chosen_programs", "platform_of", "program_for", "release_archive", "release_repository", "release_url")
load(":credentials.bzl", "credentials_for")
load(":releases.bzl", "BASE", "SHA256", "VERSION")
load(":repository.bzl", "absolute", "bazel_major")

_TOOL_BUILD = """\
load("%s", "venvtree_toolchain")

package(default_visibility = ["//visibility:public"])

exports_files(["venvtree"])

venvtree_toolchain(
    name = "toolchain",
    launchers = glob(
        ["%s/*.exe"],
        allow_empty = True,
    ),
    tool = ":venvtree",
    worker = "%s",
)
"""

# What a program brings for environments for Windows lies here, seen from the folder above its own.
_LAUNCHERS = "share/venvtree/launchers"

_WORKER = attr.string(
    doc = "Whether Bazel may keep the tool running as a persistent worker: `off`, `proto`, `json`; `auto` is `proto` on Bazel 6 and newer, " +
          "and `off` on older ones.",
    default = "auto",
    values = ["auto", "off", "proto", "json"],
)

RELEASE_TAG = {
    "version": attr.string(doc = "The release's version."),
    "base": attr.string(doc = "What comes before the files' names in their addresses. VENVTREE_RELEASE_BASE replaces it."),
    "sha256": attr.string_dict(doc = "SHA-256 of `venvtree-VERSION-TARGET.tar.gz` by target."),
}

def release_attributes(version = None, base = None, sha256 = None):
    """A release's description: what the caller says, and else what this release knows of itself.

    Args:
      version: the release's version.
      base: what comes before the files' names in their addresses.
      sha256: the archives' SHA-256 by target.

    Returns:
      Attributes of `venvtree_tool` and `venvtree_programs`; without a release, none.
    """
    if not (version or base or sha256 or SHA256):
        return {}
    attributes = {"version": version or VERSION, "base": base or BASE, "sha256": sha256 or SHA256}
    error = check_release(**attributes).error
    if error:
        fail("the release of venvtree: %s" % error)
    return attributes

def _tool_impl(repository_ctx):
    attr = repository_ctx.attr
    binary = repository_ctx.os.environ.get("VENVTREE_BIN")
    target = program_for(_machine(repository_ctx), attr.sha256)
    if binary:
        binary = repository_ctx.path(binary)
        if not binary.exists:
            fail("VENVTREE_BIN is %s, which does not exist; give the path of the venvtree program" % binary)
        _link(repository_ctx, binary)
    elif attr.binary:
        _link(repository_ctx, repository_ctx.path(attr.binary))
    elif target:
        _download(repository_ctx, target)
    else:
        repository_ctx.symlink(_build_with_cargo(repository_ctx), "venvtree")
    _write_toolchain(repository_ctx)

def _link(repository_ctx, binary):
    """Takes a program that is there, and what an installed one has beside it."""
    repository_ctx.symlink(binary, "venvtree")
    launchers = repository_ctx.path("%s/%s" % (binary.realpath.dirname.dirname, _LAUNCHERS))
    if launchers.exists:
        repository_ctx.symlink(launchers, _LAUNCHERS)

def _machine(repository_ctx):
    """The system and processor that Bazel runs on, each as something calls it."""
    os = repository_ctx.os
    if hasattr(os, "arch"):
        return os.name, os.arch

    # Bazel 4 does not say. The program is in one of these places, whatever PATH is.
    for uname in ["/usr/bin/uname", "/bin/uname"]:
        if repository_ctx.path(uname).exists:
            return os.name, repository_ctx.execute([uname, "-m"]).stdout.strip()
    return os.name, ""

def _download(repository_ctx, target):
    attr = repository_ctx.attr
    base = repository_ctx.os.environ.get("VENVTREE_RELEASE_BASE") or attr.base
    url = release_url(base, attr.version, target)
    repository_ctx.download_and_extract(
        url = url,
        sha256 = attr.sha256[target],
        stripPrefix = release_archive(attr.version, target),
        auth = credentials_for(repository_ctx, [url]),
    )
    repository_ctx.symlink("bin/venvtree", "venvtree")

def _write_toolchain(repository_ctx):
    worker = repository_ctx.attr.worker
    if worker == "auto":
        # Bazel 4 asks for flags before it starts workers with JSON or several requests at once; what these save is little there.
        worker = "proto" if bazel_major() >= 6 else "off"
    repository_ctx.file("BUILD.bazel", _TOOL_BUILD % (absolute(Label("//rules:toolchain.bzl")), _LAUNCHERS, worker))

def _build_with_cargo(repository_ctx):
    root = repository_ctx.path(Label("//:Cargo.toml")).dirname
    listing = repository_ctx.execute(["find", "src", "-type", "f"], working_directory = str(root))
    for source in ["Cargo.lock", "tools/release"] + sorted(listing.stdout.split("\n")):
        if source:
            # Asking for the path is what makes Bazel fetch again after an edit.
            repository_ctx.path(Label("//:" + source))
    if not repository_ctx.which("cargo"):
        fail("there is no venvtree program: set VENVTREE_BIN to its path (`--repo_env=VENVTREE_BIN=…`), or put cargo on PATH, which builds it from %s" % root)
    repository_ctx.report_progress("Building venvtree with cargo")
    result = repository_ctx.execute(
        # The rules need no remote caches of the tool's own.
        ["sh", str(root) + "/tools/release", "--no-default-features"],
        environment = {"CARGO_TARGET_DIR": str(repository_ctx.path("target"))},
        timeout = 3600,
        quiet = False,
    )
    if result.return_code:
        fail("cargo could not build venvtree from %s:\n%s" % (root, result.stderr))
    return repository_ctx.path("target/release/venvtree")

venvtree_tool = repository_rule(
    implementation = _tool_impl,
    doc = "The tool for this machine: the program at VENVTREE_BIN, else `binary`, else that of a release, else what cargo builds from this checkout.",
    attrs = dict(
        binary = attr.label(
            doc = "The `venvtree` program.",
            allow_single_file = True,
        ),
        worker = _WORKER,
        **RELEASE_TAG
    ),
    # Not `local`: then cargo would build everything again for each new server. Bazel looks at the program behind the link anyway.
    # Not PATH either: what its text is says nothing of which cargo there is, and a failure is tried again.
    environ = ["VENVTREE_BIN", "VENVTREE_RELEASE_BASE"],
)

def _program_impl(repository_ctx):
    _download(repository_ctx, repository_ctx.attr.target)
    _write_toolchain(repository_ctx)

_venvtree_program = repository_rule(
    implementation = _program_impl,
    doc = "The program of a release for one target.",
    attrs = dict(
        target = attr.string(doc = "The target.", mandatory = True),
        worker = _WORKER,
        **RELEASE_TAG
    ),
    environ = ["VENVTREE_RELEASE_BASE"],
)

_TOOLCHAIN = """\
toolchain(
    name = "%s",
    target_compatible_with = %s,
    toolchain = "%s",
    toolchain_type = "%s",
)
"""

def _toolchains_impl(repository_ctx):
    # The tool is a dependency of the rules for where their actions run, which is the "target" of the toolchain that is sought for it.
    programs = chosen_programs(repository_ctx.attr.sha256)
    found = {program.target: program.constraints for program in programs}
    labels = {program.target: "@%s//:toolchain" % release_repository(program.target) for program in programs}
    here = platform_of(_machine(repository_ctx))
    if here and here.constraints not in found.values():
        found["here"], labels["here"] = here.constraints, "@venvtree_tool//:toolchain"
    repository_ctx.file("BUILD.bazel", "\n".join([_TOOLCHAIN % (
        name.replace("-", "_"),
        repr([absolute(Label(constraint)) for constraint in constraints]),
        labels[name],
        absolute(Label("//rules:toolchain_type")),
    ) for name, constraints in found.items()]))

_venvtree_toolchains = repository_rule(
    implementation = _toolchains_impl,
    doc = "A `toolchain` for each program of a release, and for this machine where there is none for it.",
    attrs = {"sha256": attr.string_dict(doc = "SHA-256 of the archives by target.")},
)

def venvtree_programs(release, worker):
    """Makes the repositories of a release's programs, and `@venvtree_toolchains`, whose toolchains are to be registered.

    Args:
      release: what `release_attributes` gives.
      worker: whether Bazel may keep the tool running.
    """
    sha256 = release.get("sha256", {})
    for program in chosen_programs(sha256):
        _venvtree_program(name = release_repository(program.target), target = program.target, worker = worker, **release)
    _venvtree_toolchains(name = "venvtree_toolchains", sha256 = sha256)
