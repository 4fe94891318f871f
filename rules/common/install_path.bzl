"""Where a first-party file goes when it is installed: its path below its import root."""

def install_path(runfiles_path, import_roots):
    """The path of a file below the longest import root that holds it, else below its repository.

    Args:
      runfiles_path: the file's path relative to the runfiles directory, such as `repository/src/package/module.py`.
      import_roots: import roots, relative to the runfiles directory.

    Returns:
      The path, such as `package/module.py`.
    """
    best = runfiles_path.split("/")[0]
    for root in import_roots:
        if len(root) > len(best) and runfiles_path.startswith(root + "/"):
            best = root
    return runfiles_path[len(best) + 1:]
