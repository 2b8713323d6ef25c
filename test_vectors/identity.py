"""Writes identity.json: the documents of docs/identity-formats.md, made without any code of this project.

Needs cbor2, cryptography and blake3 from PyPI; with pycose installed (which wants cbor2 before 6) it verifies
the envelopes as well.
Run: python3 test_vectors/identity.py > test_vectors/identity.json
"""

import json
import struct
import sys

import cbor2
from blake3 import blake3
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

NOW = 1_800_000_000
YEAR = 31_536_000


def digest(label, *fields):
    hasher = blake3(derive_key_context="dawn v1 " + label)
    for field in fields:
        hasher.update(struct.pack("<Q", len(field)))
        hasher.update(field)
    return hasher.digest()


class Key:
    def __init__(self, seed):
        self.seed = bytes([seed]) * 32
        self.private = Ed25519PrivateKey.from_private_bytes(self.seed)
        self.public = self.private.public_key().public_bytes(
            serialization.Encoding.Raw, serialization.PublicFormat.Raw
        )
        self.id = digest("key identifier", self.public)

    def sign(self, label, *fields):
        return self.private.sign(digest(label, *fields))


AAD = b"dawn v1 envelope associated data"


def envelope(kind, payload, key, *, aad=AAD, algorithm=-8, unprotected=None, tag=18, content=None, signer=None):
    content = content or "application/dawn+cbor; kind=" + kind
    header = cbor2.dumps({1: algorithm, 3: content, 4: (signer or key).id})
    signature = key.private.sign(cbor2.dumps(["Signature1", header, aad, payload]))
    message = [header, unprotected or {}, payload, signature]
    return cbor2.dumps(cbor2.CBORTag(tag, message) if tag else message)


def org_id(key):
    return digest("organisation identifier", key.public)


def claims(org, device, label, issued, expires):
    subject = digest("device identifier", org, device.public)
    return {
        1: org.hex(),
        2: subject.hex(),
        4: expires,
        6: issued,
        8: {1: {1: 1, -1: 6, -2: device.public}},
        "label": label,
    }


roots = [Key(seed) for seed in (1, 2, 3)]
issuer, device, aggregator, log = Key(11), Key(12), Key(13), Key(14)
stewards = [Key(seed) for seed in (21, 22, 23)]
# RFC 9381, section 5.5: a VRF key's public half follows from its seed as an Ed25519 key's does.
vrfs = [Key(seed).public for seed in (31, 32, 33)]
names = ["Alpha", "Beta", "Gamma"]
alpha = org_id(roots[0])

certificate_body = cbor2.dumps([alpha, issuer.public, NOW - 10, NOW + YEAR, 1])
certificate = envelope("issuer-certificate", certificate_body, roots[0])
good_claims = claims(alpha, device, "Gerät 17", NOW, NOW + 86400)
credential_body = cbor2.dumps(good_claims)
credential = envelope("device-credential", credential_body, issuer)
chain = cbor2.dumps([certificate, credential])

federation = cbor2.dumps(
    ["Vectors", [[n, k.public] for n, k in zip(names, roots)], aggregator.public, log.public, [0, []], 2, NOW]
)
pinned = digest("federation digest", federation)
founding = cbor2.dumps([cbor2.loads(federation), [k.sign("federation signature", federation) for k in roots]])

registration_body = cbor2.dumps(["Alpha", roots[0].public, certificate, pinned, NOW])
registration = envelope("org-registration", registration_body, roots[0])
proof = stewards[0].sign("steward proof of possession", pinned, alpha, stewards[0].public, vrfs[0])
enrolment_body = cbor2.dumps([alpha, stewards[0].public, vrfs[0], pinned, NOW, proof])
enrolment = envelope("steward-enrolment", enrolment_body, roots[0])


