"""What the benchmarks share: the interpreter behind a name, and wheels made here."""

import base64
import hashlib
import random
import subprocess
import zipfile


def interpreter(name):
    """The interpreter itself: what a name finds may be a script that starts it, and would be measured with it."""
    program = "import sys; print(sys.executable)"
    return subprocess.run([name, "-c", program], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


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
