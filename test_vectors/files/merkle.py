"""merkle.json: trees of RFC 6962 over SHA-256: roots, audit paths, consistency proofs."""

import hashlib

from reference.merkle import leaf_hash, path, proof, root

from .forms import case, refused

CERTIFICATE_TRANSPARENCY = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]


def numbered(count):
    """Leaves 0, 1, ... as LE32, hashed."""
    return [leaf_hash(i.to_bytes(4, "little")) for i in range(count)]


def hexed(digests):
    return [d.hex() for d in digests]


def inclusion(count, index):
    leaves = numbered(count)
    return {
        "leaf": leaves[index].hex(),
        "index": index,
        "size": count,
        "path": hexed(path(index, leaves)),
        "root": root(leaves).hex(),
    }


def consistency(old, new):
    leaves = numbered(new)
    return {
        "old_size": old,
        "old_root": root(leaves[:old]).hex(),
        "new_size": new,
        "new_root": root(leaves).hex(),
        "proof": hexed(proof(old, leaves)),
    }


def build():
    leaves = CERTIFICATE_TRANSPARENCY
    cases = [
        case(f"{n} leaves", "root", leaves=leaves[:n], root=root([leaf_hash(bytes.fromhex(x)) for x in leaves[:n]]).hex())
        for n in range(9)
    ]
    cases += [case(f"{n} numbers", "numbers", count=n, root=root(numbered(n)).hex()) for n in (1, 2, 15, 16, 17, 100, 1000)]
    for count, indices in [(1, [0]), (2, [0, 1]), (3, [0, 1, 2]), (7, range(7)), (8, [0, 3, 7]), (100, [0, 63, 64, 99]), (1000, [999])]:
        cases += [case(f"leaf {i} of {count}", "inclusion", **inclusion(count, i)) for i in indices]
    for old, new in [(1, 1), (1, 2), (2, 3), (3, 7), (4, 7), (6, 7), (7, 8), (8, 8), (63, 100), (64, 100), (99, 100)]:
        cases.append(case(f"{old} of {new}", "consistency", **consistency(old, new)))

    def wrong(name, kind, error, good, **changes):
        corrupted.append(refused(name, kind, error, **{**good, **changes}))

    corrupted = []
    other, zero = hashlib.sha256(b"other").hexdigest(), "00" * 32
    good = inclusion(7, 2)
    wrong("another root", "inclusion", "root-mismatch", good, root=other)
    wrong("one bit of the root", "inclusion", "root-mismatch", good, root=f"{int(good['root'], 16) ^ 1:064x}")
    wrong("another leaf", "inclusion", "root-mismatch", good, leaf=other)
    wrong("the neighbour's index", "inclusion", "root-mismatch", good, index=3)
    wrong("an index beyond the tree", "inclusion", "out-of-range", good, index=7)
    wrong("the largest index", "inclusion", "out-of-range", good, index=2**64 - 1)
    wrong("an empty tree", "inclusion", "out-of-range", good, index=0, size=0)
    wrong("a smaller tree with another path length", "inclusion", "proof-length", good, size=3)
    wrong("a larger tree with another path length", "inclusion", "proof-length", good, size=9)
    wrong("a path without its last node", "inclusion", "proof-length", good, path=good["path"][:-1])
    wrong("a path with a node too many", "inclusion", "proof-length", good, path=good["path"] + [zero])
    wrong("no path", "inclusion", "proof-length", good, path=[])
    wrong("two nodes exchanged", "inclusion", "root-mismatch", good, path=good["path"][1::-1] + good["path"][2:])
    for i in range(3):
        changed = list(good["path"])
        changed[i] = f"{int(changed[i], 16) ^ 1 << 77:064x}"
        wrong(f"one bit of node {i}", "inclusion", "root-mismatch", good, path=changed)
    pair = inclusion(2, 0)
    swapped = hashlib.sha256(b"\1" + bytes.fromhex(pair["path"][0]) + bytes.fromhex(pair["leaf"])).hexdigest()
    no_prefix = hashlib.sha256(bytes.fromhex(pair["leaf"] + pair["path"][0])).hexdigest()
    wrong("left and right exchanged", "inclusion", "root-mismatch", pair, root=swapped)
    wrong("nodes without their prefix", "inclusion", "root-mismatch", pair, root=no_prefix)
    # The root's two children as the only leaves: another tree must not have this root under the size 2.
    wrong("a single leaf that is not the root", "inclusion", "root-mismatch", inclusion(1, 0), root=other)

    good = consistency(3, 7)
    wrong("another old root", "consistency", "root-mismatch", good, old_root=other)
    wrong("another new root", "consistency", "root-mismatch", good, new_root=other)
    wrong("no old tree", "consistency", "out-of-range", good, old_size=0)
    wrong("an old tree that is larger", "consistency", "out-of-range", good, old_size=8)
    wrong("a proof without its last node", "consistency", "proof-length", good, proof=good["proof"][:-1])
    wrong("a proof with a node too many", "consistency", "proof-length", good, proof=good["proof"] + [zero])
    wrong("no proof", "consistency", "proof-length", good, proof=[])
    for i in range(len(good["proof"])):
        changed = list(good["proof"])
        changed[i] = other
        wrong(f"another node {i}", "consistency", "root-mismatch", good, proof=changed)
    same = consistency(8, 8)
    wrong("one size, two roots", "consistency", "root-mismatch", same, old_root=other)
    wrong("one size, and a proof", "consistency", "proof-length", same, proof=[zero])

    three = numbered(3)
    plain = [hashlib.sha256(bytes.fromhex(x)).digest() for x in leaves[:3]]
    for name, value in [
        ("the last leaf repeated to make it even", root(three + three[-1:])),
        ("leaves in reverse", root(three[::-1])),
        ("a balanced split to the left", hashlib.sha256(b"\1" + three[0] + root(three[1:])).digest()),
    ]:
        corrupted.append(refused(name, "numbers", "differs", count=3, root=value.hex()))
    corrupted.append(refused("leaves without their prefix", "root", "differs", leaves=leaves[:3], root=root(plain).hex()))
    corrupted.append(refused("no leaves as zeros", "root", "differs", leaves=[], root=zero))
    about = "Merkle trees of RFC 6962 over SHA-256 (crypto-table.md, section 1): roots of closed lists and of the log."
    return about, cases, corrupted
