"""Statements by their fields: docs/protocol.md, section 4, and docs/identity-formats.md, sections 3 and 4."""

from .cbor import encode, tagged
from .hashes import input_bytes, input_elements, labelled

# Public keys of RFC 8032, section 7.1. Nothing here is signed: the signatures in the envelopes are zeros.
ROOT_KEY = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
ISSUER_KEY = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
DEVICE_KEY = bytes.fromhex("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025")


def envelope(kind, body, key):
    """A COSE_Sign1 with a signature of zeros."""
    header = {1: -8, 3: f"application/dawn+cbor; kind={kind}", 4: labelled("key identifier", key)}
    return tagged(18, [encode(header), {}, body, bytes(64)])


def body_digest(kind, body):
    return labelled("statement digest", kind.encode(), body)


def issuer_certificate():
    """(organisation, envelope)."""
    org = labelled("organisation identifier", ROOT_KEY)
    return org, envelope("issuer-certificate", encode([org, ISSUER_KEY, 1_700_000_000, 1_900_000_000, 7]), ROOT_KEY)


def credential_chain():
    """The array that goes into a header."""
    org, issuer = issuer_certificate()
    device = labelled("device identifier", org, DEVICE_KEY)
    cose_key = {1: 1, -1: 6, -2: DEVICE_KEY}
    claims = {1: org.hex(), 2: device.hex(), 4: 1_900_000_000, 6: 1_800_000_000, 8: {1: cose_key}, "label": "sensor 3"}
    return [issuer, envelope("device-credential", encode(claims), ISSUER_KEY)]


def sealing_public_key(name):
    """A well-formed X-Wing key that nobody has the secret of: 768 coefficients below 3329 in 12 bits, a seed, a Montgomery u."""
    packed = 0
    for i, element in enumerate(input_elements(name, 768)):
        packed |= element % 3329 << (12 * i)
    return packed.to_bytes(1152, "little") + input_bytes(name + " seed", 32) + b"\x09" + bytes(31)


def sealing_key(round_id, steward, key):
    """(body, envelope)."""
    body = encode([round_id, steward, key])
    return body, envelope("sealing-key", body, DEVICE_KEY)


def matrix_seed(task, number, bodies):
    """`bodies`: of the sealing keys by point, or None."""
    fields = [body_digest("sealing-key", body) if body else b"" for body in bodies]
    return labelled("matrix seed", task, number.to_bytes(4, "little"), *fields)
