"""consistency.json: the proof that the shares of a key lie on one polynomial."""

from reference.cbor import encode
from reference.field import N, Q, words
from reference.hashes import input_elements, share_of_seed
from reference.shamir import REPETITIONS, accepts, interpolate, mask_of_blind, prove, share_key, threshold

from .forms import case, integers, refused, seed, whole


def device(m, f, name, context, beside=None):
    """A device's shares, blinds, random polynomials and proof. `beside`: the point that gets another share."""
    th = threshold(m, f)
    key, written = integers(name, 81, N)
    seeds = [seed(40 + i) for i in range(th[2] - 1)]
    shares = share_key(key, [share_of_seed(s)[0] for s in seeds], m)
    if beside:
        shares[beside - 1] = [(shares[beside - 1][0] + 1) % Q] + shares[beside - 1][1:]
    blinds = [seed(120 + j) for j in range(m)]
    flat = input_elements(name + " polynomials", th[2] * REPETITIONS)
    # Constant terms of all repetitions first, then the coefficients of X, and so on.
    polynomials = [flat[i::REPETITIONS] for i in range(REPETITIONS)]
    corrections, values = prove(context, shares, blinds, polynomials)
    if not beside:
        assert all(accepts(context, corrections, values, j + 1, shares[j], blinds[j]) for j in range(m))
    return {
        "shares": shares,
        "blinds": blinds,
        "proof": (corrections, values),
        "written": {
            "threshold": list(th),
            "key": written,
            "seeds": [s.hex() for s in seeds],
            "blinds": [b.hex() for b in blinds],
            "context": context.hex(),
        },
        "polynomials": whole(flat),
    }


def build():
    cases, corrupted = [], []
    context = encode([[seed(1), 3], seed(2), [b"certificate", b"credential"], seed(3), [seed(4), seed(5)]])
    for m, f, name in [(6, 1, "consistent key"), (2, 0, "consistent key of two"), (16, 5, "consistent key of sixteen")]:
        made = device(m, f, name, context)
        corrections, values = made["proof"]
        fields = {
            **made["written"],
            "polynomials": made["polynomials"],
            "corrections": corrections.hex(),
            "values": values.hex(),
            "cbor": encode([corrections, values]).hex(),
        }
        cases.append(case(f"{m} stewards", "proof", **fields))
    six = device(6, 1, "consistent key", context)
    corrections, values = six["proof"]
    good = {**six["written"], "corrections": corrections.hex(), "values": values.hex()}
    cases.append(case("all six accept", "accepting", **good, beside=None, points=[1, 2, 3, 4, 5, 6]))
    for beside in (2, 6):
        made = device(6, 1, "consistent key", context, beside)
        proof = made["proof"]
        points = [p for p in range(1, 7) if accepts(context, *proof, p, made["shares"][p - 1], made["blinds"][p - 1])]
        assert points == ([1, 2, 3, 4, 5] if beside == 6 else [1, 2, 3, 4])
        cases.append(
            case(
                f"a share beside the polynomial, at {beside}: who accepts a proof made over it",
                "accepting",
                **{**made["written"], "corrections": proof[0].hex(), "values": proof[1].hex()},
                beside=beside,
                points=points,
            )
        )

    def wrong(name, point=6, error="inconsistent", **changes):
        corrupted.append(refused(name, "share-at", error, **{**good, "point": point, "share_of": point, **changes}))

    def changed(data, at):
        return (data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]).hex()

    for point in (1, 4, 5, 6):
        wrong(f"one bit of the correction of {point}", point, corrections=changed(corrections, 16 * (point - 1) + 12))
        wrong(f"another blind at {point}", point, blinds=[seed(7).hex()] * 6)
        wrong(f"another context at {point}", point, context=context[:-1].hex() + "06")
        wrong(f"one element of the share of {point} is one more", point, plus_one=[point, 2047])
    wrong("another steward's correction changed: another challenge", 1, corrections=changed(corrections, 95))
    for repetition in range(REPETITIONS):
        wrong(f"one bit of a value, repetition {repetition}", values=changed(values, 16 + 4 * repetition))
    wrong("the share of the steward before", 6, share_of=5)
    wrong("point zero", 0, share_of=1)
    wrong("a point beyond the stewards", 7, share_of=6)
    wrong("the largest byte as a point", 255, share_of=6)
    wrong("a correction is missing", 1, corrections=corrections[:-16].hex())
    wrong("a correction too many", 1, corrections=(corrections + bytes(16)).hex())
    wrong("a value is missing", 1, values=values[:-16].hex())
    # A value of the right polynomial at T + 1: consistent, but not the proof's form.
    fifth = interpolate([1, 2, 3, 4], [_row(values, p) for p in range(4)], 5)
    wrong("a value too many", 1, values=(values + words(fifth)).hex())
    wrong("no proof", 1, corrections="", values="")
    wrong("corrections without their masks", 1, corrections=_unmasked(corrections, six["blinds"]).hex())

    empty = encode([b"", b""])
    bad_correction = corrections[:16] + words([0, 0, 1]) + Q.to_bytes(4, "little")
    for name, data, error, at in [
        ("q as a correction of the second steward", encode([bad_correction, values]), "not-canonical", 1),
        ("q as the first value", encode([corrections, Q.to_bytes(4, "little") + values[4:]]), "not-canonical", 0),
        ("15 bytes", encode([bytes(15), values]), "proof-length", 15),
        ("a word more", encode([corrections, values + bytes(4)]), "proof-length", 68),
        ("17 stewards", encode([bytes(272), values]), "proof-length", 272),
        ("three parts", encode([corrections, values, b""]), "cbor-message", None),
        ("one part", encode([corrections]), "cbor-message", None),
        ("an indefinite array", b"\x9f" + empty[1:] + b"\xff", "cbor-message", None),
        ("texts", encode(["", ""]), "cbor-type", None),
        ("cut off", encode([corrections, values])[:-1], "cbor-end", None),
    ]:
        corrupted.append(refused(f"CBOR: {name}", "proof-cbor", error, at, cbor=data.hex()))
    about = "The proof of consistency of shares (protocol.md, section 4.3, point 2)."
    return about, cases, corrupted


def _row(data, index):
    return [int.from_bytes(data[16 * index + 4 * i : 16 * index + 4 * i + 4], "little") for i in range(REPETITIONS)]


def _unmasked(corrections, blinds):
    """r(j) itself."""
    rows = [[(c + mask) % Q for c, mask in zip(_row(corrections, j), mask_of_blind(b))] for j, b in enumerate(blinds)]
    return words([word for row in rows for word in row])
