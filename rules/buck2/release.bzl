"""`venvtree_release`: the program of a release, for where actions run."""

load("//rules/common:release.bzl", "check_release", "chosen_programs", "release_archive", "release_repository", "release_url")
load("//rules/private:releases.bzl", "BASE", "SHA256", "VERSION")

_CPU = {"aarch64": "arm64"}

# buildifier: disable=unnamed-macro
def venvtree_release(name = "venvtree_release", version = VERSION, base = BASE, sha256 = SHA256, visibility = ["PUBLIC"]):
    """Makes a target that is the program of a release: an `http_archive` for each kind of machine, of which only what is needed is fetched.

    Give it to `venvtree_toolchain(tool = …)`, which takes the one for the platform that actions run on.

    Args:
      name: the target's name.
      version: the release's version. By default it and the next two are those of the release that these rules are of.
      base: what comes before the files' names in their addresses.
      sha256: SHA-256 of `venvtree-VERSION-TARGET.tar.gz` by target, as SHA256SUMS of the release has them.
      visibility: who may use the target.
    """
    problem = check_release(version, base, sha256).error
    if problem:
        fail("`%s`: %s" % (name, problem))
    arms = {}
    for program in chosen_programs(sha256):
        own = release_repository(program.target)

        # buildifier: disable=http-archive
        native.http_archive(
            name = own,
            urls = [release_url(base, version, program.target)],
            sha256 = sha256[program.target],
            strip_prefix = release_archive(version, program.target),
            sub_targets = ["bin/venvtree"],
        )
        setting = "is_for_" + own
        native.config_setting(
            name = setting,
            constraint_values = [
                "config//os/constraints:" + program.os,
                "config//cpu/constraints:" + _CPU.get(program.cpu, program.cpu),
            ],
        )
        arms[":" + setting] = ":%s[bin/venvtree]" % own

    # An alias decides where it is configured: as a dependency for execution, for the machine that runs it.
    native.alias(name = name, actual = select(arms), visibility = visibility)
