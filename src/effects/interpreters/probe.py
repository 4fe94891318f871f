import json
import os
import struct
import sys
import sysconfig


def read_musl_version(executable):
    """The version of musl, if the executable is linked with it: its loader says so when it is run without arguments."""
    try:
        with open(executable, "rb") as file:
            data = file.read(4096)
    except OSError:
        return None
    start = data.find(b"/ld-musl-")
    if start < 0:
        return None
    begin = data.rfind(b"\0", 0, start) + 1
    loader = data[begin : data.index(b"\0", start)].decode()
    import subprocess

    lines = subprocess.run([loader], stderr=subprocess.PIPE).stderr.decode().splitlines()
    for line in lines:
        if line.startswith("Version "):
            return ".".join(line.split()[1].split(".")[:2])
    return None


def find_bundled_wheels():
    directory = sysconfig.get_config_var("WHEEL_PKG_DIR")
    if directory and os.path.isdir(directory):
        return directory
    directory = os.path.join(sysconfig.get_path("stdlib"), "ensurepip", "_bundled")
    return directory if os.path.isdir(directory) else None


info = sys.version_info
version = "%d.%d.%d" % info[:3]
if info.releaselevel != "final":
    version += {"alpha": "a", "beta": "b", "candidate": "rc"}[info.releaselevel] + str(info.serial)
platform = sys.platform
glibc = musl = None
executable = getattr(sys, "_base_executable", None) or sys.executable
if platform.startswith("linux"):
    platform = "linux"
    machine = os.uname().machine
    try:
        name, _, glibc = os.confstr("CS_GNU_LIBC_VERSION").partition(" ")
        glibc = ".".join(glibc.split(".")[:2]) if name == "glibc" else None
    except (AttributeError, OSError, ValueError):
        glibc = None
    if glibc is None:
        musl = read_musl_version(executable)
elif platform == "darwin":
    # Such as `macosx-14.0-arm64`; what a universal build runs as is the machine's.
    machine = sysconfig.get_platform().split("-")[1] + "-" + os.uname().machine
else:
    machine = {"win-amd64": "x86_64", "win-arm64": "aarch64", "win32": "i686"}.get(sysconfig.get_platform(), "")
json.dump(
    {
        "implementation": sys.implementation.name,
        "version": version,
        "soabi": sysconfig.get_config_var("SOABI"),
        "debug": hasattr(sys, "gettotalrefcount"),
        "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
        "platform": platform,
        "machine": machine,
        "pointer_size": struct.calcsize("P"),
        "glibc": glibc,
        "musl": musl,
        "executable": executable,
        # Before 3.9, only distributions that have another folder say so, by where they put compiled modules.
        "platlibdir": getattr(sys, "platlibdir", None) or ("lib64" if "/lib64/" in sysconfig.get_path("platlib") else "lib"),
        "bundled_wheels": find_bundled_wheels(),
    },
    sys.stdout,
)
