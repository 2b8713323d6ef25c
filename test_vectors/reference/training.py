"""Training and evaluation of docs/learning.md, sections 3 to 3.2, and the ways of section 5.2 that change a training."""

import collections
import struct

from . import learning
from .learning import (
    GRADIENTS,
    LOSS,
    MASTER,
    PROBABILITY,
    STEP,
    WEIGHTS,
    clamp,
    half_even,
    layers,
    narrow,
    narrow_rows,
    numbers,
    permutation,
    places,
    predicts_numbers,
    shift,
    stream,
)

# Rows of features and their exponent; a label a row, or a row of targets and their exponent.
Data = collections.namedtuple("Data", "features exponent labels targets target_exponent", defaults=(None, None, None))
# `dropout` is null or a rate in units of 2^-16, `stochastic` whether steps are rounded stochastically.
Train = collections.namedtuple("Train", "epochs batch learning_rate momentum dropout stochastic seed", defaults=(None, False, bytes(32)))


def in_bounds(train):
    """protocol.md, section 4.1, and section 3.2: a dropout rate is from 1 to 61,440 (15/16)."""
    rates = 1 <= train.learning_rate <= 16 * 2**16 and 0 <= train.momentum < 2**16
    return 1 <= train.epochs <= 1000 and 1 <= train.batch <= 1024 and rates and (train.dropout is None or 1 <= train.dropout <= 61440)


# Step 5.


def rate_over_batch(learning_rate, batch):
    """(multiplier, exponent): `learning_rate * 2^-16 / batch` is about `multiplier * 2^-exponent`.

    The multiplier may be 2^16. `batch` is how many samples the batch has: fewer in the last one."""
    quotient = (learning_rate << 32) // batch
    bits = quotient.bit_length()
    return shift(quotient, bits - 16), 64 - bits


def step(weight, velocity, gradient, exponent, rate, momentum, upwards=None):
    """(weight, velocity) after a step. `upwards`: 0 to 15 of stochastic rounding."""
    taken = clamp(shift(rate[0] * gradient, rate[1] + exponent - STEP))
    velocity = clamp(shift(momentum * velocity, 16) + taken)
    moved = shift(velocity, STEP - MASTER) if upwards is None else (velocity + upwards) >> (STEP - MASTER)
    return clamp(weight - moved), velocity


# Section 3.2.


def step_stream(number, layer):
    """The stream of step `number`, counted from 0 over all epochs."""
    return 16 * number + layer


def dropped(seed, number, layer, rows, units, rate):
    """Which inputs are zero, row by row. `rows` is how many samples the batch has, rows counted within it."""
    drawn = struct.unpack(f"<{rows * units}H", stream("dropout", seed, step_stream(number, layer), 2 * rows * units))
    return [[drawn[i * units + u] < rate for u in range(units)] for i in range(rows)]


def enlargement(rate):
    """(c in units of 2^-16, t): `65536 / (65536 - rate)` is about `c * 2^(t - 16)`."""
    t = 1
    while 65536 > (65536 - rate) << t:
        t += 1
    return (2 * 65536**2 + ((65536 - rate) << t)) // ((65536 - rate) << (t + 1)), t


def enlarge(rows, exponent, rate):
    c, t = enlargement(rate)
    return [[shift(m * c, 16) for m in row] for row in rows], exponent - t