def signed_roster(threshold, signers, order=True, vrfs=vrfs, epoch=1, federation=None, keys=()):
    entries = [[org_id(root), steward.public, vrf] for root, steward, vrf in zip(roots, stewards, vrfs)]
    body = cbor2.dumps([federation or pinned, epoch, threshold, entries, NOW])
    # An organisation keeps the identifier of its first root key, whichever it signs with.
    signatures = [[org_id(root), dict(keys).get(root, root).sign("roster signature", body)] for root in signers]
    if order:
        signatures.sort()
    return body, cbor2.dumps([cbor2.loads(body), signatures])


roster_body, roster = signed_roster([3, 0, 2, 2], roots)


def posting(roster, org=roots[0], key=None, federation=None):
    body = cbor2.dumps([org_id(org), federation or pinned, cbor2.loads(roster), NOW])
    return envelope("roster-posting", body, key or org)


roster_posting = posting(roster)


def event(number, previous, change, key=roots[0]):
    body = cbor2.dumps([alpha, pinned, number, previous, NOW, change])
    return envelope("org-event", body, key)


def server_key(number, previous, role, key, signers, *, poster=None, poster_key=None, keys=(), prover=None, proof_role=None, federation=None, reverse=False):
    """Body of a change of the server's keys, and the entry of the register that brings it (section 6.3)."""
    proof_role = role if proof_role is None else proof_role
    proof = (prover or key).sign("server key proof of possession", federation or pinned, bytes([proof_role]), key.public)
    body = cbor2.dumps([federation or pinned, number, previous, [role, [key.public, proof]], NOW])
    signatures = [[org_id(root), dict(keys).get(root, root).sign("server key change signature", body)] for root in signers]
    signatures.sort(reverse=reverse)
    poster = poster or signers[0]
    event = cbor2.dumps([org_id(poster), [cbor2.loads(body), signatures]])
    return body, envelope("federation-event", event, poster_key or dict(keys).get(poster, poster))


def register_head(entries):
    head = pinned
    for number, entry in enumerate(entries, 1):
        head = digest("register head", head, struct.pack("<Q", number), digest("envelope digest", entry))
    return head


