"""commitments.json: labelled hashes, commitments to shares, digests of payloads."""

from reference.field import N, words
from reference.hashes import derive_key, framed, key_commitment, labelled, raw, share_of_seed

from .forms import case, refused, seed, stream, whole

# Every label of docs/crypto-table.md, section 2, that is hashed over framed fields, with fields of the kinds that it has.
FRAMED = {
    "key identifier": [seed(1)],
    "organisation identifier": [seed(1)],
    "device identifier": [seed(1), seed(2)],
    "steward identifier": [seed(1), seed(2)],
    "task identifier": [b"body"],
    "session identifier": [b"body"],
    "statement digest": [b"task", b"body"],
    "federation digest": [b"body"],
    "federation signature": [b"body"],
    "roster digest": [b"body"],
    "roster signature": [b"body"],
    "steward proof of possession": [seed(1), seed(2), seed(3)],
    "root key proof of possession": [seed(1), seed(2), seed(3)],
    "server key change digest": [b"body"],
    "server key change signature": [b"body"],
    "server key proof of possession": [seed(1), b"\1", seed(2)],
    "register head": [seed(1), (3).to_bytes(8, "little"), seed(2)],
    "envelope digest": [b"envelope"],
    "request nonce": [seed(1), bytes(24)],
    "steward request": [b"round", b"what was asked"],
    "simulation seed": [seed(1), b"purpose", (7).to_bytes(8, "little")],
    "package digest": [b"sealed package"],
    "key share commitment": [b"\1", seed(2), bytes(8192)],
    "key share mask": [seed(1)],
    "key share consistency challenge": [b"header", bytes(96)],
    "package seal info": [seed(1)],
    "package associated data": [b"pre-header", seed(1), seed(2)],
    "matrix seed": [seed(1), (3).to_bytes(4, "little"), seed(2), b"", seed(4)],
    "matrix block key": [seed(1), (5).to_bytes(8, "little")],
    "projection block key": [seed(1), (5).to_bytes(8, "little")],
    "projection seed": [b"context"],
    "digit share commitment": [b"\1", seed(2), bytes(400)],
    "norm proof joint seed": [seed(1), seed(2), seed(3), seed(4)],
    "norm proof joint randomness": [seed(1), b"\4"],
    "norm proof share commitment": [b"\1", seed(2), bytes(400)],
    "beacon input": [seed(1), seed(2)],
    "beacon": [seed(1), seed(2), bytes(64), bytes(64)],
    "norm proof challenge": [seed(1), seed(2)],
    "digit share expansion": [seed(1)],
    "norm proof share expansion": [seed(1)],
    "key share expansion": [seed(1)],
    "opened sum digest": [bytes.fromhex("01000000ffffffff")],
    "model digest": [b"model"],
    "organisation trimming order": [seed(1), seed(2)],
    "noise candidate identifier": [seed(1), b"\3"],
    "noise candidate choice": [seed(1), seed(2)],
    "noise candidate mask key": [seed(1)],
    "noise candidate error": [seed(1)],
    "noise candidate seed": [seed(1), b"\3"],
    "noise candidate shares": [seed(1), b"\3"],
    "selection start": [seed(1)],
    "selection input": [seed(1), (7).to_bytes(4, "little"), seed(2), seed(3)],
    "device vrf key": [seed(1)],
    "attestation digest": [b"attestation"],
    "group order": [seed(1), seed(2)],
    "group sums digest": [bytes(16)],
}
RAW = ["payload digest", "transcript digest", "answers digest", "scalars digest"]


