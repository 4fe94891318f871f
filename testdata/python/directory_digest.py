"""The REAPI digest of a directory, written down from the specification a second time, without a protobuf library.

Prints HASH/SIZE of the directory named on the command line.
"""

import hashlib
import os
import stat
import sys


def varint(number):
    encoded = bytearray()
    while number > 127:
        encoded.append(128 | number & 127)
        number //= 128
    encoded.append(number)
    return bytes(encoded)


def field(number, value):
    return varint(number * 8 + 2) + varint(len(value)) + value


def digest(blob):
    return hashlib.sha256(blob).hexdigest(), len(blob)


def digest_message(hash_and_size):
    hash, size = hash_and_size
    return field(1, hash.encode()) + (varint(16) + varint(size) if size else b"")


def directory(path):
    nodes = {1: [], 2: [], 3: []}
    for name in sorted(os.listdir(path)):
        entry = os.path.join(path, name)
        status = os.lstat(entry)
        if stat.S_ISLNK(status.st_mode):
            nodes[3].append(field(1, name) + field(2, os.readlink(entry)))
        elif stat.S_ISDIR(status.st_mode):
            nodes[2].append(field(1, name) + field(2, digest_message(directory(entry))))
        else:
            with open(entry, "rb") as file:
                node = field(1, name) + field(2, digest_message(digest(file.read())))
            nodes[1].append(node + (b"\x20\x01" if status.st_mode & 0o100 else b""))
    return digest(b"".join(field(kind, node) for kind in (1, 2, 3) for node in nodes[kind]))


print("%s/%d" % directory(os.fsencode(sys.argv[1])))
