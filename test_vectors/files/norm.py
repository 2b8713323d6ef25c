"""norm.json: the norm proof from its parameters to the decision."""

from reference import norm
from reference.cbor import encode
from reference.field import N, Q, words
from reference.hashes import input_elements, input_integers, key_commitment, share_of_seed
from reference.masking import padded, times_key
from reference.norm import REPETITIONS, digits_of, outputs, parameters
from reference.projection import project
from reference.shamir import accepts, interpolate, prove as prove_consistency, share_key, threshold

from .forms import case, flip, integers, refused, seed, stream, summary, whole

LEAST = 417069  # the smallest deviation of the error, in units of 2^-16
SMALL = {"dimension": 10, "clip": 50, "sigma": LEAST, "rows": 128}
TASKS = [
    SMALL,
    {"dimension": 1, "clip": 1, "sigma": LEAST, "rows": 256},
    {"dimension": 650, "clip": 3072, "sigma": 820 * 2**16, "rows": 256},
    {"dimension": 1000, "clip": 1000, "sigma": LEAST, "rows": 128},
    {"dimension": 1000, "clip": 1000, "sigma": LEAST, "rows": 256},
    {"dimension": 1000, "clip": 1000, "sigma": LEAST, "rows": 512},
    {"dimension": 2**20, "clip": 4096, "sigma": LEAST, "rows": 256},
    {"dimension": 2**24, "clip": 65536, "sigma": 820 * 2**16, "rows": 512},
    {"dimension": 1000, "clip": 2**26, "sigma": LEAST, "rows": 256},
]


def of(task):
    return parameters(task["dimension"], task["clip"], task["sigma"], task["rows"])


def build():
    cases, corrupted = [], []
    build_parameters(cases, corrupted)
    build_digits(cases, corrupted)
    build_circuit(cases, corrupted)
    build_streams(cases, corrupted)
    build_submission(cases, corrupted)
    about = "The norm proof (protocol.md, sections 4.3 and 4.6; crypto-table.md, section 3.1)."
    return about, cases, corrupted


def build_parameters(cases, corrupted):
    for task in TASKS:
        p = of(task)
        gadgets = [[g.arity, g.calls, g.proof_len] for g in (p.digit_gadget, p.square_gadget)]
        fields = {
            "task": task,
            "honest_squared": p.honest_squared,
            "range_bits": p.bits,
            "bound": p.bound,
            "slack_digits": p.slack_digits,
            "max_norm": p.limit,
            "digits": p.digits,
            "gadgets": gadgets,
        }
        name = f"d = {task['dimension']}, clip {task['clip']}, {task['rows']} rows"
        cases.append(case(name, "parameters", **fields))
        if task is SMALL:
            corrupted.append(refused("a bound that is one less", "parameters", "differs", **{**fields, "bound": p.bound - 1}))
            corrupted.append(refused("gamma B rounded down", "parameters", "differs", **{**fields, "max_norm": p.limit - 1}))
    for name, change, error, at in [
        ("129 rows", {"rows": 129}, "norm-rows", 129),
        ("a clip of 2^28", {"clip": 2**28}, "norm-too-large", None),
        ("a clip of 2^32", {"clip": 2**32}, "norm-too-large", None),
        ("the largest deviation", {"sigma": 2**40}, "norm-too-large", None),
    ]:
        task = {**SMALL, **change}
        assert task["rows"] == 129 or task["clip"] == 2**32 or of(task) is None
        corrupted.append(refused(name, "parameters", error, at, **{**fields, "task": task}))


