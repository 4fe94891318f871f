"""Runs a binary of another environment, which must not be mixed up with this one."""

import os
import subprocess

import beta_package

probe = os.path.join(os.path.dirname(os.path.abspath(__file__)), "probe")
subprocess.check_call([probe])
assert beta_package
