"""Says as JSON how a program of the build sees the world, and fails where a child sees another one."""

import json
import multiprocessing
import os
import subprocess
import sys

import alpha
from more import probe as own


def values(_=None):
    from more import first_party

    return [first_party.VALUE, first_party.DATA, alpha.VALUE, sys.prefix]


def main():
    expected = values()
    for method in ["spawn", "forkserver", "fork"]:
        with multiprocessing.get_context(method).Pool(1) as pool:
            assert pool.map(own.values, [None]) == [expected], method
    program = "import json; from more.probe import values; print(json.dumps(values()))"
    found = json.loads(subprocess.check_output([sys.executable, "-c", program], cwd="/"))
    assert found == expected, found
    # Isolated children see the environment, and nothing else.
    isolated = [sys.executable, "-I", "-c", "import alpha\nimport more.first_party"]
    assert subprocess.call(isolated, stderr=subprocess.DEVNULL, cwd="/") == 1
    print(
        json.dumps(
            {
                "values": expected,
                "argv": sys.argv[1:],
                "path": sys.path,
                "version": list(sys.version_info[:2]),
                "base": sys.base_prefix,
                "quote": os.environ["PROBE_QUOTE"],
            }
        )
    )


if __name__ == "__main__":
    main()