def build_digits(cases, corrupted):
    p = of(SMALL)
    half, unit = 2 ** (p.bits - 1), 2 ** (p.bits - norm.TOP_BITS)
    z = input_integers("projections", isqrt_of(p) // 2, p.rows)
    digits = digits_of(p, z)
    cases.append(case("128 projections", "digits", task=SMALL, z=z, digits=whole(digits)))
    zeros = [0] * p.rows
    for name, first in [("the least of an interval", unit), ("the largest of one below zero", -1), ("minus one interval", -unit)]:
        given = [first] + zeros[1:]
        cases.append(case(name, "digits", task=SMALL, z=given, digits=whole(digits_of(p, given))))
    # As long as the bound allows: what is left is less than one more interval would take.
    last, given = p.rows, zeros
    while digits_of(p, given) is not None:
        longest, given = given, [x + unit for x in given]
    for at in range(last):
        longer = longest[:at] + [longest[at] + unit] + longest[at + 1 :]
        if digits_of(p, longer) is None:
            break
        longest = longer
    cases.append(case("as long as passes", "digits", task=SMALL, z=longest, digits=whole(digits_of(p, longest))))
    given = {"task": SMALL, "digits": ""}
    corrupted.append(refused("one interval longer", "digits", "too-long", **given, z=longer))
    for name, value in [("above the range", half), ("below the range", -half - 1), ("far above", 2**31 - 1), ("far below", -(2**31))]:
        corrupted.append(refused(f"a projection {name}", "digits", "too-long", **given, z=[value] + zeros[1:]))
    per_row = p.bits // 2
    reverse = [x for row in norm.rows_of(p, digits) for x in row[::-1]] + digits[p.rows * per_row :]
    for name, other in [
        ("the most significant digit first", reverse),
        ("two's complement instead of an offset", [x ^ 2 * (i % per_row == per_row - 1 and i < p.rows * per_row) for i, x in enumerate(digits)]),
        ("the slack first", digits[p.rows * per_row :] + digits[: p.rows * per_row]),
        ("a slack of one more", digits[: p.rows * per_row] + [(digits[p.rows * per_row] + 1) % 4] + digits[p.rows * per_row + 1 :]),
    ]:
        assert other != digits
        corrupted.append(refused(name, "digits", "differs", task=SMALL, z=z, digits=whole(other)))


def isqrt_of(p):
    """The deviation of an honest device's projections."""
    return norm.isqrt(p.honest_squared // 2)


def build_circuit(cases, corrupted):
    for task in (SMALL, TASKS[4]):
        p = of(task)
        within, calls = (input_elements(f"weights {i}", n) for i, n in enumerate((p.digit_gadget.arity, p.digit_gadget.calls)))
        given = {"task": task, "within": whole(within), "calls": whole(calls)}
        z = input_integers("projections of a circuit", isqrt_of(p) // 2, p.rows)
        digits = digits_of(p, z)
        name = f"d = {task['dimension']}, {task['rows']} rows"
        assert outputs(p, digits, within, calls) == [0, 0]
        cases.append(case(f"{name}: honest", "circuit", **given, digits=whole(digits), outputs=[0, 0]))
        slack = p.rows * p.bits // 2
        if task is not SMALL:
            continue
        for what, at, value in [
            ("four as the first digit", 0, 4),
            ("minus one as the last digit of a row", p.bits // 2 - 1, Q - 1),
            ("a digit of another projection", slack - 1, (digits[slack - 1] + 1) % 4),
            ("another slack", slack, (digits[slack] + 1) % 4),
            ("a slack that is no digit", p.digits - 1, Q // 2),
        ]:
            other = digits[:at] + [value] + digits[at + 1 :]
            found = outputs(p, other, within, calls)
            assert found != [0, 0]
            cases.append(case(f"{name}: {what}", "circuit", **given, digits=whole(other), outputs=found))
            wrong = {**given, "digits": whole(other), "outputs": [0, 0]}
            corrupted.append(refused(f"{name}: {what} is no zero", "circuit", "differs", **wrong))


def build_streams(cases, corrupted):
    commitments = [seed(i) for i in range(7, 10)]
    context = b"context of a submission"
    projection = norm.projection_seed(context)
    joint = norm.joint_seed(projection, commitments)
    named = {"context": context.hex(), "commitments": [c.hex() for c in commitments]}
    cases.append(case("both seeds", "seeds", **named, projection=projection.hex(), joint=joint.hex()))
    for name, other in [
        ("commitments exchanged", norm.joint_seed(projection, commitments[::-1])),
        ("a commitment missing", norm.joint_seed(projection, commitments[:2])),
        ("another context", norm.joint_seed(norm.projection_seed(context[1:]), commitments)),
    ]:
        corrupted.append(refused(name, "seeds", "differs", **named, projection=projection.hex(), joint=other.hex()))
    for task in (SMALL, TASKS[4], TASKS[5]):
        p = of(task)
        for repetition in (0, REPETITIONS - 1):
            within, calls = norm.joint_randomness(p, joint, repetition)
            fields = {"task": task, "joint": joint.hex(), "repetition": repetition}
            right = {"within": whole(within), "calls": whole(calls)}
            cases.append(case(f"{task['rows']} rows, repetition {repetition}", "joint", **fields, **right))
        other = {**fields, "repetition": 0}
        corrupted.append(refused(f"{task['rows']} rows: of another repetition", "joint", "differs", **other, **right))
        lambdas, queries = norm.challenge(p, seed(1), seed(2))
        asked = {"task": task, "beacon": seed(1).hex(), "submission": seed(2).hex()}
        answer = {"lambdas": [whole(x) for x in lambdas], "queries": queries}
        cases.append(case(f"{task['rows']} rows", "challenge", **asked, **answer))
        for name, change in [
            ("beacon and submission exchanged", {"beacon": seed(2).hex(), "submission": seed(1).hex()}),
            ("lambdas exchanged", {"lambdas": [whole(x) for x in lambdas[::-1]]}),
            ("query points exchanged", {"queries": [[a, b, d, c] for a, b, c, d in queries]}),
            ("repetitions in reverse", {"queries": queries[::-1]}),
        ]:
            corrupted.append(refused(f"{task['rows']} rows: {name}", "challenge", "differs", **{**asked, **answer, **change}))


class Device:
    """A submission with all that is in it. `spoil` changes the digits that it proves about."""

    def __init__(self, m, f, spoil=lambda p, digits: digits):
        self.p, self.th = of(SMALL), threshold(m, f)
        self.matrix, self.beacon, self.submission = seed(61), seed(62), seed(63)
        length, t = padded(SMALL["dimension"]), self.th[2]
        self.key, self.written_key = integers("key of a proof", 20, N)
        self.v, self.written_v = integers("masked vector of a proof", 3, length)
        self.c = [(x + y) % Q for x, y in zip(times_key(self.matrix, self.key, length), self.v)]
        self.seeds = [seed(70 + i) for i in range(t - 1)]
        self.blinds = [seed(80 + j) for j in range(m)]
        self.keys = share_key(self.key, [share_of_seed(s)[0] for s in self.seeds], m)
        commitments = [key_commitment(j, b, words(k)) for j, (b, k) in enumerate(zip(self.blinds, self.keys), 1)]
        self.context = encode([[seed(1), 3], seed(2), [b"certificate", b"credential"], seed(3), commitments])
        self.projection = norm.projection_seed(self.context)
        self.digits = spoil(self.p, digits_of(self.p, project(self.projection, self.p.rows, self.v)))
        self.digit_shares = self.share("digit", self.digits)
        self.digit_commitments = self.commit("digit", self.digit_shares)
        self.joint = norm.joint_seed(self.projection, self.digit_commitments)
        wires = self.p.digit_gadget.arity + self.p.square_gadget.arity
        self.wire_blinds, self.written_wire_blinds = stream("blinds of wires", wires * REPETITIONS)
        self.proofs = norm.prove(self.p, self.digits, self.joint, self.wire_blinds)
        self.proof_shares = self.share("proof", self.proofs)
        self.lambdas, self.queries = norm.challenge(self.p, self.beacon, self.submission)
        blocks = length // N
        self.public = norm.public_side(self.projection, self.p.rows, self.matrix, self.lambdas, blocks)
        self.masked = [sum(x * y for x, y in zip(w, self.c)) % Q for _, w in self.public]

    def share(self, kind, values):
        expanded = [norm.share_beside(kind, s, len(values)) for s in self.seeds]
        return share_key(values, expanded, self.th[0])

    def commit(self, kind, shares):
        return [norm.commitment(kind, j, b, s) for j, (b, s) in enumerate(zip(self.blinds, shares), 1)]

    def answer(self, key, digits, proofs):
        linear = []
        for coefficients, (u, _) in zip(self.lambdas, self.public):
            masked = sum(x * y for x, y in zip(u, key)) % Q
            linear.append((norm.projected(self.p, coefficients, digits) + masked) % Q)
        return linear + norm.messages(self.p, digits, proofs, self.joint, self.queries)

    def opened(self):
        """The answer about the digits, proofs and key themselves: what the stewards' answers open to."""
        return self.answer([k % Q for k in self.key], self.digits, self.proofs)

    def written(self):
        return {
            "task": SMALL,
            "threshold": list(self.th),
            "matrix": self.matrix.hex(),
            "beacon": self.beacon.hex(),
            "submission": self.submission.hex(),
            "key": self.written_key,
            "v": self.written_v,
            "seeds": [s.hex() for s in self.seeds],
            "blinds": [b.hex() for b in self.blinds],
            "context": self.context.hex(),
            "wire_blinds": self.written_wire_blinds,
        }


def build_submission(cases, corrupted):
    for m, f in [(3, 0), (6, 1)]:
        made = Device(m, f)
        opened, t = made.opened(), made.th[2]
        shares = list(zip(made.keys, made.digit_shares, made.proof_shares))
        answers = [made.answer(*share) for share in shares]
        assert interpolate(range(m - t + 1, m + 1), answers[m - t :], 0) == opened
        assert norm.decide(made.p, made.joint, opened, made.masked) is None
        right = {
            "digits": whole(made.digits),
            "digit_shares": [summary(s) for s in made.digit_shares],
            "digit_commitments": [c.hex() for c in made.digit_commitments],
            "proof_shares": [summary(s) for s in made.proof_shares],
            "proof_commitments": [c.hex() for c in made.commit("proof", made.proof_shares)],
            "u": [summary(u) for u, _ in made.public],
            "masked": made.masked,
            "answers": [whole(a) for a in answers],
            "opened": whole(opened),
        }
        cases.append(case(f"{m} stewards", "submission", **made.written(), **right))
        if m == 3:
            for name, change in [
                ("another answer of the last steward", {"answers": [whole(a) for a in answers[:2]] + [whole(flip(answers[2], 5))]}),
                ("commitments to digits and proofs exchanged", {"proof_commitments": right["digit_commitments"]}),
                ("w instead of u", {"u": [summary(w[:N]) for _, w in made.public]}),
                ("<w, c> of the other lambda", {"masked": made.masked[::-1]}),
                ("wires' blinds in another order", {"proof_shares": right["proof_shares"][::-1]}),
            ]:
                corrupted.append(refused(name, "submission", "differs", **made.written(), **{**right, **change}))
            build_consistency(cases, corrupted, made)
            build_decisions(cases, corrupted, made, opened)


def build_consistency(cases, corrupted, made):
    """Over everything that a steward is given: key, digits and proofs."""
    context = made.context + b"and the other commitments"
    shares = [k + d + p for k, d, p in zip(made.keys, made.digit_shares, made.proof_shares)]
    flat, written = stream("polynomials over key, digits and proofs", 4 * made.th[2])
    corrections, values = prove_consistency(context, shares, made.blinds, [flat[i::4] for i in range(4)])
    assert all(accepts(context, corrections, values, j + 1, shares[j], made.blinds[j]) for j in range(3))
    given = {
        "threshold": list(made.th),
        "context": context.hex(),
        "polynomials": written,
        "submission": made.written(),
    }
    right = {"corrections": corrections.hex(), "values": values.hex()}
    cases.append(case("key, digits and proofs", "segments", **given, **right))
    # The same without the digits, or in another order.
    for name, other in [
        ("without the digits", [k + p for k, _, p in zip(made.keys, made.digit_shares, made.proof_shares)]),
        ("proofs before digits", [k + p + d for k, d, p in zip(made.keys, made.digit_shares, made.proof_shares)]),
    ]:
        wrong = prove_consistency(context, other, made.blinds, [flat[i::4] for i in range(4)])[1]
        corrupted.append(refused(name, "segments", "differs", **given, corrections=corrections.hex(), values=wrong.hex()))


def build_decisions(cases, corrupted, made, opened):
    """What is decided of an opened answer."""

    def given(device, answer, masked=None):
        return {
            "task": SMALL,
            "context": device.context.hex(),
            "digit_commitments": [c.hex() for c in device.digit_commitments],
            "opened": whole(answer),
            "masked": masked or device.masked,
        }

    cases.append(case("an honest device's", "decide", **given(made, opened)))
    for at in (0, 1):
        wrong = flip(opened, at)
        corrupted.append(refused(f"linear check {at} is off", "decide", "projection", **given(made, wrong)))
    lie = [made.masked[0], (made.masked[1] + 1) % Q]
    corrupted.append(refused("another scalar", "decide", "projection", **given(made, opened, lie)))
    p = made.p
    length = 3 + p.digit_gadget.arity + p.square_gadget.arity
    places = {
        "the circuit's output": 0,
        "a wire of the digits": 1,
        "the digits' polynomial": 1 + p.digit_gadget.arity,
        "a wire of the squares": 2 + p.digit_gadget.arity,
        "the squares' polynomial": length - 1,
    }
    for repetition in (0, REPETITIONS - 1):
        for name, place in places.items():
            wrong = flip(opened, 2 + repetition * length + place)
            assert norm.decide(p, made.joint, wrong, made.masked) == repetition
            name = f"{name} in repetition {repetition}"
            corrupted.append(refused(name, "decide", "norm-proof", repetition, **given(made, wrong)))

    # Devices that prove honestly about what is false.
    def no_digit(p, digits):
        return [digits[0] + 4, (digits[1] - 1) % Q] + digits[2:]

    def other_slack(p, digits):
        at = p.rows * p.bits // 2
        return digits[:at] + [(digits[at] + 1) % 4] + digits[at + 1 :]

    def other_projection(p, digits):
        z = [sum(x * 4**i for i, x in enumerate(row)) - 2 ** (p.bits - 1) for row in norm.rows_of(p, digits)]
        return digits_of(p, [0] + z[1:])

    for name, spoil, error in [
        ("the right number in digits that are none", no_digit, 0),
        ("a slack that is not what is left", other_slack, 0),
        ("zero instead of a projection", other_projection, "projection"),
    ]:
        device = Device(3, 0, spoil)
        answer = device.opened()
        assert norm.decide(p, device.joint, answer, device.masked) == error
        named = ("projection", None) if error == "projection" else ("norm-proof", error)
        corrupted.append(refused(name, "decide", *named, **given(device, answer)))
