"""session.json: identifiers of tasks and sessions, the seed of the matrix, and what a header binds."""

from fractions import Fraction
from math import ceil

from reference.cbor import encode
from reference.hashes import labelled
from reference.norm import norm_bound
from reference.statements import (
    DEVICE_KEY,
    body_digest,
    credential_chain,
    envelope,
    issuer_certificate,
    matrix_seed,
    sealing_key,
    sealing_public_key,
)

from .forms import case, refused, seed

FEDERATION, ROSTER, MODEL = seed(0x51), seed(0x52), seed(0x53)
# Places in the array of a task and of a specification.
NAME, OWNER, TRAIN, QUANTISER, ERROR, ROUNDS, POLICY, DEADLINES, PRIVACY, SOURCE = 1, 2, 8, 9, 10, 11, 12, 13, 14, 15
CREATED, PROJECTIONS, OPTIONS = 16, 17, 18
ROUND, PREVIOUS, MATRIX_SEED, KEYS = 1, 4, 7, 8


def changed(fields, at, value):
    return fields[:at] + [value] + fields[at + 1 :]


def task_fields():
    owner, issuer = issuer_certificate()
    return [
        1,
        "digits \u2116 4",
        owner,
        issuer,
        FEDERATION,
        ROSTER,
        [0, 64, 10],
        seed(9),
        [5, 8, 2 << 16, 58982],
        [14, 12288],
        6586368,
        10,
        [10, 5, 2, 400, 1000, 80],
        [10_000, 10_000, 600_000, 30_000, 60_000, 60_000, 2_000],
        [None, 5],
        "digits",
        1_800_000_000,
        256,
    ]


def written_task(fields):
    """What follows from a task; its dimension is that of a logistic model."""
    body = encode(fields)
    kind, inputs, classes = fields[6]
    assert kind == 0
    sigma, clip, min_honest = Fraction(fields[ERROR], 2**16), fields[QUANTISER][1], fields[POLICY][1]
    if len(fields) > OPTIONS and fields[OPTIONS][1:2] not in ([], [None]):
        # Of a group, as [most, size, least, honest, dishonest, rule].
        min_honest = fields[OPTIONS][1][3]
    return {
        "body": body.hex(),
        "id": labelled("task identifier", body).hex(),
        "owner": fields[OWNER].hex(),
        "dimension": (inputs + 1) * classes,
        "charge_micro_rho": ceil(10**6 * clip**2 / (2 * min_honest * sigma**2)),
        "norm_bound": norm_bound((inputs + 1) * classes, clip, fields[ERROR], fields[PROJECTIONS]),
    }


def spec_fields(task, number, keys, previous):
    """`keys`: by point (body, envelope) or None."""
    bodies = [key and key[0] for key in keys]
    return [
        1,
        [task, number],
        FEDERATION,
        ROSTER,
        previous,
        MODEL,
        650,
        matrix_seed(task, number, bodies),
        [key and key[1] for key in keys],
        1497,
        1_800_000_000_123,
        [7, seed(0x56)],
    ]


def written_spec(fields):
    body = encode(fields)
    seated = [point for point, key in enumerate(fields[KEYS], 1) if key]
    return {"body": body.hex(), "session": labelled("session identifier", body).hex(), "seated": seated}


def header_fields(task, session, points, packages):
    commitments = [[seed(first + j) for j in range(points)] for first in (0x60, 0x80, 0xA0)]
    corrections, values = bytes(range(16 * points)), bytes(range(0, 64, 2))[:32]
    return [[task, 3], session, credential_chain(), seed(0x54), *commitments, [corrections, values], packages]


def written_header(fields):
    steward, before = seed(0x31), encode(fields[:8])
    return {
        "body": encode(fields).hex(),
        "norm_context": encode(fields[:5]).hex(),
        "consistency_context": encode(fields[:7]).hex(),
        "pre_header": before.hex(),
        "steward": steward.hex(),
        "roster": ROSTER.hex(),
        "package_aad": labelled("package associated data", before, steward, ROSTER).hex(),
        "seal_info": labelled("package seal info", fields[1]).hex(),
    }


