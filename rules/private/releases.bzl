"""The programs of the release that this checkout is: `tools/rules-archive` writes them here. In between there are none."""

VERSION = "0.1.0"

# What comes before a file's name in its address.
BASE = ""

# SHA-256 of `venvtree-VERSION-TARGET.tar.gz` by target.
SHA256 = {}
