"""What a netrc file says, for Bazel's downloader."""

load("@bazel_tools//tools/build_defs/repo:utils.bzl", "read_netrc", "use_netrc")

def credentials_for(repository_ctx, urls):
    """What a netrc file says of hosts: Bazel's downloader does not look there by itself.

    Args:
      repository_ctx: the context of the repository rule.
      urls: the addresses that will be asked.

    Returns:
      A value for `auth`.
    """
    environ = repository_ctx.os.environ
    netrc = environ.get("NETRC")
    if not netrc:
        home = environ.get("USERPROFILE" if repository_ctx.os.name.startswith("windows") else "HOME")
        netrc = home + "/.netrc" if home else None
    if not netrc or not repository_ctx.path(netrc).exists:
        return {}
    return use_netrc(read_netrc(repository_ctx, netrc), urls, {})