def build():
    cases, corrupted = [], []
    task = task_fields()
    cases.append(case("no budget", "task", **written_task(task)))
    limited = changed(task, PRIVACY, [5_000_000, 30])
    cases.append(case("a budget and the smallest delta", "task", **written_task(limited)))
    task_id = labelled("task identifier", encode(task))
    bad_tasks(corrupted, task)

    stewards = [seed(0x31 + j) for j in range(6)]
    keys = [sealing_key([task_id, 1], steward, sealing_public_key(f"sealing key {j}")) for j, steward in enumerate(stewards)]
    for point in (1, 6):
        body, signed = keys[point - 1]
        cases.append(case(f"of the steward at {point}", "sealing-key", **written_key(task_id, 1, stewards[point - 1], body, signed)))
    six = spec_fields(task_id, 1, keys[:3] + [None] + keys[4:], None)
    cases.append(case("the first round, the fourth of six is away", "round-spec", **written_spec(six)))
    later = [sealing_key([task_id, 2], s, sealing_public_key(f"later key {j}")) for j, s in enumerate(stewards[:3])]
    three = spec_fields(task_id, 2, later[:2] + [None], seed(0x55))
    cases.append(case("the second round, the last of three is away", "round-spec", **written_spec(three)))
    bad_specs(corrupted, three, later)
    bad_keys(corrupted, task_id, stewards[0], later[0])

    session = labelled("session identifier", encode(three))
    header = header_fields(task_id, session, 3, [seed(0x71), seed(0x72)])
    cases.append(case("three stewards, two seated", "header", **written_header(header)))
    bad_headers(corrupted, header)
    about = "Task, session, matrix seed and header (protocol.md, sections 4.1 to 4.4). Signatures are zeros: nothing is verified."
    return about, cases, corrupted


def written_key(task, number, steward, body, signed):
    return {
        "envelope": signed.hex(),
        "round": [task.hex(), number],
        "steward": steward.hex(),
        "body_digest": body_digest("sealing-key", body).hex(),
        "envelope_digest": labelled("envelope digest", signed).hex(),
    }


def encodings(body, first, absent=1):
    """Other encodings of the array `body`, whose first field is `first` (one byte) and whose last `absent` fields are null and left
    out: each is refused."""
    return [
        ("a longer integer", body[:1] + b"\x18" + first + body[2:], "not-canonical", None),
        ("a byte after the end", body + b"\0", "not-canonical", None),
        ("an array of indefinite length", b"\x9f" + body[1:] + b"\xff", "not-canonical", None),
        ("a longer length of the array", (b"\x98" + bytes([body[0] & 31])) + body[1:], "not-canonical", None),
        ("a field too many", bytes([body[0] + absent + 1]) + body[1:] + absent * b"\xf6" + b"\0", "not-canonical", None),
        ("null written out", bytes([body[0] + 1]) + body[1:] + b"\xf6", "not-canonical", None),
        ("cut off", body[:-1], "malformed", None),
        ("nothing", b"", "malformed", None),
        ("null", b"\xf6", "malformed", None),
    ]


