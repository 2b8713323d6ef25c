"""Whether training does what it should: derivatives of the loss, in floats and by finite differences, against the gradients in integers."""

from math import exp, log

from . import learning, training
from .learning import CNN, MASTER, layers, predicts_numbers


def outputs(spec, weights, image):
    """Of one sample, in floats. `weights`: by layer, rows and biases."""
    x = image
    if spec[0] == CNN:
        (height, width, channels), count = spec[1:4], spec[4]
        x = [[x[(r * width + c) * channels : (r * width + c + 1) * channels] for c in range(width)] for r in range(height)]
        for (rows, biases), k in zip(weights[:count], spec[6 : 5 + 2 * count : 2]):
            patch = lambda r, c: [v for line in x[r : r + k] for pixel in line[c : c + k] for v in pixel]
            sums = lambda r, c: [sum(map(float.__mul__, w, patch(r, c))) + b for w, b in zip(rows, biases)]
            after = [[sums(r, c) for c in range(len(x[0]) - k + 1)] for r in range(len(x) - k + 1)]
            four = lambda r, c: zip(after[r][c], after[r][c + 1], after[r + 1][c], after[r + 1][c + 1])
            x = [[[max(0.0, *f) for f in four(r, c)] for c in range(0, len(after[0]) - 1, 2)] for r in range(0, len(after) - 1, 2)]
        x, weights = [v for line in x for pixel in line for v in pixel], weights[count:]
    for number, (rows, biases) in enumerate(weights):
        x = [max(0.0, v) if number else v for v in x]
        x = [sum(map(float.__mul__, w, x)) + b for w, b in zip(rows, biases)]
    return x


def loss(spec, weights, data):
    """What training descends: cross entropies, or half the squared errors."""
    total = 0.0
    for i, features in enumerate(data.features):
        z = outputs(spec, weights, [f / 2**data.exponent for f in features])
        if predicts_numbers(spec):
            total += sum((v - t / 2**data.target_exponent) ** 2 for v, t in zip(z, data.targets[i])) / 2
        else:
            total += log(sum(exp(v - z[data.labels[i]]) for v in z))
    return total


def agrees(spec):
    """Every gradient is within 1 % of the largest one of its layer from the quotient of differences, and the loss is the floats'."""
    sizes, seed, found = layers(spec), bytes([7]) * 32, 0
    inputs = spec[1] * spec[2] * spec[3] if spec[0] == CNN else spec[1]
    drawn = learning.numbers("shuffle", seed, 0, 4 * (inputs + spec[-1]) + learning.parameter_count(spec))
    rows = [[drawn.pop() % 513 - 256 for _ in range(inputs)] for _ in range(4)]
    targets = [[drawn.pop() % 1025 - 512 for _ in range(spec[-1])] for _ in range(4)]
    data = training.Data(rows, 8, None, targets, 9) if predicts_numbers(spec) else training.Data(rows, 8, [i % spec[-1] for i in range(4)])
    model = learning.initial(spec, seed)
    for part in model:
        for values in (*(part[0] if len(sizes) == 1 else []), part[1]):
            values[:] = [drawn.pop() % 2**22 - 2**21 for _ in values]
    floats = [[[[w / 2**MASTER for w in row] for row in part], [b / 2**MASTER for b in biases]] for part, biases in model]
    sums, exponent, seen = training.forward(spec, model, data.features, data.exponent)
    g = training.backward(spec, seen, *training.output_gradient(spec, sums, exponent, data, range(4)), None)
    for l, layer in enumerate(sizes):
        weights, biases = training.gradients_of(layer, seen[l].x, g[l][0], seen[l].taken)
        units = [2.0 ** -(g[l][1] + seen[l].exponent), 2.0 ** -g[l][1]]
        parts = [*zip(floats[l][0], weights, [units[0]] * layer.outputs), (floats[l][1], biases, units[1])]
        exact = [(values, k, v * unit) for values, row, unit in parts for k, v in enumerate(row)]
        largest = max(abs(v) for _, _, v in exact)
        for values, k, integer in exact:
            was, by = values[k], 1e-5
            values[k] = was + by
            above = loss(spec, floats, data)
            values[k] = was - by
            found = (above - loss(spec, floats, data)) / (2 * by)
            values[k] = was
            assert abs(found - integer) <= largest / 100, f"{spec}, layer {l}: a gradient of {integer} should be {found}"
    total = training.evaluate(spec, model, data)[1] / 2**learning.LOSS * (0.5 if predicts_numbers(spec) else 1)
    assert abs(total - loss(spec, floats, data)) < total / 100, f"{spec}: a loss of {total}"


def check():
    for spec in ([0, 5, 3], [1, 5, 6, 4, 3], [2, 4, 2], [3, 4, 5, 2], [4, 7, 6, 2, 1, 3, 2, 4, 3], [4, 9, 9, 1, 2, 2, 2, 3, 3, 4, 2]):
        assert learning.model_in_bounds(spec), spec
        agrees(spec)
    # What the document says in numbers.
    assert max(abs(learning.exponential(d) / 2**31 * exp(d / 65536) - 1) for d in range(0, 2**18, 77)) < 2e-5
    assert learning.narrow([4095, -4096, 8191], 30, 24) == ([64, -64, 128], 24)
    assert learning.narrow([8191, -8190, -8189], 20, 24) == ([4095, -4095, -4094], 19)
    assert [training.rate_over_batch(*pair) for pair in ((2**16, 1), (2**20, 3))] == [(32768, 15), (43691, 13)]
    assert [training.enlargement(rate) for rate in (1, 2**15, 2**15 + 1, 61440)] == [(32769, 1), (65536, 1), (32769, 2), (65536, 4)]
