"""Runs in the sample environment."""

import subprocess
import sys

import sample

from rules.tests import program

assert program.sample is sample
assert subprocess.check_output([sys.prefix + "/bin/sample"]) == b"sample\n"