def bad_tasks(corrupted, good):
    known = written_task(good)

    def wrong(name, error, at=None, **changes):
        corrupted.append(refused(name, "task", error, at, **{**known, **changes}))

    for name, body, error, at in encodings(encode(good), b"\1"):
        wrong(name, error, at, body=body.hex())
    wrong("too long", "too-large", 4097, body=(encode(good) + bytes(4097 - len(encode(good)))).hex())
    policy, deadlines = good[POLICY], good[DEADLINES]
    for name, at, value in [
        ("another protocol version", 0, 2),
        ("no name", NAME, ""),
        ("a name of 65 bytes", NAME, "n" * 65),
        ("a line break in the name", NAME, "a\nb"),
        ("another organisation's certificate", OWNER, seed(1)),
        ("no epochs", TRAIN, [0, 8, 65536, 0]),
        ("1001 epochs", TRAIN, [1001, 8, 65536, 0]),
        ("a batch of 1025", TRAIN, [5, 1025, 65536, 0]),
        ("a rate above 16", TRAIN, [5, 8, (16 << 16) + 1, 0]),
        ("no rate", TRAIN, [5, 8, 0, 0]),
        ("a shift of 25", QUANTISER, [25, 12288]),
        ("no clip", QUANTISER, [14, 0]),
        ("a sum that may wrap", QUANTISER, [14, 2**21]),
        ("an error a unit too narrow", ERROR, 417068),
        ("no rounds", ROUNDS, 0),
        ("100,001 rounds", ROUNDS, 100_001),
        ("one honest device", POLICY, changed(policy, 1, 1)),
        ("more honest than accepted", POLICY, changed(policy, 1, 11)),
        ("fewer submissions than the target", POLICY, changed(policy, 4, 79)),
        ("50,001 submissions", POLICY, changed(policy, 4, 50_001)),
        ("no organisations", POLICY, changed(policy, 2, 0)),
        ("a share of 1001 thousandths", POLICY, changed(policy, 3, 1001)),
        ("no share", POLICY, changed(policy, 3, 0)),
        ("a phase of no time", DEADLINES, changed(deadlines, 2, 0)),
        ("a phase of more than 30 days", DEADLINES, changed(deadlines, 0, 30 * 24 * 3600 * 1000 + 1)),
        ("delta of 1", PRIVACY, [None, 0]),
        ("delta of 10^-31", PRIVACY, [None, 31]),
        ("no data source", SOURCE, ""),
        ("100 projections", PROJECTIONS, 100),
        ("a clip whose projections do not fit", QUANTISER, [14, 2**28]),
    ]:
        wrong(name, "rule", body=encode(changed(good, at, value)).hex())
    for name, at, value in [
        ("a deviation below 1", ERROR, 65535),
        ("a digest of 31 bytes", 4, bytes(31)),
        ("a seed of 33 bytes", 7, bytes(33)),
        ("the name as bytes", NAME, b"name"),
        ("a negative number of rounds", ROUNDS, -1),
    ]:
        wrong(name, "malformed", body=encode(changed(good, at, value)).hex())
    wrong("one second later", "differs", body=encode(changed(good, CREATED, 1_800_000_001)).hex())
    wrong("the identifier of a statement", "differs", id=body_digest("task", encode(good)).hex())


def bad_specs(corrupted, good, keys):
    known = written_spec(good)

    def wrong(name, error, at=None, **changes):
        corrupted.append(refused(name, "round-spec", error, at, **{**known, **changes}))

    for name, body, error, at in encodings(encode(good), b"\1", 2):
        wrong(name, error, at, body=body.hex())
    task = good[ROUND][0]
    bodies = [keys[0][0], keys[1][0], None]
    for name, at, value, error in [
        ("round zero", ROUND, [task, 0], "rule"),
        ("no previous round", PREVIOUS, None, "rule"),
        ("no places", KEYS, [], "rule"),
        ("17 places", KEYS, [None] * 17, "rule"),
        ("a seed of 31 bytes", MATRIX_SEED, bytes(31), "malformed"),
        ("the round as a number", ROUND, 2, "malformed"),
        ("a seed of the aggregator's choice", MATRIX_SEED, seed(1), "matrix-seed"),
        ("another key", KEYS, [keys[0][1], keys[2][1], None], "matrix-seed"),
        ("the keys exchanged", KEYS, [keys[1][1], keys[0][1], None], "matrix-seed"),
        ("a key left out", KEYS, [keys[0][1], None, None], "matrix-seed"),
        ("the same keys at other points", KEYS, [keys[0][1], None, keys[1][1]], "matrix-seed"),
        ("a place less", KEYS, [keys[0][1], keys[1][1]], "matrix-seed"),
        ("the seed of another round", MATRIX_SEED, matrix_seed(task, 1, bodies), "matrix-seed"),
        ("the seed of another task", MATRIX_SEED, matrix_seed(seed(1), 2, bodies), "matrix-seed"),
        ("an opening time a millisecond later", 10, good[10] + 1, "differs"),
        ("another charge", 9, good[9] + 1, "differs"),
        ("another model", 5, seed(0x54), "differs"),
    ]:
        wrong(name, error, body=encode(changed(good, at, value)).hex())
    first = changed(changed(good, ROUND, [task, 1]), PREVIOUS, seed(0x55))
    wrong("a round before the first", "rule", body=encode(first).hex())
    wrong("the session of a statement", "differs", session=body_digest("round-spec", encode(good)).hex())
    wrong("a steward who is away", "differs", seated=[1, 2, 3])


