"""Says as JSON how a program of the build sees the world, and fails where a child sees another one."""

import json
import multiprocessing
import os
import subprocess
import sys

import alpha
import beta_package
import elsewhere
import first_party
from app import probe as own


def values(_=None):
    import elsewhere
    import first_party

    return [first_party.VALUE, elsewhere.VALUE, alpha.VALUE, sys.prefix]


def main():
    expected = values()
    for method in ["spawn", "forkserver", "fork"]:
        with multiprocessing.get_context(method).Pool(1) as pool:
            assert pool.map(own.values, [None]) == [expected], method
    program = "import json; from app.probe import values; print(json.dumps(values()))"
    for arguments in [["-c", program], ["-P", "-c", program]]:
        found = json.loads(subprocess.check_output([sys.executable] + arguments, cwd="/"))
        assert found == expected, (arguments, found)
    # Isolated children see the environment, and nothing else.
    code = subprocess.call([sys.executable, "-I", "-c", "import alpha\nimport first_party"], stderr=subprocess.DEVNULL, cwd="/")
    assert code == 1
    # Another Python is not led astray by what is meant for this environment.
    if os.path.exists("/usr/bin/python3"):
        found = subprocess.check_output(["/usr/bin/python3", "-c", "import sys; print(sys.path)"], cwd="/")
        assert b"runfiles" not in found and b"_venvtree" not in found, found
    with open(os.path.join(os.path.dirname(beta_package.__file__), "data.txt")) as file:
        data = file.read()
    print(
        json.dumps(
            {
                "values": expected,
                "data": data,
                "path": sys.path,
                "argv": sys.argv[1:],
                "executable": sys.executable,
                "version": list(sys.version_info[:2]),
                "environ": {name: value for name, value in os.environ.items() if name.startswith(("PROBE_", "TEST_", "RUNFILES"))},
                "tmpdir": os.environ.get("TMPDIR"),
                "cwd": os.getcwd(),
            }
        )
    )
    roots = [entry for entry in sys.path if "runfiles" in entry and "env.venv" not in entry]
    first_foreign = next(index for index, entry in enumerate(sys.path) if "runfiles" not in entry or "env.venv" in entry)
    assert all(sys.path.index(root) < first_foreign for root in roots if not root.endswith("/app")), sys.path


if __name__ == "__main__":
    main()
