"""The norm proof: its parameters, digits, streams and checks (protocol.md, sections 4.3 and 4.6; crypto-table.md, section 3)."""

import collections
from math import isqrt

from . import flp
from .field import N, Q, center, multiply, uniform, words
from .hashes import labelled
from .masking import block_of_matrix
from .projection import combine

TOP_BITS = 10
REPETITIONS = 5
# x and y in thousandths, by rows: what docs/norm-bound.py finds.
TABLE = {128: (2713, 213), 256: (2099, 361), 512: (1723, 503)}

Parameters = collections.namedtuple(
    "Parameters", "rows honest_squared bits bound slack_digits limit digits digit_gadget square_gadget"
)


def sqrt_up(x):
    root = isqrt(x)
    return root + (root * root < x)


def parameters(dimension, clip, sigma_units, rows):
    """The deviation in units of 2^-16. None when L would exceed 30."""
    padded = N * (-(-dimension // N) + 1)
    chi = padded + 2 * sqrt_up(47 * padded) + 94
    squared = clip**2 + -(-(sigma_units**2 * chi) // 2**32) + -(-(20 * sigma_units * clip) // 2**16)
    bits = next((b for b in range(TOP_BITS, 31, 2) if 4 ** (b - 1) >= 54 * squared), None)
    if bits is None:
        return None
    shift = bits - TOP_BITS
    x, y = TABLE[rows]
    root = sqrt_up(-(-(2 * x * rows * squared << 32) // 1000) >> (2 * shift)) + 1 + sqrt_up(rows << 32)
    bound = -(-(root**2) // 2**32)
    slack = next(k for k in range(1, 14) if 4**k > bound)
    projected = sqrt_up(bound << 32) + sqrt_up(rows << 32)
    limit = sqrt_up(-(-(projected**2 * 2000) // (rows * y))) << shift
    digits = rows * bits // 2 + slack
    gadgets = flp.shortest(digits, 4), flp.shortest(rows, 2)
    return Parameters(rows, squared, bits, bound, slack, -(-limit // 2**17), digits, *gadgets)


def norm_bound(dimension, clip, sigma_units, rows):
    """`gamma B`, rounded up."""
    return parameters(dimension, clip, sigma_units, rows).limit


def base_4(value, count):
    return [value >> (2 * i) & 3 for i in range(count)]


def digits_of(p, z):
    """The digits of all projections and of the slack. None for projections that no honest device has."""
    half = 2 ** (p.bits - 1)
    digits, total = [], 0
    for value in z:
        if not -half <= value < half:
            return None
        digits += base_4(value + half, p.bits // 2)
        total += (2 * (value >> (p.bits - TOP_BITS)) + 1) ** 2
    return digits + base_4(p.bound - total, p.slack_digits) if total <= p.bound else None


def outputs(p, digits, within, calls):
    """Both outputs of the circuit by their formulas: of digits, or of what is none. `within`, `calls`: the weights."""
    arity = p.digit_gadget.arity
    first = sum(calls[i // arity] * within[i % arity] * x * (x - 1) * (x - 2) * (x - 3) for i, x in enumerate(digits))
    total = sum(x * 4**i for i, x in enumerate(digits[p.rows * p.bits // 2 :])) - p.bound
    for row in rows_of(p, digits):
        interval = sum(x * 4**i for i, x in enumerate(row[p.bits // 2 - TOP_BITS // 2 :])) - 2 ** (TOP_BITS - 1)
        total += (2 * interval + 1) ** 2
    return [first % Q, total % Q]


def rows_of(p, digits):
    width = p.bits // 2
    return [digits[i * width : (i + 1) * width] for i in range(p.rows)]


def projected(p, coefficients, digits):
    """`<lambda, z>` from the digits of z, or from a share of them."""
    values = [sum(x * 4**i for i, x in enumerate(row)) - 2 ** (p.bits - 1) for row in rows_of(p, digits)]
    return sum(c * value for c, value in zip(coefficients, values)) % Q


def projection_seed(context):
    return labelled("projection seed", context)


def joint_seed(projection, commitments):
    return labelled("norm proof joint seed", projection, *commitments)


def joint_randomness(p, seed, repetition):
    """(weights within a call, weights of the calls)."""
    arity, calls = p.digit_gadget.arity, p.digit_gadget.calls
    stream = labelled("norm proof joint randomness", seed, bytes([repetition]), length=4 * (arity + calls) + 256)
    elements = uniform(stream, arity + calls)[0]
    return elements[:arity], elements[arity:]


def challenge(p, beacon, submission):
    """(two lambdas, for each repetition the weights of both outputs and a query point of both gadgets)."""
    wanted = 2 * p.rows + 4 * REPETITIONS
    stream = labelled("norm proof challenge", beacon, submission, length=4 * wanted + 1024)
    elements = iter(uniform(stream, wanted + 64)[0])
    lambdas = [[next(elements) for _ in range(p.rows)] for _ in range(2)]
    queries = []
    for _ in range(REPETITIONS):
        query = [next(elements), next(elements)]
        for gadget in (p.digit_gadget, p.square_gadget):
            query.append(next(x for x in elements if pow(x, gadget.size, Q) != 1))
        queries.append(query)
    return lambdas, queries


def circuit(p, within):
    """The circuit of one repetition: what its gadgets compute, and what it does with their results."""

    def digit_gadget(inputs):
        return sum(w * x * (x - 1) * (x - 2) * (x - 3) for w, x in zip(within, inputs)) % Q

    def square_gadget(inputs):
        return sum(x * x for x in inputs) % Q

    return digit_gadget, square_gadget


def gadget_inputs(p, digits):
    """The inputs of every call of both gadgets, the last ones filled with zeros."""
    odd = []
    for row in rows_of(p, digits):
        interval = sum(x * 4**i for i, x in enumerate(row[p.bits // 2 - TOP_BITS // 2 :]))
        odd.append((2 * interval - (2**TOP_BITS - 1)) % Q)
    return flp.calls(p.digit_gadget, digits), flp.calls(p.square_gadget, odd)


def prove(p, digits, joint, blinds):
    """All repetitions' proofs, one after the other. `blinds`: of all wires, repetition by repetition."""
    proofs, arities = [], (p.digit_gadget.arity, p.square_gadget.arity)
    for repetition in range(REPETITIONS):
        within, _ = joint_randomness(p, joint, repetition)
        own = blinds[repetition * sum(arities) : (repetition + 1) * sum(arities)]
        parts = zip(
            (p.digit_gadget, p.square_gadget), circuit(p, within), gadget_inputs(p, digits), (own[: arities[0]], own[arities[0] :])
        )
        for gadget, function, inputs, seeds in parts:
            proofs += flp.prove(gadget, function, inputs, seeds)
    return proofs


def messages(p, digits, proofs, joint, queries):
    """The verifier messages of all repetitions, from the digits and proofs or from a share of both."""
    out, lengths = [], [gadget.proof_len for gadget in (p.digit_gadget, p.square_gadget)]
    for repetition, query in enumerate(queries):
        _, call_weights = joint_randomness(p, joint, repetition)
        proof = proofs[repetition * sum(lengths) : (repetition + 1) * sum(lengths)]
        inputs = gadget_inputs(p, digits)
        digit, digit_results = flp.query(p.digit_gadget, inputs[0], proof[: lengths[0]], query[2])
        square, square_results = flp.query(p.square_gadget, inputs[1], proof[lengths[0] :], query[3])
        slack = sum(x * 4**i for i, x in enumerate(digits[p.rows * p.bits // 2 :]))
        found = [
            sum(weight * result for weight, result in zip(call_weights, digit_results)),
            sum(square_results) + slack - p.bound,
        ]
        out += [(query[0] * found[0] + query[1] * found[1]) % Q, *digit, *square]
    return out


def decide(p, joint, opened, masked):
    """None, "projection", or the first repetition that is wrong."""
    if opened[:2] != masked:
        return "projection"
    arities = p.digit_gadget.arity, p.square_gadget.arity
    length = 3 + sum(arities)
    for repetition in range(REPETITIONS):
        message = opened[2 + repetition * length : 2 + (repetition + 1) * length]
        digit, square = circuit(p, joint_randomness(p, joint, repetition)[0])
        split = 1 + arities[0]
        right = message[0] == 0 and digit(message[1:split]) == message[split]
        if not (right and square(message[split + 1 : -1]) == message[-1]):
            return repetition
    return None


def public_side(seed, rows, matrix, lambdas, blocks):
    """(u, w) for every lambda: w = lambda R, and u with <u, k> = <w, A k>."""
    found = []
    for coefficients in lambdas:
        w = [[x % Q for x in combine(seed, rows, block, coefficients)] for block in range(blocks)]
        u = [0] * N
        for block, part in enumerate(w):
            a = block_of_matrix(matrix, block)
            # The adjoint of multiplying by a: multiplying by a_0 - a_{n-1} X - ... - a_1 X^{n-1}.
            adjoint = [a[0]] + [(-x) % Q for x in a[:0:-1]]
            u = [(x + y) % Q for x, y in zip(u, multiply(adjoint, part))]
        found.append((u, [x for part in w for x in part]))
    return found


def commitment(kind, point, blind, share):
    """`kind`: "digit" or "norm proof"."""
    label = {"digit": "digit share commitment", "proof": "norm proof share commitment"}[kind]
    return labelled(label, bytes([point]), blind, words(share))


def share_beside(kind, seed, count):
    """What a share's seed stands for beside the key."""
    label = {"digit": "digit share expansion", "proof": "norm proof share expansion"}[kind]
    return uniform(labelled(label, seed, length=4 * count + 256), count)[0]


def check():
    """The numbers that docs/norm-bound.py gives; a projection of one is its own middle."""
    p = parameters(1000, 1000, 417069, 256)
    assert (p.bits, p.bound, p.limit) == (16, 368802, 2935)
    digits = digits_of(p, [0] * 255 + [-1])
    assert outputs(p, digits, [1] * p.digit_gadget.arity, [1] * p.digit_gadget.calls) == [0, 0]
    one = [1] + [0] * (p.rows - 1)
    assert center(projected(p, one, digits_of(p, [-77] + [0] * 255))) == -77