def bad_keys(corrupted, task, steward, good):
    body, signed = good
    known = written_key(task, 2, steward, body, signed)

    def wrong(name, error, at=None, **changes):
        corrupted.append(refused(name, "sealing-key", error, at, **{**known, **changes}))

    def sealed(key, round_id=None):
        return envelope("sealing-key", encode([round_id or [task, 2], steward, key]), DEVICE_KEY).hex()

    key = sealing_public_key("later key 0")
    wrong("a key of 1215 bytes", "malformed", envelope=sealed(key[:-1]))
    wrong("a key of 1217 bytes", "malformed", envelope=sealed(key + b"\0"))
    wrong("a coefficient of 3329", "malformed", envelope=sealed(b"\x01\x0d" + key[2:]))
    wrong("round zero", "rule", envelope=sealed(key, [task, 0]))
    wrong("another kind", "wrong-kind", envelope=envelope("endorsement", body, DEVICE_KEY).hex())
    wrong("no tag", "malformed-envelope", envelope=signed[1:].hex())
    wrong("another tag", "malformed-envelope", envelope=(b"\xd1" + signed[1:]).hex())
    wrong("a byte after the end", "not-canonical-envelope", envelope=(signed + b"\0").hex())
    wrong("cut off", "malformed-envelope", envelope=signed[:-1].hex())
    wrong("an unprotected header", "malformed-envelope", envelope=signed.replace(b"\xa0\x59", b"\xa1\x01\x26\x59", 1).hex())
    wrong("too long", "too-large", 2048 + 257, envelope=bytes(2048 + 257).hex())
    wrong("the digest without the kind", "differs", body_digest=labelled("statement digest", body).hex())
    wrong("the envelope's digest without the signature", "differs", envelope_digest=labelled("envelope digest", signed[:-64]).hex())


def bad_headers(corrupted, good):
    known = written_header(good)

    def wrong(name, error, at=None, **changes):
        corrupted.append(refused(name, "header", error, at, **{**known, **changes}))

    for name, at, value, error in [
        ("round zero", 0, [good[0][0], 0], "rule"),
        ("no commitments", 4, [], "rule"),
        ("17 commitments", 4, [seed(1)] * 17, "rule"),
        ("a commitment to digits less", 5, good[5][:2], "rule"),
        ("a commitment to proofs more", 6, good[6] + [seed(1)], "rule"),
        ("no packages", 8, [], "rule"),
        ("more packages than stewards", 8, [seed(1)] * 4, "rule"),
        ("a commitment of 31 bytes", 4, [bytes(31)], "malformed"),
        ("a proof in one part", 7, [good[7][0]], "malformed"),
        ("q in the proof", 7, [b"\xff" * 16, good[7][1]], "malformed"),
        ("a payload's digest as text", 3, seed(3).hex(), "malformed"),
        ("the chain without its credential", 2, good[2][:1], "malformed"),
        ("another session", 1, seed(2), "differs"),
        ("two commitments exchanged", 4, [good[4][1], good[4][0], good[4][2]], "differs"),
        ("digits and proofs exchanged", 5, good[6], "differs"),
    ]:
        wrong(name, error, body=encode(changed(good, at, value)).hex())
    wrong("a byte after the end", "not-canonical", body=(encode(good) + b"\0").hex())
    wrong("the packages in the associated data", "differs", pre_header=encode(good).hex())
    wrong("the proof in its own challenge", "differs", consistency_context=encode(good[:8]).hex())
    wrong("the proof without the digits", "differs", consistency_context=encode(good[:5]).hex())
    wrong("the projection after the digits", "differs", norm_context=encode(good[:6]).hex())
    wrong("the package of another steward", "differs", steward=seed(0x32).hex())
    wrong("the package under another roster", "differs", roster=seed(0x50).hex())
