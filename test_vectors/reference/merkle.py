"""Merkle trees of RFC 6962, section 2.1, by their recursive definitions."""

import hashlib


def leaf_hash(data):
    return hashlib.sha256(b"\0" + data).digest()


def _node(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


def _split(count):
    """The largest power of two smaller than count."""
    k = 1
    while 2 * k < count:
        k *= 2
    return k


def root(leaves):
    """MTH of a list of leaf hashes."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = _split(len(leaves))
    return _node(root(leaves[:k]), root(leaves[k:]))


def path(index, leaves):
    """PATH: the audit path of a leaf, deepest node first."""
    if len(leaves) == 1:
        return []
    k = _split(len(leaves))
    if index < k:
        return path(index, leaves[:k]) + [root(leaves[k:])]
    return path(index - k, leaves[k:]) + [root(leaves[:k])]


def proof(first, leaves):
    """PROOF: that the tree of the first `first` leaves is a prefix of the whole."""
    return _subproof(first, leaves, True)


def _subproof(first, leaves, whole):
    if first == len(leaves):
        return [] if whole else [root(leaves)]
    k = _split(len(leaves))
    if first <= k:
        return _subproof(first, leaves[:k], whole) + [root(leaves[k:])]
    return _subproof(first - k, leaves[k:], False) + [root(leaves[:k])]


def check():
    """The roots of the leaves that the tests of Certificate Transparency use."""
    leaves = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
    hashes = [leaf_hash(bytes.fromhex(leaf)) for leaf in leaves]
    assert root([]).hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert root(hashes[:1]).hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert root(hashes).hex() == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