def build():
    cases, corrupted = [], []

    def hashed(name, label, fields, digest, error=None):
        of = {"label": "dawn v1 " + label, "fields": [f.hex() for f in fields], "digest": digest.hex()}
        if error:
            corrupted.append(refused(name, "labelled", error, **of))
        else:
            cases.append(case(name, "labelled", **of))

    for label, fields in FRAMED.items():
        hashed(label, label, fields, labelled(label, *fields))
    hashed("no fields", "session identifier", [], labelled("session identifier"))
    hashed("an empty field", "session identifier", [b""], labelled("session identifier", b""))
    hashed("a|bc", "package digest", [b"a", b"bc"], labelled("package digest", b"a", b"bc"))
    hashed("ab|c", "package digest", [b"ab", b"c"], labelled("package digest", b"ab", b"c"))
    long_field = bytes(i % 251 for i in range(5000))
    hashed("five chunks", "model digest", [long_field], labelled("model digest", long_field))
    for label in RAW:
        for data in (b"", b"abc", long_field[:1025]):
            of = {"label": "dawn v1 " + label, "input": data.hex(), "digest": raw(label, data).hex()}
            cases.append(case(f"{label} of {len(data)} bytes", "raw", **of))

    for point, name in [(1, "first"), (6, "sixth"), (16, "sixteenth")]:
        share, written = stream(f"committed share {point}")
        digest = key_commitment(point, seed(20 + point), words(share))
        of = {"point": point, "blind": seed(20 + point).hex(), "share": written, "digest": digest.hex()}
        cases.append(case(f"the {name} steward's", "key-commitment", **of))
    from_seed, _ = share_of_seed(seed(2))
    digest = key_commitment(2, seed(22), words(from_seed))
    for_seed = {"point": 2, "blind": seed(22).hex(), "seed": seed(2).hex()}
    cases.append(case("of a seed: its expansion", "seed-commitment", **for_seed, digest=digest.hex()))
    for count in (1, 256, 2 * N):
        c, written = stream(f"payload of {count}", count)
        cases.append(case(f"payload of {count} words", "payload", words=written, digest=raw("payload digest", words(c)).hex()))

    share, written = stream("committed share 1")
    good = {"point": 1, "blind": seed(21).hex(), "share": written, "digest": key_commitment(1, seed(21), words(share)).hex()}

    def wrong(name, kind="key-commitment", error="commitment-mismatch", **changes):
        corrupted.append(refused(name, kind, error, **{**good, **changes}))

    wrong("another point", point=2)
    wrong("point zero", point=0)
    wrong("another blind", blind=seed(22).hex())
    wrong("one bit of the blind", blind=(b"\x14" + seed(21)[1:]).hex())
    wrong("one bit of the share", share=stream("committed share 1", N, [(2047, share[2047] ^ 1)])[1])
    wrong("another share", share=stream("committed share 6")[1])
    wrong("one bit of the commitment", digest=f"{int(good['digest'], 16) ^ 1:064x}")
    seed_itself = labelled("key share commitment", b"\2", seed(22), seed(2)).hex()
    corrupted += [
        refused("the seed and not its expansion", "seed-commitment", "commitment-mismatch", **for_seed, digest=seed_itself),
        refused("another seed", "seed-commitment", "commitment-mismatch", **{**for_seed, "seed": seed(3).hex()}, digest=digest.hex()),
    ]
    c, written = stream("payload of 256", 256)
    of_payload = raw("payload digest", words(c)).hex()
    for name, words_of, found in [
        ("one bit of a word", stream("payload of 256", 256, [(255, c[255] ^ 1)])[1], of_payload),
        ("a word short", stream("payload of 256", 255)[1], of_payload),
        ("a zero word more", whole(c + [0]), of_payload),
        ("framed", written, labelled("payload digest", words(c)).hex()),
        ("the transcript's label", written, raw("transcript digest", words(c)).hex()),
    ]:
        corrupted.append(refused(f"payload: {name}", "payload", "differs", words=words_of, digest=found))

    hashed("fields joined", "package digest", [b"ab", b"c"], labelled("package digest", b"abc"), "differs")
    hashed("no frames", "package digest", [b"ab", b"c"], derive_key("dawn v1 package digest", b"abc"), "differs")
    hashed("another label", "roster digest", [b"body"], labelled("federation digest", b"body"), "differs")
    framed_twice = labelled("package digest", framed([b"ab", b"c"]))
    hashed("frames as a field", "package digest", [b"ab", b"c"], framed_twice, "differs")
    hashed("a label of another version", "roster digest", [b"body"], derive_key("dawn v2 roster digest", framed([b"body"])), "differs")

    good_digest = digest.hex()
    cases.append(case("a digest as text and CBOR", "digest", text=good_digest, cbor="5820" + good_digest))
    for name, text in [
        ("upper case", good_digest.upper()),
        ("63 digits", good_digest[1:]),
        ("65 digits", good_digest + "0"),
        ("not a digit", "g" + good_digest[1:]),
        ("a prefix", "0x" + good_digest[2:]),
        ("nothing", ""),
    ]:
        corrupted.append(refused(f"digest as text: {name}", "digest-text", "digest-text", text=text))
    for name, data, error in [
        ("31 bytes", "581f" + "00" * 31, "cbor-message"),
        ("33 bytes", "5821" + "00" * 33, "cbor-message"),
        ("text", "7820" + "61" * 32, "cbor-type"),
        ("an array", "80", "cbor-type"),
        ("cut off", "5820" + "00" * 31, "cbor-end"),
        ("nothing", "", "cbor-end"),
    ]:
        corrupted.append(refused(f"digest in CBOR: {name}", "digest-cbor", error, cbor=data))
    about = "Labelled hashes (crypto-table.md, section 2), commitments to shares and payloads (protocol.md, section 4.3)."
    return about, cases, corrupted
