"""expand.json: seeds to elements, and the noise generator's bytes."""

import hashlib
import struct

from reference import aes
from reference.field import N, Q, uniform
from reference.hashes import labelled, matrix_block, share_of_seed

from .forms import case, refused, seed, summary, whole

LARGEST_BLOCK = 2**24 // N  # d = 2^24 has blocks 0 to this one


def matrix_stream(key_seed, block, counter, length=4 * N + 64):
    """Like the documented one, with another layout of key or counter."""
    schedule = aes.key_schedule(labelled("matrix block key", key_seed, block)[:16])
    return b"".join(aes.encrypt(schedule, counter(i)) for i in range(length // 16))


def little(i):
    return struct.pack("<QQ", i, 0)


def build():
    cases, corrupted = [], []
    blocks = [(seed(0), 0), (seed(1), 1), (seed(1), 2), (seed(255), LARGEST_BLOCK), (bytes(range(32)), 3)]
    for i, (key, block) in enumerate(blocks):
        values, skipped = matrix_block(key, block)
        cases.append(
            case(
                f"block {block} of {key.hex()[:4]}.., {skipped} words skipped",
                "matrix-block",
                seed=key.hex(),
                block=block,
                values=whole(values) if i == 0 else summary(values),
            )
        )
    for i, key in enumerate([seed(0), seed(2), seed(255), bytes(range(32))]):
        values, skipped = share_of_seed(key)
        cases.append(
            case(
                f"seed {key.hex()[:4]}.., {skipped} words skipped",
                "key-share",
                seed=key.hex(),
                elements=whole(values) if i == 0 else summary(values),
            )
        )
    words = [Q, 1, 2**32 - 1, Q - 1, Q + 1, 2, Q, Q, 3, 0]
    cases.append(
        case(
            "words of q and more are skipped",
            "rejection",
            bytes=struct.pack("<10I", *words).hex(),
            elements=whole([w for w in words if w < Q]),
        )
    )
    for label, fields, count in [
        ("key share mask", [seed(7)], 4),
        ("key share consistency challenge", [b"context", seed(9)], 4 * N),
    ]:
        stream = labelled(label, *fields, length=4 * count + 256)
        values, _ = uniform(stream, count)
        cases.append(
            case(
                label,
                "labelled-stream",
                label="dawn v1 " + label,
                fields=[f.hex() for f in fields],
                elements=whole(values) if count < 100 else summary(values),
            )
        )
    for key in (seed(0), bytes(range(32))):
        noise = aes.counter_stream(key, 8192)
        of_all = hashlib.sha256(noise).hexdigest()
        of = {"seed": key.hex(), "first": noise[:64].hex(), "sha256_of_8192": of_all}
        cases.append(case(f"seed {key.hex()[:4]}..", "noise", **of))

    # A block in which words are skipped.
    key, block = seed(255), LARGEST_BLOCK
    assert matrix_block(key, block)[1] > 0
    honest = struct.pack("<Q", block)
    standard_counter = matrix_stream(key, honest, lambda i: bytes(8) + struct.pack(">Q", i))
    one_ahead = matrix_stream(key, honest, lambda i: little(i + 1))
    big_endian_block = matrix_stream(key, struct.pack(">Q", block), little)
    short_block = matrix_stream(key, struct.pack("<I", block), little)
    right = matrix_stream(key, honest, little)
    reduced = [w % Q for (w,) in struct.iter_unpack("<I", right[: 4 * N])]
    big_endian_words, _ = uniform(b"".join(right[i : i + 4][::-1] for i in range(0, len(right), 4)), N)
    for name, values in [
        ("the counter of NIST's mode", uniform(standard_counter, N)[0]),
        ("counters from one", uniform(one_ahead, N)[0]),
        ("the block's number big-endian", uniform(big_endian_block, N)[0]),
        ("the block's number in four bytes", uniform(short_block, N)[0]),
        ("words reduced and not skipped", reduced),
        ("words big-endian", big_endian_words),
        ("another bit in the seed", matrix_block(b"\xfe" + key[1:], block)[0]),
        ("the block before", matrix_block(key, block - 1)[0]),
    ]:
        corrupted.append(refused(name, "matrix-block", "differs", seed=key.hex(), block=block, values=summary(values)))
    unframed, _ = uniform(aes.counter_stream(seed(2), 4 * N + 64), N)
    corrupted += [
        refused("a share by AES", "key-share", "differs", seed=seed(2).hex(), elements=summary(unframed)),
        refused("q as an element", "rejection", "differs", bytes=struct.pack("<2I", Q, 5).hex(), elements=whole([5, 5])),
    ]
    about = "Streams of docs/crypto-table.md, section 3: the public matrix, shares of seeds, masks, challenges, noise."
    return about, cases, corrupted
