"""Released programs: for which machines there are some, what they are called, which one a machine takes."""

def _platform(target, os, cpu):
    return struct(
        target = target,
        os = os,
        cpu = cpu,
        constraints = ["@platforms//os:" + os, "@platforms//cpu:" + cpu],
    )

# Of those for one machine the first counts that a release has: the same program wherever it can run, since its bytes are in every key.
RELEASE_PLATFORMS = [
    _platform("x86_64-unknown-linux-musl", "linux", "x86_64"),
    _platform("x86_64-unknown-linux-gnu", "linux", "x86_64"),
    _platform("aarch64-unknown-linux-musl", "linux", "aarch64"),
    _platform("aarch64-unknown-linux-gnu", "linux", "aarch64"),
    _platform("x86_64-apple-darwin", "macos", "x86_64"),
    _platform("aarch64-apple-darwin", "macos", "aarch64"),
]

_OS = {"linux": "linux", "mac os x": "macos", "darwin": "macos"}

_CPU = {"amd64": "x86_64", "x86_64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64"}

def check_release(version, base, sha256):
    """Whether a release is described well.

    Args:
      version: the release's version.
      base: what comes before a file's name in its address.
      sha256: the archives' SHA-256 by target.

    Returns:
      A struct of `error`: what is wrong, or None.
    """
    if not version:
        return struct(error = "`version` is empty; expected the release's, such as `0.1.0`")
    if not base:
        return struct(error = "`base` is empty; expected what comes before the files' names in their addresses, such as `https://mirror.example/venvtree/0.1.0`")
    if not sha256:
        return struct(error = "`sha256` is empty; expected a line for each target, as SHA256SUMS of the release has them")
    known = [platform.target for platform in RELEASE_PLATFORMS]
    for target, digest in sha256.items():
        if target not in known:
            return struct(error = "`sha256` has the target `%s`; expected one of %s" % (target, ", ".join(known)))
        if len(digest) != 64 or digest.strip("0123456789abcdef"):
            return struct(error = "`sha256` of %s is `%s`; expected 64 hexadecimal digits" % (target, digest))
    return struct(error = None)

def release_archive(version, target):
    """The name of the archive that has a program, without its extension; the one folder in it has this name, too.

    Args:
      version: the release's version.
      target: the program's target.

    Returns:
      The name.
    """
    return "venvtree-%s-%s" % (version, target)

def release_url(base, version, target):
    """The address of the archive that has a program.

    Args:
      base: what comes before the archive's name.
      version: the release's version.
      target: the program's target.

    Returns:
      The address.
    """
    return "%s/%s.tar.gz" % (base.rstrip("/"), release_archive(version, target))

def release_repository(target):
    """The name of the repository of a program.

    Args:
      target: the program's target.

    Returns:
      The name.
    """
    return "venvtree_release_" + target.replace("-", "_")

def chosen_programs(sha256):
    """For each kind of machine the one program of a release that counts.

    Args:
      sha256: the archives' SHA-256 by target.

    Returns:
      A list of elements of `RELEASE_PLATFORMS`.
    """
    chosen = {}
    for platform in RELEASE_PLATFORMS:
        if platform.target in sha256:
            chosen.setdefault((platform.os, platform.cpu), platform)
    return list(chosen.values())

def platform_of(machine):
    """The kind of a machine.

    Args:
      machine: the system, as Bazel calls it in `repository_ctx.os.name`, and the processor, as `uname -m` or Java call it.

    Returns:
      An element of `RELEASE_PLATFORMS` for that kind, or None.
    """
    os, cpu = machine
    for platform in RELEASE_PLATFORMS:
        if (platform.os, platform.cpu) == (_OS.get(os), _CPU.get(cpu)):
            return platform
    return None

def program_for(machine, sha256):
    """The program of a release for a machine.

    Args:
      machine: as for `platform_of`.
      sha256: the archives' SHA-256 by target.

    Returns:
      A target, or None.
    """
    here = platform_of(machine)
    for program in chosen_programs(sha256):
        if here and program.constraints == here.constraints:
            return program.target
    return None
