"""Numbers, streams, models and the update rule of docs/learning.md (sections 1, 2, 5 and 6), in Python's long integers."""

import collections
import struct
from decimal import Decimal, localcontext
from math import isqrt

from .blake3 import blake3, derive_key, keyed
from .cbor import encode

MASTER, STEP, PROBABILITY, LOSS = 24, 28, 24, 16  # fraction bits
LARGEST = 2**31 - 1
LARGEST_MANTISSA = 4095
WEIGHTS, GRADIENTS = 24, 32  # the most fraction bits of mantissas: of weights and activations, of gradients
LOGISTIC, MLP, LINEAR, REGRESSOR, CNN = range(5)
LABELS = ("initial weights", "shuffle", "dropout", "rounding", "adapters")

# Section 1.


def shift(value, by):
    """`value / 2^by`, to nearest, ties towards plus infinity."""
    return (value + (1 << (by - 1))) >> by if by > 0 else value << -by


def clamp(value, limit=LARGEST):
    return max(-limit, min(limit, value))


def narrow(values, exponent, most):
    """(mantissas, exponent) of numbers that share an exponent."""
    bits = max((abs(value) for value in values), default=0).bit_length()
    by = max(bits - 12, exponent - most, 0)
    return [clamp(shift(value, by), LARGEST_MANTISSA) for value in values], exponent - by


def narrow_rows(rows, exponent, most):
    """The same for a matrix: one exponent for all of it."""
    mantissas, narrowed = narrow([value for row in rows for value in row], exponent, most)
    left = iter(mantissas)
    return [[next(left) for _ in row] for row in rows], narrowed


def half_even(numerator, denominator):
    """The quotient, to nearest, ties to even; the denominator is above zero."""
    quotient, rest = divmod(numerator, denominator)
    return quotient + (2 * rest > denominator or (2 * rest == denominator and quotient % 2 == 1))


# Section 2.


def stream(label, seed, step, length):
    """Bytes of stream `step`; `label` without the common "dawn v1 learn "."""
    return keyed(derive_key("dawn v1 learn " + label, seed), struct.pack("<Q", step), length)


def numbers(label, seed, step, count):
    return list(struct.unpack(f"<{count}Q", stream(label, seed, step, 8 * count)))


def permutation(seed, epoch, count):
    """Epochs count from 0, and place j of the order is for the sample with the j-th smallest (number, index)."""
    drawn = numbers("shuffle", seed, epoch, count)
    return sorted(range(count), key=lambda i: (drawn[i], i))


# `image`: height, width and channels of what a convolution reads, else None. `inputs`: of a convolution, the size of a patch.
Layer = collections.namedtuple("Layer", "inputs outputs image kernel", defaults=(None, None))