# What was said in the register before; the last entry of each is refused, all others are taken.
newer = Key(41)
rotation = event(
    1,
    digest("statement digest", b"org-registration", registration_body),
    [0, [newer.public, newer.sign("root key proof of possession", pinned, alpha, newer.public)]],
)
steward_id = digest("steward identifier", alpha, stewards[0].public)
revocation = event(1, digest("statement digest", b"org-registration", registration_body), [4, [steward_id]])
second = signed_roster([3, 0, 2, 2], roots, epoch=2)[1]
second_under_new = signed_roster([3, 0, 2, 2], roots, epoch=2, keys=[(roots[0], newer)])[1]
elsewhere = bytes([7]) * 32
new_aggregator, new_log = Key(42), Key(43)
first_change, server_event = server_key(1, pinned, 0, new_aggregator, roots[1:])
change_digest = digest("server key change digest", first_change)
second_change = server_key(2, change_digest, 1, new_log, [roots[0], roots[2]], keys=[(roots[0], newer)])[1]
taken_register = [
    registration,
    roster_posting,
    rotation,
    posting(second_under_new, key=newer),
    server_event,
    second_change,
]
refused_registers = {
    "a skipped epoch": [posting(second)],
    "an epoch twice": [roster_posting, roster_posting],
    "an old roster again": [roster_posting, posting(second), roster_posting],
    "a fork of an epoch": [roster_posting, posting(signed_roster([3, 0, 2, 2], roots, vrfs=vrfs[::-1])[1])],
    "posted with a key that was replaced": [registration, roster_posting, rotation, posting(second_under_new)],
    "signed with a key that was replaced": [registration, roster_posting, rotation, posting(second, roots[1])],
    "posted in the name of another": [posting(roster, key=roots[1])],
    "posted by a member that has not signed": [posting(signed_roster([3, 0, 2, 2], roots[1:])[1])],
    "a stranger signed": [posting(signed_roster([3, 0, 2, 2], roots + [log])[1])],
    "a steward that is revoked": [registration, revocation, roster_posting],
    "a roster of another federation": [posting(signed_roster([3, 0, 2, 2], roots, federation=elsewhere)[1])],
    "posted to another federation": [posting(roster, federation=elsewhere)],
    "a server key that too few founders let in": [server_key(1, pinned, 0, new_aggregator, roots[:1])[1]],
    "a server key that one founder let in twice": [server_key(1, pinned, 0, new_aggregator, roots[:1] * 2)[1]],
    "a server key that a stranger let in": [server_key(1, pinned, 0, new_aggregator, roots[:2] + [issuer])[1]],
    "a server key without consent": [server_key(1, pinned, 0, new_aggregator, roots, prover=aggregator)[1]],
    "a server key that consents to the other role": [server_key(1, pinned, 0, new_aggregator, roots, proof_role=1)[1]],
    "a server key of another federation": [server_key(1, pinned, 0, new_aggregator, roots, federation=elsewhere)[1]],
    "a server key posted by a founder that has not signed": [
        server_key(1, pinned, 0, new_aggregator, roots[1:], poster=roots[0])[1]
    ],
    "a server key posted with the old one": [
        server_key(1, pinned, 0, new_aggregator, roots, poster_key=aggregator)[1]
    ],
    "signatures for a server key out of order": [server_key(1, pinned, 0, new_aggregator, roots, reverse=True)[1]],
    "a server key let in with a root key that was replaced": [
        registration,
        rotation,
        server_key(1, pinned, 0, new_aggregator, roots[:2], poster=roots[1])[1],
    ],
    "a change of a server key twice": [server_event, server_event],
    "a change of a server key left out": [server_key(2, change_digest, 1, new_log, roots)[1]],
    "a change that names another one before it": [server_event, server_key(2, pinned, 1, new_log, roots)[1]],
    "the log's key as the aggregator's": [server_key(1, pinned, 0, log, roots)[1]],
    "a server key again that was replaced": [server_event, server_key(2, change_digest, 0, aggregator, roots)[1]],
    "a root key as the server's": [server_key(1, pinned, 1, roots[2], roots)[1]],
    "a steward's key as the server's": [roster_posting, server_key(1, pinned, 1, stewards[1], roots)[1]],
    "a founder's issuer key as the server's": [registration, server_key(1, pinned, 0, issuer, roots)[1]],
}


def damaged_claims(**changes):
    changed = dict(good_claims)
    for name, value in changes.items():
        name = {"iss": 1, "sub": 2, "exp": 4, "iat": 6, "cnf": 8}.get(name, name)
        if value is None:
            del changed[name]
        else:
            changed[name] = value
    return envelope("device-credential", cbor2.dumps(changed), issuer)