def upwards(seed, number, layer, inputs, outputs):
    """(by row of weights, of biases): what stochastic rounding adds, 0 to 15."""
    count = (inputs + 1) * outputs
    drawn = numbers("rounding", seed, step_stream(number, layer), -(-count // 16))
    bits = [drawn[n // 16] >> 4 * (n % 16) & 15 for n in range(count)]
    return [[bits[i * outputs + o] for i in range(inputs)] for o in range(outputs)], bits[inputs * outputs :]


# Sections 3 and 3.1: one layer. `x` and `g` are matrices of mantissas, a row a sample.


def aligned_bias(bias, exponent):
    """To nearest, ties towards plus infinity, where the exponent is below 24."""
    return clamp(shift(bias, MASTER - exponent), 2**56)


def pixels(layer, row, column):
    """Of a patch: the features of the image, row by row, column by column, channel by channel."""
    _, width, channels = layer.image
    span = range(layer.kernel)
    return [((row + r) * width + column + c) * channels + ch for r in span for c in span for ch in range(channels)]


def product(a, b):
    return sum(p * q for p, q in zip(a, b))


def largest_sums(layer, weights, biases, image):
    """(largest sums, (row, column) of each)."""
    (rows, columns), (half_rows, half_columns) = places(layer)
    sums = {}
    for row in range(rows):
        for column in range(columns):
            patch = [image[p] for p in pixels(layer, row, column)]
            sums[row, column] = [product(patch, w) + b for w, b in zip(weights, biases)]
    found, taken = [], []
    for row in range(half_rows):
        for column in range(half_columns):
            four = [(2 * row + r, 2 * column + c) for r in (0, 1) for c in (0, 1)]
            for channel in range(layer.outputs):
                taken.append(max(four, key=lambda place: sums[place][channel]))  # the first of several
                found.append(sums[taken[-1]][channel])
    return found, taken


def terms(layer, x, g, taken):
    """All (output, inputs' indices, inputs, gradient) of a batch that are not zero, with the row they belong to."""
    for i, (row, gradients) in enumerate(zip(x, g)):
        for n, gradient in enumerate(gradients):
            if layer.image is None:
                yield i, n, range(layer.inputs), row, gradient
            elif gradient:
                where = pixels(layer, *taken[i][n])
                yield i, n % layer.outputs, where, [row[p] for p in where], gradient


def gradients_of(layer, x, g, taken):
    """(dW, db): `G^T X` and the sums of G."""
    weights, biases = [[0] * layer.inputs for _ in range(layer.outputs)], [0] * layer.outputs
    for _, output, _, inputs, gradient in terms(layer, x, g, taken):
        biases[output] += gradient
        for k, value in enumerate(inputs):
            weights[output][k] += gradient * value
    return weights, biases


def gradients_before(layer, x, g, taken, weights):
    """`G W`, zero where the activation is."""
    before = [[0] * len(row) for row in x]
    for i, output, where, _, gradient in terms(layer, x, g, taken):
        for p, weight in zip(where, weights[output]):
            before[i][p] += gradient * weight
    return [[value if activation else 0 for value, activation in zip(*rows)] for rows in zip(before, x)]


# What a layer saw: inputs, narrowed weights, places taken (of a convolution), whether inputs were left out.
Seen = collections.namedtuple("Seen", "x exponent weights weights_exponent taken left_out")


def forward(spec, model, features, exponent, leave_out=None):
    """(sums of the last layer, their exponent, what each layer saw).

    `leave_out`: the dropout rate, and which inputs it makes zero, of (layer, rows, units)."""
    x, exponent = narrow_rows(features, exponent, WEIGHTS)
    seen, found = [], layers(spec)
    for number, (layer, (rows, biases)) in enumerate(zip(found, model)):
        left_out = number > 0 and layer.image is None and leave_out is not None
        if left_out:
            rate, drop = leave_out
            zero = drop(number, len(x), layer.inputs)
            x = [[0 if z else m for z, m in zip(*pair)] for pair in zip(zero, x)]
            x, exponent = enlarge(x, exponent, rate)
        weights, weights_exponent = narrow_rows(rows, MASTER, WEIGHTS)
        after = exponent + weights_exponent
        aligned = [aligned_bias(bias, after) for bias in biases]
        taken = None
        if layer.image is None:
            sums = [[product(row, w) + b for w, b in zip(weights, aligned)] for row in x]
        else:
            both = [largest_sums(layer, weights, aligned, row) for row in x]
            sums, taken = [s for s, _ in both], [t for _, t in both]
        seen.append(Seen(x, exponent, weights, weights_exponent, taken, left_out))
        if number + 1 == len(found):
            return sums, after, seen
        x, exponent = narrow_rows([[max(z, 0) for z in row] for row in sums], after, WEIGHTS)


def output_gradient(spec, sums, exponent, data, batch):
    """Mantissas and their exponent."""
    if predicts_numbers(spec):
        pairs = [zip(row, data.targets[i]) for row, i in zip(sums, batch)]
        rows = [[learning.residual(z, exponent, t, data.target_exponent) for z, t in pair] for pair in pairs]
    else:
        rows = [learning.class_gradient(row, exponent, data.labels[i]) for row, i in zip(sums, batch)]
    return narrow_rows(rows, PROBABILITY, GRADIENTS)


def backward(spec, seen, g, exponent, dropout):
    """(g, exponent) of every layer's outputs, first to last."""
    found = [(g, exponent)]
    for layer, s in list(zip(layers(spec), seen))[:0:-1]:
        before = gradients_before(layer, s.x, g, s.taken, s.weights)
        g, exponent = narrow_rows(before, exponent + s.weights_exponent, GRADIENTS)
        if s.left_out:
            g, exponent = enlarge(g, exponent, dropout)
        found.insert(0, (g, exponent))
    return found


# Section 5.2.


def pull(learning_rate, mu):
    """Of a proximal term, in units of 2^-24."""
    return (learning_rate * mu + 2**7) >> 8


def draw_back(weight, velocity, start, p, momentum):
    s = clamp(shift((weight - start) * p, 2 * MASTER - STEP))
    return clamp(weight - shift(s, STEP - MASTER)), clamp(velocity + s) if momentum else velocity


def adapter_exponent(inputs):
    a = 0
    while 4**a < inputs:
        a += 1
    return a


def adapter_signs(seed, round_number, number, rank, inputs):
    """A, without its factor `2^-a`: rows of 1 and -1."""
    count = rank * inputs
    drawn = numbers("adapters", seed, round_number * 2**32 + number, -(-count // 64))
    signs = [1 if drawn[i // 64] >> (i % 64) & 1 else -1 for i in range(count)]
    return [signs[r * inputs : (r + 1) * inputs] for r in range(rank)]


def adapted(rows, factor, signs, a):
    """`W + B A`."""
    moved = lambda b: [shift(product(b, column), a) for column in zip(*signs)]
    return [[clamp(w + m) for w, m in zip(row, moved(b))] for row, b in zip(rows, factor)]


def adapter_gradients(seen, g, outputs, signs, a):
    """(dB, exponent of the inputs' products `X A^T`). Convolutions have no adapters."""
    inputs, exponent = narrow_rows([[product(row, s) for s in signs] for row in seen.x], seen.exponent + a, WEIGHTS)
    found = [[sum(row[n] * x[k] for row, x in zip(g, inputs)) for k in range(len(signs))] for n in range(outputs)]
    return found, exponent


def adapters_sum_to(weights, signs, sums, count, update_shift, a):
    """The next model's weights of a layer; `sums` are rows of B."""
    moved = lambda b, column: half_even(product(b, column) << update_shift, count << a)
    return [[clamp(w + moved(b, column)) for w, column in zip(row, zip(*signs))] for row, b in zip(weights, sums)]


# The whole.

# Of a low-rank way: for each layer a rank, 0 (nothing is trained) or None (everything is).
LowRank = collections.namedtuple("LowRank", "ranks seed round")


def train(spec, start, data, how, mu=None, low_rank=None):
    """(the model after, what is sent as a list of numbers)."""
    assert in_bounds(how)
    found = layers(spec)
    ranks = low_rank.ranks if low_rank else [None] * len(found)
    signs, scales = [None] * len(found), [0] * len(found)
    # What is trained of a layer: weights or B, and biases.
    trained, effective = [], [[[list(row) for row in rows], list(biases)] for rows, biases in start]
    for number, (layer, rank) in enumerate(zip(found, ranks)):
        if rank:
            signs[number] = adapter_signs(low_rank.seed, low_rank.round, number, rank, layer.inputs)
            scales[number] = adapter_exponent(layer.inputs)
        matrix = [[0] * rank for _ in range(layer.outputs)] if rank else effective[number][0]
        trained.append([matrix, effective[number][1]])
    velocities = [[[[0] * len(row) for row in rows], [0] * len(biases)] for rows, biases in trained]
    number = 0
    for epoch in range(how.epochs):
        order = permutation(how.seed, epoch, len(data.features))
        for first in range(0, len(order), how.batch):
            batch = order[first : first + how.batch]
            drop = lambda layer, rows, units: dropped(how.seed, number, layer, rows, units, how.dropout)
            leave_out = None if how.dropout is None else (how.dropout, drop)
            sums, exponent, seen = forward(spec, effective, [data.features[i] for i in batch], data.exponent, leave_out)
            g = backward(spec, seen, *output_gradient(spec, sums, exponent, data, batch), how.dropout)
            rate = rate_over_batch(how.learning_rate, len(batch))
            for l, layer in enumerate(found):
                if ranks[l] == 0:
                    continue
                (rows, biases), (row_velocities, bias_velocities) = trained[l], velocities[l]
                weight_gradients, bias_gradients = gradients_of(layer, seen[l].x, g[l][0], seen[l].taken)
                exponent = seen[l].exponent
                if ranks[l]:
                    weight_gradients, exponent = adapter_gradients(seen[l], g[l][0], layer.outputs, signs[l], scales[l])
                up = upwards(how.seed, number, l, len(rows[0]), layer.outputs) if how.stochastic else None
                by_row = zip(rows, row_velocities, weight_gradients, start[l][0])
                parts = [(*row, g[l][1] + exponent) for row in by_row]
                parts.append((biases, bias_velocities, bias_gradients, start[l][1], g[l][1]))
                for place, (values, velocity, gradients, before, units) in enumerate(parts):
                    nudges = None if up is None else up[0][place] if place < layer.outputs else up[1]
                    for i, gradient in enumerate(gradients):
                        if mu is not None:
                            p = pull(how.learning_rate, mu)
                            values[i], velocity[i] = draw_back(values[i], velocity[i], before[i], p, how.momentum)
                        nudge = None if nudges is None else nudges[i]
                        values[i], velocity[i] = step(values[i], velocity[i], gradient, units, rate, how.momentum, nudge)
                if ranks[l]:
                    effective[l][0] = adapted(start[l][0], rows, signs[l], scales[l])
            number += 1
    kept = [l for l in range(len(found)) if ranks[l] != 0]
    before = [[[[0] * ranks[l] for _ in start[l][1]] if ranks[l] else start[l][0], start[l][1]] for l in kept]
    return effective, learning.difference(before, [trained[l] for l in kept])


def evaluate(spec, model, data):
    """(samples that are right, summed loss in units of 2^-16)."""
    correct, loss, squares = 0, 0, 0
    for first in range(0, len(data.features), 64):
        sums, exponent, _ = forward(spec, model, data.features[first : first + 64], data.exponent)
        for i, row in enumerate(sums, first):
            if predicts_numbers(spec):
                squares += sum(learning.residual(z, exponent, t, data.target_exponent) ** 2 for z, t in zip(row, data.targets[i]))
            else:
                correct += row.index(max(row)) == data.labels[i]
                loss += learning.class_loss(row, exponent, data.labels[i])
    return correct, min(loss + shift(squares, 2 * PROBABILITY - LOSS), 2**64 - 1)