def places(layer):
    """(rows, columns) of a convolution's sums, and of the largest of them."""
    height, width, _ = layer.image
    rows, columns = height - layer.kernel + 1, width - layer.kernel + 1
    return (rows, columns), (rows // 2, columns // 2)


def layers(spec):
    """All layers of a model, from what its CBOR says."""
    found, sizes = [], list(spec[1:])
    if spec[0] == CNN:
        image, count, sizes = tuple(sizes[:3]), sizes[3], sizes[4:]
        for i in range(count):
            channels, kernel = sizes[2 * i : 2 * i + 2]
            found.append(Layer(kernel**2 * image[2], channels, image, kernel))
            image = (*places(found[-1])[1], channels)
        sizes = [image[0] * image[1] * image[2]] + sizes[2 * count :]
    return found + [Layer(*pair) for pair in zip(sizes, sizes[1:])]


def predicts_numbers(spec):
    return spec[0] in (LINEAR, REGRESSOR)


def parameter_count(spec):
    return sum((layer.inputs + 1) * layer.outputs for layer in layers(spec))


def model_in_bounds(spec):
    """Sections 2 and 3.1. a convolution's bounds hold for each of them, `sides` being those of the image that it reads;
    the features of an image are inputs, at most 65,536."""
    kind, sizes = spec[0], spec[1:]
    if kind not in range(5) or any(not 1 <= size for size in sizes):
        return False
    if kind == CNN:
        if len(sizes) < 4 or not 1 <= sizes[3] <= 4 or len(sizes) < 5 + 2 * sizes[3]:
            return False
        (height, width, before, count), dense = sizes[:4], sizes[4 + 2 * sizes[3] :]
        inputs, hidden = height * width * before, len(dense) - 1
        if not 0 <= hidden <= 8:
            return False
        for channels, kernel in zip(sizes[4 : 4 + 2 * count : 2], sizes[5 : 4 + 2 * count : 2]):
            sides, after = (height, width), (height - kernel + 1, width - kernel + 1)
            if not all(2 <= side <= 128 for side in sides) or not all(1 <= size <= 256 for size in (before, channels)):
                return False
            if kernel > 7 or kernel >= min(sides) or kernel**2 * before * after[0] * after[1] > 2**21:
                return False
            height, width = after[0] // 2, after[1] // 2
            if after[0] * after[1] * channels > 2**18 or height * width * channels > 65536:
                return False
            before = channels
    else:
        inputs, hidden, dense = sizes[0], len(sizes) - 2, sizes[1:]
        if hidden not in (range(1, 9) if kind in (MLP, REGRESSOR) else (0,)):
            return False
    few = 1 if predicts_numbers(spec) else 2
    return max([inputs, *dense[:-1]]) <= 65536 and few <= dense[-1] <= 256 and parameter_count(spec) <= 2**24


def starts_at_zero(spec):
    """A convolution is a hidden layer, so that a model of convolutions and one dense layer does not begin at zero."""
    return len(layers(spec)) == 1


def initial(spec, seed):
    """A model is a list of [rows of weights, biases], one for each layer."""
    model = []
    for number, layer in enumerate(layers(spec)):
        limit = 0 if starts_at_zero(spec) else isqrt(6 * 2**48 // layer.inputs)
        drawn = iter(numbers("initial weights", seed, number, layer.inputs * layer.outputs))
        rows = [[((next(drawn) >> 32) - 2**31) * limit >> 31 for _ in range(layer.inputs)] for _ in range(layer.outputs)]
        model.append([rows, [0] * layer.outputs])
    return model


def parameters(model):
    """In one list, as canonical bytes have them."""
    return [value for rows, biases in model for values in (*rows, biases) for value in values]


def model_of(spec, values):
    """The model that has these parameters."""
    left = iter(values)
    take = lambda count: [next(left) for _ in range(count)]
    model = [[[take(layer.inputs) for _ in range(layer.outputs)], take(layer.outputs)] for layer in layers(spec)]
    assert next(left, None) is None
    return model


def canonical(spec, model):
    values = parameters(model)
    return encode(list(spec)) + struct.pack(f"<{len(values)}i", *values)


def digest(spec, model):
    """BLAKE3 of the canonical bytes, without a label."""
    return blake3(canonical(spec, model))


def difference(before, after):
    return [clamp(b - a) for a, b in zip(parameters(before), parameters(after))]


# Softmax and loss: section 3, steps 3.


def _decimal(compute):
    with localcontext() as context:
        context.prec = 60
        return compute()


def _nearest(value):
    return int(_decimal(lambda: (value + Decimal("0.5")).__floor__()))


def power_table():
    """257 entries, `2^(-i/256)` in units of 2^-31, to nearest; the last is one half."""
    return [_nearest(_decimal(lambda: Decimal(2) ** (31 - Decimal(i) / 256))) for i in range(257)]


def log2_e():
    """The logarithm of e to base 2 in units of 2^-32, to nearest."""
    return _nearest(_decimal(lambda: 2**32 / Decimal(2).ln()))


TABLE, LOG2_E = power_table(), log2_e()


def distance(largest, logit, exponent):
    """The exact distance, rounded to 2^-16 as everywhere, then clamped to 2^32 units."""
    return min(shift(largest - logit, exponent - LOSS), 2**32)


def exponential(distance_units):
    """`exp(-d)` in units of 2^-31. `d log2 e` rounded down to 2^-16 (as `(d log2 e) >> 32` says); eight bits choose the entry,
    eight are for the interpolation; its product is rounded down, and so is the result when it is shifted by the whole part."""
    power = distance_units * LOG2_E >> 32
    entry, between = power >> 8 & 255, power & 255
    value = TABLE[entry] - ((TABLE[entry] - TABLE[entry + 1]) * between >> 8)
    return value >> (power >> 16)


def softmax(logits, exponent):
    """Probabilities in units of 2^-24. Ties of the quotient go towards plus infinity."""
    exponentials = [exponential(distance(max(logits), logit, exponent)) for logit in logits]
    total = sum(exponentials)
    return [(2 * (e << PROBABILITY) + total) // (2 * total) for e in exponentials]


def class_gradient(logits, exponent, label):
    """What is narrowed then, in units of 2^-24."""
    return [p - (2**PROBABILITY if i == label else 0) for i, p in enumerate(softmax(logits, exponent))]


def log2_of_sum(total):
    """`log2(total / 2^31)` in units of 2^-16: the whole part, then a bit for every squaring."""
    whole = total.bit_length() - 32
    mantissa, found = total >> whole, whole
    for _ in range(LOSS):
        mantissa, found = mantissa * mantissa >> 31, 2 * found
        if mantissa >= 2**32:
            mantissa, found = mantissa >> 1, found + 1
    return found


def class_loss(logits, exponent, label):
    """Of a sample the label's distance plus the logarithm of the sum of exponentials, in units of 2^-16."""
    distances = [distance(max(logits), logit, exponent) for logit in logits]
    ln_2 = _nearest(_decimal(lambda: Decimal(2).ln() * 2**32))
    return distances[label] + (log2_of_sum(sum(map(exponential, distances))) * ln_2 >> 32)


def residual(output, exponent, target, target_exponent):
    """In units of 2^-24."""
    value = clamp(shift(output, exponent - PROBABILITY), 2**40)
    return clamp(value - (target << (PROBABILITY - target_exponent)), 2**40)


# Section 5.


def next_weights(weights, sums, count, update_shift):
    return [clamp(w + half_even(s << update_shift, count)) for w, s in zip(weights, sums)]


# Section 6.


def sqrt_up(value):
    root = isqrt(value)
    return root + (root * root < value)


def direction(before, after, limit):
    """Of lists of parameters. the difference does not saturate."""
    moved = [b - a for a, b in zip(before, after)]
    norm = sqrt_up(sum(x * x for x in moved))
    room = limit - sqrt_up(-(-len(moved) // 4))
    return [half_even(x * room, norm) if norm else 0 for x in moved]