ORDER = 2**252 + 27742317777372353535851937790883648493
malleable = bytearray(credential)
scalar = (int.from_bytes(malleable[-32:], "little") + ORDER).to_bytes(32, "little")
malleable[-32:] = scalar
low_order = {1: {1: 1, -1: 6, -2: bytes(32)}}
kind = "device-credential"
refused_credentials = {
    "no external data": envelope(kind, credential_body, issuer, aad=b""),
    "another algorithm": envelope(kind, credential_body, issuer, algorithm=-7),
    "an unprotected header": envelope(kind, credential_body, issuer, unprotected={4: b"x"}),
    "no tag": envelope(kind, credential_body, issuer, tag=None),
    "another tag": envelope(kind, credential_body, issuer, tag=98),
    "another content type": envelope(kind, credential_body, issuer, content="application/cwt"),
    "another kind": envelope("issuer-certificate", credential_body, issuer),
    "another signer under the issuer's name": envelope(kind, credential_body, device, signer=issuer),
    "another signer under its own name": envelope(kind, credential_body, device),
    "S + L": bytes(malleable),
    "no expiry": damaged_claims(exp=None),
    "no confirmation key": damaged_claims(cnf=None),
    "a low-order key": damaged_claims(cnf=low_order),
    "the subject of another key": damaged_claims(sub=digest("device identifier", alpha, issuer.public).hex()),
    "another organisation": envelope(
        kind, cbor2.dumps(claims(org_id(roots[1]), device, "x", NOW, NOW + 9)), issuer
    ),
    "already expired": envelope(kind, cbor2.dumps(claims(alpha, device, "x", NOW - 9, NOW)), issuer),
    "not yet valid": envelope(kind, cbor2.dumps(claims(alpha, device, "x", NOW + 9, NOW + 99)), issuer),
    "an empty label": envelope(kind, cbor2.dumps(claims(alpha, device, "", NOW, NOW + 9)), issuer),
    "an additional claim": damaged_claims(aud="everybody"),
}
refused_rosters = {
    "T of another m and f": signed_roster([3, 0, 1, 2], roots)[1],
    "A of another m and f": signed_roster([3, 0, 2, 3], roots)[1],
    "a threshold for two stewards": signed_roster([2, 0, 2, 2], roots)[1],
    "a steward's organisation has not signed": signed_roster([3, 0, 2, 2], roots[:2])[1],
    "a stranger signed": signed_roster([3, 0, 2, 2], roots + [log])[1],
    "signed twice": signed_roster([3, 0, 2, 2], roots + roots[:1])[1],
    "signed by issuers": signed_roster([3, 0, 2, 2], [issuer, *roots[1:]])[1],
    "two stewards with one VRF key": signed_roster([3, 0, 2, 2], roots, vrfs=vrfs[:2] + vrfs[:1])[1],
    "a VRF key that signs": signed_roster([3, 0, 2, 2], roots, vrfs=vrfs[:2] + [stewards[0].public])[1],
    "a VRF key of small order": signed_roster([3, 0, 2, 2], roots, vrfs=vrfs[:2] + [bytes(32)])[1],
    "signatures out of order": signed_roster(
        [3, 0, 2, 2], sorted(roots, key=org_id, reverse=True), order=False
    )[1],
}

try:
    from pycose.keys import OKPKey
    from pycose.keys.curves import Ed25519
    from pycose.messages import Sign1Message

    signed_by = {certificate: roots[0], credential: issuer, registration: roots[0], enrolment: roots[0], roster_posting: roots[0], server_event: roots[1]}
    for bytes_, key in signed_by.items():
        message = Sign1Message.decode(bytes_)
        message.key = OKPKey(crv=Ed25519, x=key.public)
        message.external_aad = AAD
        assert message.verify_signature()
        message.external_aad = b""
        assert not message.verify_signature()
    print("pycose verifies the envelopes", file=sys.stderr)
except ImportError:
    print("pycose is not installed: not compared", file=sys.stderr)

json.dump(
    {
        "generated_by": "test_vectors/identity.py with cbor2, cryptography and blake3",
        "version": "dawn v1",
        "now": NOW,
        "identifiers": {
            "key": roots[0].id.hex(),
            "organisation": alpha.hex(),
            "device": good_claims[2],
            "steward": digest("steward identifier", alpha, stewards[0].public).hex(),
            "task": digest("task identifier", b"body").hex(),
            "federation": pinned.hex(),
            "roster": digest("roster digest", roster_body).hex(),
            "server_key_change": change_digest.hex(),
            "credential_body": digest("statement digest", b"device-credential", credential_body).hex(),
            "credential_envelope": digest("envelope digest", credential).hex(),
            "register": register_head(taken_register).hex(),
        },
        "documents": {
            "issuer_certificate": certificate.hex(),
            "credential_chain": chain.hex(),
            "org_registration": registration.hex(),
            "steward_enrolment": enrolment.hex(),
            "founding_document": founding.hex(),
            "roster": roster.hex(),
            "roster_posting": roster_posting.hex(),
            "federation_event": server_event.hex(),
        },
        "register": [entry.hex() for entry in taken_register],
        "refused": {
            "credentials": {what: bytes_.hex() for what, bytes_ in refused_credentials.items()},
            "rosters": {what: bytes_.hex() for what, bytes_ in refused_rosters.items()},
            "registers": {what: [entry.hex() for entry in entries] for what, entries in refused_registers.items()},
        },
    },
    sys.stdout,
    indent=1,
)
print()
