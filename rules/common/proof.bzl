"""The documents about an environment that a build can make."""

# For each group of them, the ends of their files' names and the commands of the tool that write them.
# buildifier: disable=attr-licenses
PROOFS = {
    "licenses": {".licenses.txt": ["licenses", "--texts"]},
    "provenance": {".intoto.json": ["sbom", "--format=in-toto"]},
    "sbom": {
        ".cdx.json": ["sbom", "--format=cyclonedx"],
        ".spdx.json": ["sbom", "--format=spdx"],
    },
}

def proof_options(command, name):
    """The options of a command that writes a document.

    Args:
      command: of PROOFS.
      name: what the environment is called.

    Returns:
      A list of str.
    """
    return command[1:] + (["--name=" + name] if command[0] == "sbom" else []) + ["--no-store", "--quiet"]
