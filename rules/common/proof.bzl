"""The documents about an environment that a build can make."""

# For each group of them, the ends of their files' names and what `venvtree sbom` calls them.
PROOFS = {
    "sbom": {".cdx.json": "cyclonedx", ".spdx.json": "spdx"},
    "provenance": {".intoto.json": "in-toto"},
}
