# Compiles what it is given, until there is no more. Nothing of that is imported or run.
import _thread
import gc
import marshal
import sys
import time
from _frozen_importlib_external import MAGIC_NUMBER

try:
    import resource
except ImportError:
    resource = None


def bound(name, limit):
    # Limits keep others from harm; what is compiled does not depend on them.
    try:
        number = getattr(resource, "RLIMIT_" + name)
        soft, hard = resource.getrlimit(number)
        if hard != resource.RLIM_INFINITY and hard < limit:
            limit = hard
        if name == "CPU" or soft == resource.RLIM_INFINITY or soft > limit:
            resource.setrlimit(number, (limit, hard))
    except Exception:
        pass


for pair in (("CORE", 0), ("FSIZE", 0), ("AS", 4 << 30)):
    bound(*pair)


# Encodings that every Python has besides those that have other names.
UNNAMED = """
    cp1006 cp720 cp737 cp856 cp874 cp875 koi8_t koi8_u mac_arabic mac_croatian mac_farsi mac_romanian
    idna palmos punycode raw_unicode_escape unicode_escape utf_8_sig
"""


def missing_codec(error):
    # The encoding that this interpreter's library does not have, and others do.
    what, _, encoding = str(error.msg).partition(": ")
    if what not in ("unknown encoding", "encoding problem") or not encoding:
        return None
    from encodings import aliases, normalize_encoding

    name = normalize_encoding(encoding).lower()
    known = {*aliases.aliases.values(), *UNNAMED.split()} - {"mbcs"}
    return encoding if aliases.aliases.get(name, name) in known else None


def described(error):
    # A MemoryError says nothing more.
    return ": ".join(filter(None, (type(error).__name__, str(error))))


def main(read, write, flush):
    def answer(status, payload):
        write(bytes([status]) + len(payload).to_bytes(4, "little"))
        write(payload)
        flush()

    words = [
        sys.implementation.name,
        # `sys.version_info` calls a build between two releases what the last one is called.
        sys.version.split()[0],
        MAGIC_NUMBER.hex(),
        str(sys.implementation.cache_tag),
        getattr(sys, "abiflags", ""),
    ]
    answer(0, "\n".join(words).encode())
    while True:
        head = read(9)
        if len(head) < 9:
            return
        name = read(int.from_bytes(head[1:5], "little")).decode()
        source = read(int.from_bytes(head[5:9], "little"))
        code = None
        # So long for each source, whatever was compiled before; then a signal ends this.
        bound("CPU", int(time.process_time()) + 1 + SECONDS)  # noqa: F821
        try:
            code = compile(source, name, "exec", dont_inherit=True, optimize=head[0])
        except SyntaxError as error:
            status, payload = 1, "%s: %s (line %s)" % (
                type(error).__name__,
                error.msg,
                error.lineno,
            )
            encoding = missing_codec(error)
            if encoding:
                status, payload = 3, encoding
        except ValueError as error:
            status, payload = 1, "%s: %s" % (type(error).__name__, error)
        except BaseException as error:
            status, payload = 2, described(error)
        else:
            try:
                status, payload = 0, marshal.dumps(code)
            except BaseException as error:
                status, payload = 2, described(error)
        del code, source
        if status:
            payload = payload.encode("utf-8", "backslashreplace")[:1000]
        answer(status, payload)


gc.disable()
if DIRTY:  # noqa: F821
    import asyncio, collections, dataclasses, email, enum, json, logging, re  # noqa: E401
    import typing, unittest, urllib.request, xml.dom  # noqa: E401
stdin, stdout = open(0, "rb", closefd=False), open(1, "wb", closefd=False)
finished = _thread.allocate_lock()


def run():
    try:
        main(stdin.read, stdout.write, stdout.flush)
    finally:
        finished.release()


# A stack of one size on every machine: how deep code may nest depends on it in some versions.
_thread.stack_size(8 << 20)
finished.acquire()
_thread.start_new_thread(run, ())
finished.acquire()
