"""What the benchmarks share: the interpreter behind a name, the processor time of a command, and wheels made here."""

import base64
import ctypes
import hashlib
import os
import random
import resource
import subprocess
import zipfile
from pathlib import Path


def interpreter(name):
    """The interpreter itself: what a name finds may be a script that starts it, and would be measured with it."""
    program = "import sys; print(sys.executable)"
    return subprocess.run([name, "-c", program], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def adopt_orphans():
    """What descendants leave behind becomes our child: `compileall -j2` compiles in grandchildren that nobody waits for."""
    set_child_subreaper = 36
    if ctypes.CDLL(None, use_errno=True).prctl(set_child_subreaper, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "orphans cannot be adopted")


def processor_seconds(command, **options):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([os.fspath(part) for part in command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)
    while True:
        try:
            os.wait()
        except ChildProcessError:
            break
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def server_seconds(base):
    """Processor time of the Bazel with this output base, and of all that it started and that ended."""
    server = int((base / "server/server.pid.txt").read_text())
    fields = Path(f"/proc/{server}/stat").read_text().rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15]) / os.sysconf("SC_CLK_TCK")


def make_wheels(folder, wheels, files, size):
    """Wheels of so many modules of so many bytes of random words, which compress about as well as source does."""
    random.seed(size)
    words = ["".join(random.choices("abcdefghijklmnopqrstuvwxyz", k=random.randint(2, 9))) for _ in range(2_000)]
    paths = []
    for index in range(wheels):
        name = f"synthetic{index}"
        path = folder / f"{name}-1.0-py3-none-any.whl"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            rows = []

            def add(member, data):
                archive.writestr(zipfile.ZipInfo(member), data, zipfile.ZIP_DEFLATED)
                digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
                rows.append(f"{member},sha256={digest},{len(data)}")

            for file in range(files):
                text = " ".join(random.choices(words, k=size // 6 + 1)).encode()[:size].ljust(size)
                add(f"{name}/part{file // 20}/module{file}.py", text)
            add(f"{name}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode())
            add(f"{name}-1.0.dist-info/WHEEL", b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            record = f"{name}-1.0.dist-info/RECORD"
            archive.writestr(zipfile.ZipInfo(record), "\n".join([*rows, f"{record},,", ""]), zipfile.ZIP_DEFLATED)
        paths.append(path)
    return paths
