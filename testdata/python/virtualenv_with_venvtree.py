"""A pytest plugin: virtualenv's own tests of activation, with environments of venvtree in the place of virtualenv's.

virtualenv's sessions and activators stay what the tests talk to, but what lies on disk comes from `venvtree create`. Tests
that say something about virtualenv and not about activation are expected to fail, each for a reason that
`docs/activation.md` explains; one of them that passes is an error, so the list stays true.
"""

import functools
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from virtualenv.activation.activator import Activator
from virtualenv.activation.via_template import ViaTemplateActivator
from virtualenv.create.creator import Creator

VENVTREE = os.environ["VENVTREE"]

BAKED = "asserts on the path that virtualenv writes into its scripts"
TEXT = "asserts on the text of virtualenv's templates"
TCL = "asserts on TCL_LIBRARY and TK_LIBRARY"
GENERATOR = "asserts that virtualenv's generator makes no script, where ours refuses when it is sourced"
INEXACT = "asserts that something else than what was there comes back"

# What of a test's identifier has to match, and why the test does not apply. `docs/activation.md` has the same list.
EXPECTED_TO_FAIL = [
    (r"test_bash_relocation_stops_when_unavailable\[(unsupported-shell|missing-tools)\]", BAKED),
    (r"test_batch_pydoc_bat_quoting", TEXT),
    (r"test_cshell_escapes_prompt_expansion\[", TEXT),
    (r"test_cshell_generates_deactivate_script", TEXT),
    (r"test_python_activator_generates_pkg_config_path", TEXT),
    (r"test_(bash|batch|cshell|fish|nushell|powershell|xonsh)_tkinter_generation", TCL),
    (r"::test_(bash|csh|fish|nushell|xonsh)\[(no|with)_prompt-with_tcl-", TCL),
    (r"test_batch_skips_changed_paths\[", GENERATOR),
    (r"test_cshell_skips_multiline_destination", GENERATOR),
    (r"test_xonsh_skips_expanding_destination\[", GENERATOR),
    (r"test_bash_deactivate_restores_ps1\[empty\]", INEXACT),
    (r"test_zsh_deactivate_restores_psvar", INEXACT),
]

# Tests that source a copy of the csh script from a folder that is no environment. `VENVTREE_ENV` is how such a copy is used.
COPIED = (
    "test_cshell_prompt_collapses_line_boundaries",
    "test_cshell_activates_path_with_special_characters",
    "test_cshell_prompt_preserves_quoting_mode",
    "test_cshell_renders_prompt_literally",
    "test_cshell_preserves_non_newline_path",
)
current = {"test": ""}


def pytest_runtest_setup(item):
    current["test"] = item.originalname


def pytest_runtest_call(item):
    if item.originalname == "test_cshell_renders_prompt_literally":
        # This one copies the environment's variables before it makes the environment.
        os.environ["VENVTREE_ENV"] = str(item.funcargs["tmp_path"] / "plain" / "venv")


def pytest_runtest_teardown():
    os.environ.pop("VENVTREE_ENV", None)


def create(folder, prompt):
    """An environment of venvtree with virtualenv's interpreter."""
    command = [VENVTREE, "create", "--quiet", "--no-seed", "--python", sys.executable, "--replace"]
    if prompt is not None:
        command.append("--prompt=" + prompt)
    subprocess.run([*command, "--", str(folder)], check=True, stdin=subprocess.DEVNULL)


@functools.lru_cache(maxsize=None)
def scripts(prompt):
    """The activation scripts of such an environment. They are the same wherever it is."""
    with tempfile.TemporaryDirectory() as scratch:
        create(Path(scratch, "env"), prompt)
        return {path.name: path.read_bytes() for path in Path(scratch, "env", "bin").glob("activate*")}


def run(self):
    """In the place of `Creator.run`: the whole environment."""
    if self.dest.exists():
        shutil.rmtree(self.dest)
    create(self.dest, None)
    self.pyenv_cfg["home"] = ""
    if current["test"] in COPIED:
        os.environ["VENVTREE_ENV"] = str(self.dest)


def generate(self, creator):
    """In the place of each activator's `generate`: the scripts with this prompt."""
    prompt = self.flag_prompt
    if prompt is not None:
        creator.pyenv_cfg["prompt"] = prompt
    configuration = Path(creator.dest, "pyvenv.cfg")
    if not configuration.exists():
        # Where a test has only a stand-in of an environment.
        configuration.write_text("home =\n", encoding="utf-8")
    written = []
    for template in self.templates():
        name = self.as_name(template)
        if name in scripts(prompt):
            path = Path(creator.bin_dir, name)
            path.write_bytes(scripts(prompt)[name])
            written.append(path)
    return written


Creator.run = run
Creator.set_pyenv_cfg = lambda self: None


def activators(cls):
    for child in cls.__subclasses__():
        yield child
        yield from activators(child)


def pytest_collection_modifyitems(items):
    """Comes after the imports of the tests, so that every activator is known."""
    for activator in [ViaTemplateActivator, *activators(Activator)]:
        if activator.__module__.startswith("virtualenv."):
            activator.generate = generate
    used = set()
    for item in items:
        for pattern, reason in EXPECTED_TO_FAIL:
            if re.search(pattern, item.nodeid):
                used.add(pattern)
                item.add_marker(pytest.mark.xfail(reason=reason, strict=True))
    unused = {pattern for pattern, _ in EXPECTED_TO_FAIL} - used
    if unused:
        raise pytest.UsageError("these tests are not there any more: {}".format(sorted(unused)))
