"""Activates the environment named on the command line in this interpreter and reports, as JSON, what came of it."""

import json
import os
import runpy
import site
import subprocess
import sys

root, early = sys.argv[1], sys.argv[2] == "early"
script = os.path.join(root, "bin", "activate_this.py")
if early:
    import sysconfig  # remembers the prefixes of before

os.environ["PYTHONHOME"] = "/nowhere"
before = list(sys.path)
for _ in range(2):
    runpy.run_path(script)

import hello  # noqa: E402
import sysconfig  # noqa: E402

import from_pth  # noqa: E402

added = [entry for entry in sys.path if entry not in before]
report = {
    "hello": hello.__file__,
    "from_pth": from_pth.__file__,
    "added": added,
    "added_first": sys.path[: len(added)] == added,
    "rest": sys.path[len(added) :] == before,
    "prefix": [sys.prefix, sys.exec_prefix],
    "base_prefix_differs": sys.base_prefix != sys.prefix,
    "site_packages": site.getsitepackages()[0],
    "purelib": sysconfig.get_path("purelib"),
    "pth_ran": os.environ.get("PTH_RAN_WITH"),
    "path": os.environ["PATH"].split(os.pathsep),
    "virtual_env": os.environ["VIRTUAL_ENV"],
    "prompt": os.environ["VIRTUAL_ENV_PROMPT"],
    "pkg_config": os.environ["PKG_CONFIG_PATH"],
    "pythonhome": os.environ.get("PYTHONHOME"),
    "console_script": subprocess.check_output(["hello"]).decode("utf-8"),
}
json.dump(report, sys.stdout)
