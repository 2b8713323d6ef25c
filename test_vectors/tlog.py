#!/usr/bin/env python3
"""Writes tlog.json: the log in the formats of C2SP, by recursion over the definitions of RFC 6962 and the specifications' words.

    python3 test_vectors/tlog.py            writes test_vectors/tlog.json
    python3 test_vectors/tlog.py --check    exits with 1 when it is not what would be written

Needs cryptography from PyPI, for Ed25519; shares no code with the crates.
"""

import base64
import hashlib
import json
import pathlib
import struct
import sys

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

FEDERATION = hashlib.sha256(b"a founding document").hexdigest()
ORIGIN = f"dawn/log/{FEDERATION}"
TIME = 1679315147


def key(name):
    seed = hashlib.sha256(name.encode()).digest()
    private = Ed25519PrivateKey.from_private_bytes(seed)
    public = private.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return seed, private, public


def entry(index):
    """Entries of many lengths, one empty."""
    return hashlib.sha256(b"entry %d" % index).digest() * (index % 5)


def leaf(data):
    return hashlib.sha256(b"\x00" + data).digest()


def mth(leaves):
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return hashlib.sha256(b"\x01" + mth(leaves[:k]) + mth(leaves[k:])).digest()


def path(index, leaves):
    if len(leaves) == 1:
        return []
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    if index < k:
        return path(index, leaves[:k]) + [mth(leaves[k:])]
    return path(index - k, leaves[k:]) + [mth(leaves[:k])]


def subproof(old, leaves, whole):
    if old == len(leaves):
        return [] if whole else [mth(leaves)]
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    if old <= k:
        return subproof(old, leaves[:k], whole) + [mth(leaves[k:])]
    return subproof(old - k, leaves[k:], False) + [mth(leaves[:k])]


def b64(data):
    return base64.b64encode(data).decode()


def key_id(name, kind, public):
    return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + public).digest()[:4]


def checkpoint_text(size, root):
    return f"{ORIGIN}\n{size}\n{b64(root)}\n"


def note(text, lines):
    return text + "\n" + "".join(lines)


def log_line(text, private, public):
    return f"\u2014 {ORIGIN} {b64(key_id(ORIGIN, 1, public) + private.sign(text.encode()))}\n"


def cosignature_line(text, steward, private, public, time):
    name = f"dawn/steward/{steward}"
    signed = f"cosignature/v1\ntime {time}\n{text}".encode()
    body = key_id(name, 4, public) + struct.pack(">Q", time) + private.sign(signed)
    return f"\u2014 {name} {b64(body)}\n"


def tile_path(level, index, width):
    text = f"{index % 1000:03}"
    index //= 1000
    while index:
        text = f"x{index % 1000:03}/{text}"
        index //= 1000
    return f"tile/{level}/{text}" + ("" if width == 256 else f".p/{width}")


def tiles(leaves):
    """Every tile of a tree, as its definition says: path to the SHA-256 of its bytes."""
    found, level, size = {}, 0, len(leaves)
    while True:
        span = 256 ** level
        count = size // span
        if count == 0:
            return found
        hashes = [mth(leaves[i * span:(i + 1) * span]) for i in range(count)]
        for index in range(0, count, 256):
            part = hashes[index:index + 256]
            found[tile_path(level, index // 256, len(part))] = hashlib.sha256(b"".join(part)).hexdigest()
        level += 1


def bundles(entries):
    found = {}
    for first in range(0, len(entries), 256):
        part = entries[first:first + 256]
        data = b"".join(struct.pack(">H", len(e)) + e for e in part)
        name = tile_path(0, first // 256, len(part)).replace("tile/0/", "tile/entries/")
        found[name] = hashlib.sha256(data).hexdigest()
    return found


def build():
    seed, private, public = key("log")
    stewards = []
    for number in range(3):
        steward_seed, steward_private, steward_public = key(f"steward {number}")
        name = hashlib.sha256(f"name of {number}".encode()).hexdigest()
        stewards.append((name, steward_seed, steward_private, steward_public))
    trees = []
    for size in (1, 2, 3, 7, 255, 256, 257, 600, 65_793):
        entries = [entry(index) for index in range(size)]
        leaves = [leaf(data) for data in entries]
        root = mth(leaves)
        text = checkpoint_text(size, root)
        lines = [log_line(text, private, public)]
        lines += [cosignature_line(text, n, p, k, TIME + i) for i, (n, _, p, k) in enumerate(stewards)]
        index = size * 2 // 3
        proof_lines = "".join(b64(h) + "\n" for h in path(index, leaves))
        old = max(1, size // 3)
        consistency = subproof(old, leaves, True)
        add = "".join(b64(h) + "\n" for h in consistency)
        whole = note(text, lines)
        trees.append({
            "size": size,
            "root": root.hex(),
            "checkpoint": whole,
            "index": index,
            "proof": f"c2sp.org/tlog-proof@v1\nindex {index}\n{proof_lines}\n{whole}",
            "old": old,
            "old_root": mth(leaves[:old]).hex(),
            "add_checkpoint": f"old {old}\n{add}\n{whole}",
            "tiles": tiles(leaves),
            "bundles": bundles(entries),
        })
    paths = [{"level": level, "index": index, "width": width, "path": tile_path(level, index, width)}
             for level, index, width in [(0, 0, 256), (0, 0, 1), (3, 1234067, 256), (7, 999, 255), (1, 1000, 7)]]
    return {
        "protocol": "dawn v1",
        "generated_by": "test_vectors/tlog.py",
        "about": "The log in the formats of C2SP: entry i is SHA-256('entry i') repeated i mod 5 times.",
        "federation": FEDERATION,
        "seed": seed.hex(),
        "verifier_key": f"{ORIGIN}+{key_id(ORIGIN, 1, public).hex()}+{b64(bytes([1]) + public)}",
        "time": TIME,
        "stewards": [{"id": n, "seed": s.hex(), "public": k.hex()} for n, s, _, k in stewards],
        "paths": paths,
        "trees": trees,
    }


def main():
    text = json.dumps(build(), indent=1) + "\n"
    file = pathlib.Path(__file__).resolve().parent / "tlog.json"
    if sys.argv[1:] == ["--check"]:
        if not file.exists() or file.read_text() != text:
            sys.exit("tlog.json is not what tlog.py writes")
        return
    file.write_text(text)


main()
