"""training.json: fixed-point training and its parts, models, evaluation, the update rule (learning.md)."""

from reference import learning, training
from reference.cbor import encode
from reference.learning import CNN, LINEAR, LOGISTIC, MLP, REGRESSOR, layers, parameter_count, predicts_numbers
from reference.training import Data, LowRank, Train

from .forms import case, integers, refused, seed, signed_summary

LIMIT = 2**31 - 1
SHORT = 100


def answer(values):
    """Signed integers as an answer: a list when it is short."""
    return values if len(values) <= SHORT else signed_summary(values)


def rows_of(values, width):
    return [values[i : i + width] for i in range(0, len(values), width)]


def inputs_of(spec):
    return spec[1] * spec[2] * spec[3] if spec[0] == CNN else spec[1]


# Data sets: (Data, its fields). Every sample is written one after the other.


def data_set(spec, features, written, exponent, wanted=None, target_exponent=None):
    """`wanted`: labels, or all samples' targets; without it the features choose what is to be learnt."""
    rows, last = rows_of(features, inputs_of(spec)), spec[-1]
    # A sample's scores are sums over some of its features: something that can be learnt.
    scores = [[sum(row[i::last]) if i < len(row) else -sum(row) for i in range(last)] for row in rows]
    fields = {"samples": len(rows), "features": written, "exponent": exponent}
    if predicts_numbers(spec):
        if wanted is None:
            wanted, target_exponent = [max(-(2**15), min(2**15 - 1, s)) for row in scores for s in row], exponent
        data = Data(rows, exponent, None, rows_of(wanted, last), target_exponent)
        return data, {**fields, "targets": wanted, "target_exponent": target_exponent}
    wanted = wanted or [row.index(max(row)) for row in scores]
    return Data(rows, exponent, wanted), {**fields, "labels": wanted}


def drawn(spec, name, samples, bound=256, exponent=8):
    """Features from a name; 256 at 8 fraction bits are pixels, about."""
    features, written = integers(name, bound, samples * inputs_of(spec))
    return data_set(spec, features, written, exponent)


def listed(spec, features, exponent, wanted=None, target_exponent=None):
    return data_set(spec, features, features, exponent, wanted, target_exponent)


def extremes(spec, samples, exponent=0, **wanted):
    """The smallest and the largest feature, in turn and never in step with the samples."""
    count = samples * inputs_of(spec)
    return listed(spec, [-(2**15) if i * 7 % 5 < 2 else 2**15 - 1 for i in range(count)], exponent, **wanted)


# Where a training starts: (model, how it is written).


def seeded(spec, i):
    return learning.initial(spec, seed(i)), {"seed": seed(i).hex()}


def given(spec, values, written=None):
    return learning.model_of(spec, values), {"parameters": values if written is None else written}


def scattered(spec, name, bound):
    return given(spec, *integers(name, bound, parameter_count(spec)))


def at_limits(spec):
    return given(spec, [LIMIT if i % 3 else -LIMIT for i in range(parameter_count(spec))])


def settings(how):
    fields = {"epochs": how.epochs, "batch": how.batch, "learning_rate": how.learning_rate, "momentum": how.momentum}
    return {**fields, "dropout": how.dropout, "rounding": "stochastic" if how.stochastic else None}


def trained(spec, start, data, how, mu=None, ranks=None, round_number=None):
    """All fields of a training, answers included."""
    (model, written), (samples, data_fields) = start, data
    fields = {"model": spec, "start": written, **data_fields, **settings(how), "seed": how.seed.hex()}
    low_rank = ranks and LowRank(ranks, seed(0x77), round_number)
    if mu is not None:
        fields["mu"] = mu
    if low_rank:
        fields.update(ranks=ranks, task_seed=low_rank.seed.hex(), round=round_number)
    after, sent = training.train(spec, model, samples, how, mu, low_rank)
    correct, loss = training.evaluate(spec, after, samples)
    fields.update(initial=learning.digest(spec, model).hex(), difference=answer(learning.difference(model, after)))
    if low_rank:
        fields["sent"] = answer(sent)
    return {**fields, "trained": learning.digest(spec, after).hex(), "correct": correct, "loss": loss}


LOGISTIC_6, MLP_6, MLP_DEEP = [LOGISTIC, 6, 3], [MLP, 6, 8, 4], [MLP, 7, 6, 5, 6, 3]
LINEAR_5, REGRESSOR_5 = [LINEAR, 5, 2], [REGRESSOR, 5, 7, 2]
CNN_BARE, CNN_6, CNN_TWO = [CNN, 7, 6, 2, 1, 4, 3, 3], [CNN, 8, 8, 1, 1, 3, 3, 8, 4], [CNN, 11, 10, 1, 2, 3, 2, 4, 3, 6, 3]
RATE = 2**16


def trainings(add):
    def run(name, spec, start, data, *how, kind="train", mu=None, ranks=None, round_number=None, **options):
        how = Train(*how, **{"seed": seed(0x31), **options})
        add(case(name, kind, **trained(spec, start, data, how, mu, ranks, round_number)))

    # One step each, so that a mismatch is easily found.
    dense = [(LOGISTIC_6, "logistic"), (MLP_6, "mlp"), (LINEAR_5, "linear"), (REGRESSOR_5, "regressor")]
    for spec, name in [*dense, (CNN_BARE, "cnn"), (CNN_6, "cnn and a hidden layer")]:
        run(f"{name}: one step", spec, seeded(spec, 1), drawn(spec, f"{name} samples", 6), 1, 6, RATE // 4, 0)
    # Batches that do not divide the samples, momentum.
    run("logistic: momentum", LOGISTIC_6, seeded(LOGISTIC_6, 1), drawn(LOGISTIC_6, "logistic samples", 25), 3, 8, RATE, 58982)
    run("logistic: batches of one", LOGISTIC_6, seeded(LOGISTIC_6, 1), drawn(LOGISTIC_6, "logistic samples", 7), 2, 1, 6554, 0)
    run("logistic: a batch larger than the data", LOGISTIC_6, seeded(LOGISTIC_6, 1), drawn(LOGISTIC_6, "logistic samples", 7), 2, 1024,
        RATE, 0)
    wide = [LOGISTIC, 300, 2]
    run("logistic: more than a block of inputs", wide, scattered(wide, "wide weights", 2**29),
        drawn(wide, "wide samples", 9, 2**15 - 1, 15), 2, 4, RATE // 16, 30000)
    run("logistic: 256 classes", [LOGISTIC, 1, 256], seeded([LOGISTIC, 1, 256], 1),
        listed([LOGISTIC, 1, 256], [5, -3, 100], 4, [255, 0, 7]), 1, 2, RATE, 0)
    run("logistic: batches of 64 are evaluated", LOGISTIC_6, scattered(LOGISTIC_6, "some weights", 2**24),
        drawn(LOGISTIC_6, "many samples", 131, 300, 7), 1, 50, 655, 0)
    run("mlp: momentum", MLP_6, seeded(MLP_6, 2), drawn(MLP_6, "mlp samples", 21), 3, 8, 5243, 58982)
    run("mlp: three hidden layers", MLP_DEEP, seeded(MLP_DEEP, 3), drawn(MLP_DEEP, "deep samples", 13), 2, 5, 13107, 32768, seed=seed(0x32))
    deepest = [MLP, 3, 4, 3, 4, 3, 4, 3, 4, 3, 2]
    run("mlp: eight hidden layers", deepest, scattered(deepest, "deepest weights", 2**24), drawn(deepest, "deepest samples", 5), 2, 3,
        655, 0)
    run("linear: momentum", LINEAR_5, seeded(LINEAR_5, 4), drawn(LINEAR_5, "linear samples", 17), 3, 5, 6554, 30000)
    run("regressor: momentum", REGRESSOR_5, seeded(REGRESSOR_5, 5), drawn(REGRESSOR_5, "regressor samples", 17), 3, 5, 3277, 58982)
    run("cnn: two convolutions, momentum", CNN_TWO, seeded(CNN_TWO, 6), drawn(CNN_TWO, "images", 5, 255), 2, 2, 3277, 58982)
    pixel = [CNN, 4, 5, 3, 1, 2, 1, 2]
    run("cnn: kernels of one pixel", pixel, scattered(pixel, "pixel weights", 2**24), drawn(pixel, "pixels", 7), 2, 3, 6554, 0)
    equal = given(CNN_BARE, [2**22] * parameter_count(CNN_BARE))
    run("cnn: places that are equally large", CNN_BARE, equal, listed(CNN_BARE, [256 - i // 84 for i in range(3 * 84)], 8, [0, 1, 2]), 1,
        3, RATE // 4, 0)
    # Larger ones, with everything.
    large = [MLP, 300, 20, 10]
    run("mlp: 300 inputs", large, seeded(large, 8), drawn(large, "large samples", 12), 2, 5, 6554, 58982, dropout=13107, stochastic=True)
    image = [CNN, 14, 15, 3, 2, 8, 3, 5, 2, 12, 10]
    run("cnn: 14x15x3", image, seeded(image, 9), drawn(image, "large images", 6, 255), 2, 4, 6554, 58982, dropout=13107, stochastic=True)
    # Dropout and stochastic rounding.
    run("mlp: dropout", MLP_DEEP, seeded(MLP_DEEP, 3), drawn(MLP_DEEP, "deep samples", 13), 2, 5, 13107, 0, dropout=13107)
    run("mlp: dropout of a half", MLP_6, seeded(MLP_6, 2), drawn(MLP_6, "mlp samples", 13), 1, 5, 13107, 58982, dropout=2**15)
    run("mlp: the most dropout", MLP_6, seeded(MLP_6, 2), drawn(MLP_6, "mlp samples", 13), 2, 5, 13107, 0, dropout=61440)
    run("regressor: the least dropout", REGRESSOR_5, seeded(REGRESSOR_5, 5), drawn(REGRESSOR_5, "regressor samples", 9), 2, 4, 3277, 0,
        dropout=1)
    run("logistic: nothing to leave out", LOGISTIC_6, seeded(LOGISTIC_6, 1), drawn(LOGISTIC_6, "logistic samples", 6), 1, 6, RATE // 4, 0,
        dropout=2**15)
    run("cnn: dropout", CNN_6, seeded(CNN_6, 7), drawn(CNN_6, "cnn and a hidden layer samples", 6), 2, 4, 6554, 30000, dropout=20000)
    run("logistic: stochastic rounding", LOGISTIC_6, seeded(LOGISTIC_6, 1), drawn(LOGISTIC_6, "logistic samples", 9), 2, 4, 1, 0,
        stochastic=True)
    run("mlp: stochastic rounding, momentum", MLP_6, seeded(MLP_6, 2), drawn(MLP_6, "mlp samples", 9), 2, 4, 655, 58982, stochastic=True)
    run("cnn: stochastic rounding, dropout", CNN_6, seeded(CNN_6, 7), drawn(CNN_6, "cnn and a hidden layer samples", 5), 1, 2, 655, 0,
        dropout=10000, stochastic=True)
    # Extremes: features, weights, rates, momenta, targets.
    run("logistic: extremes", LOGISTIC_6, at_limits(LOGISTIC_6), extremes(LOGISTIC_6, 5, 0, wanted=[0, 1, 2, 2, 1]), 2, 2, 2**20, 65535)
    run("logistic: the smallest rate of the largest batch", LOGISTIC_6, seeded(LOGISTIC_6, 1), extremes(LOGISTIC_6, 5, 15), 1, 1024, 1, 0)
    run("logistic: no feature", LOGISTIC_6, seeded(LOGISTIC_6, 1), listed(LOGISTIC_6, [0] * 24, 15, [0, 1, 2, 0]), 2, 3, RATE, 0)
    run("mlp: extremes", MLP_6, scattered(MLP_6, "large weights", LIMIT), extremes(MLP_6, 5, 0), 2, 2, 2**20, 65535, stochastic=True)
    run("mlp: all weights at their limits", MLP_DEEP, at_limits(MLP_DEEP), extremes(MLP_DEEP, 4, 0, wanted=[0, 1, 2, 0]), 1, 3, 2**20, 0)
    run("regressor: extremes", REGRESSOR_5, scattered(REGRESSOR_5, "large weights", LIMIT),
        extremes(REGRESSOR_5, 5, 0, wanted=[-(2**15), 2**15 - 1] * 5, target_exponent=0), 2, 3, 2**20, 65535)
    run("linear: targets below one", LINEAR_5, seeded(LINEAR_5, 4),
        listed(LINEAR_5, [i * 1000 - 12000 for i in range(25)], 15, [i * i * 300 - 9000 for i in range(10)], 15), 2, 5, RATE, 0)
    run("cnn: extremes", CNN_BARE, scattered(CNN_BARE, "large weights", LIMIT), extremes(CNN_BARE, 3, 0), 2, 2, 2**20, 65535)
    # Ways that change a training.
    run("logistic: proximal", LOGISTIC_6, scattered(LOGISTIC_6, "some weights", 2**24), drawn(LOGISTIC_6, "logistic samples", 13), 2, 4,
        RATE, 0, kind="proximal", mu=6554)
    run("mlp: proximal, momentum", MLP_6, seeded(MLP_6, 2), drawn(MLP_6, "mlp samples", 13), 2, 4, 5243, 58982, kind="proximal", mu=65536)
    run("mlp: the strongest pull", MLP_6, scattered(MLP_6, "large weights", LIMIT), extremes(MLP_6, 5, 0), 2, 2, 2**16, 65535,
        kind="proximal", mu=2**16, stochastic=True)
    run("mlp: low rank, the last in full", MLP_6, seeded(MLP_6, 2), drawn(MLP_6, "mlp samples", 13), 2, 4, 13107, 58982, kind="low-rank",
        ranks=[2, None], round_number=5)
    run("mlp: low rank, frozen, dropout, rounding", MLP_DEEP, seeded(MLP_DEEP, 3), drawn(MLP_DEEP, "deep samples", 13), 2, 5, 13107, 0,
        kind="low-rank", ranks=[3, 2, 0, 1], round_number=2, dropout=13107, stochastic=True)
    run("cnn: low rank", CNN_TWO, seeded(CNN_TWO, 6), drawn(CNN_TWO, "images", 4, 255), 1, 2, 6554, 0, kind="low-rank",
        ranks=[0, None, 3, None], round_number=3)


def numbers_and_models(add):
    for label, step, count in [
        ("initial weights", 0, 5),
        ("shuffle", 1, 9),
        ("dropout", 2**40 + 3, 3),
        ("rounding", 16, 2),
        ("adapters", 2**32 + 1, 2),
    ]:
        found = learning.numbers(label, seed(9), step, count)
        add(case(f"{label}, {step}", "stream", label=label, seed=seed(9).hex(), step=step, numbers=found))
    for epoch, samples in [(0, 1), (0, 10), (1, 10), (2, 40)]:
        order = learning.permutation(seed(8), epoch, samples)
        add(case(f"{samples} in epoch {epoch}", "permutation", seed=seed(8).hex(), epoch=epoch, order=order))
    for name, spec in [
        ("logistic", LOGISTIC_6),
        ("linear", LINEAR_5),
        ("mlp", MLP_6),
        ("regressor", REGRESSOR_5),
        ("one input", [MLP, 1, 2, 2]),
        ("deep", MLP_DEEP),
        ("cnn", CNN_TWO),
        ("cnn without hidden layers", CNN_BARE),
    ]:
        model = learning.initial(spec, seed(5))
        fields = {"model": spec, "seed": seed(5).hex(), "parameters": answer(learning.parameters(model))}
        add(case(name, "initial", **fields, digest=learning.digest(spec, model).hex()))
    model, written = scattered(LINEAR_5, "canonical", LIMIT)
    fields = {"model": LINEAR_5, **written, "bytes": learning.canonical(LINEAR_5, model).hex()}
    add(case("linear", "canonical", **fields, digest=learning.digest(LINEAR_5, model).hex()))
    for name, values, exponent, most in [
        ("zeros", [0, 0], 24, 24),
        ("zeros with more bits", [0, 0], 40, 32),
        ("short", [4095, -4095, 1], 24, 24),
        ("one bit too long", [4096, -4095, -4094, -1, 1, 2, 3, -3], 20, 24),
        ("clamped", [8191, 8190, -8191, -8190, 8189], 20, 24),
        ("ties", [-20475, -20474, 20474, 2, -2, 6, -6], 20, 24),
        ("by the exponent", [100, -100, 7, 8, -8, -9], 28, 24),
        ("by both", [2**40 + 2**28, -(2**40) - 2**28, 2**28 - 1, 2**28], 30, 24),
        ("of features", [-(2**15), 2**15 - 1, 8, -8, 7], 0, 24),
        ("of weights", [LIMIT, -LIMIT, 2**18, -(2**18), 2**18 - 1], 24, 24),
        ("a shift beyond all bits", [5, -5], 100, 32),
    ]:
        mantissas, narrowed = learning.narrow(values, exponent, most)
        add(case(name, "narrow", values=values, exponent=exponent, most=most, mantissas=mantissas, narrowed=narrowed))
    for name, spec in [
        ("logistic", [LOGISTIC, 1, 2]),
        ("the largest logistic", [LOGISTIC, 65535, 256]),
        ("mlp", [MLP, 64, 48, 32, 10]),
        ("eight hidden layers", [MLP, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2]),
        ("one number", [LINEAR, 1, 1]),
        ("regressor", [REGRESSOR, 65536, 255, 1]),
        ("cnn", [CNN, 28, 28, 1, 2, 8, 3, 16, 3, 64, 10]),
        ("the smallest image", [CNN, 2, 2, 1, 1, 1, 1, 2]),
        ("four convolutions", [CNN, 64, 64, 3, 4, 8, 3, 8, 3, 8, 3, 8, 3, 10]),
    ]:
        assert learning.model_in_bounds(spec), spec
        add(case(name, "model", cbor=encode(spec).hex(), model=spec, parameters=parameter_count(spec)))
    for name, how in [("least", Train(1, 1, 1, 0)), ("most", Train(1000, 1024, 2**20, 65535, 61440, True))]:
        add(case(name, "settings", **settings(how)))


def steps(add):
    """Softmax to the new weight, one number after the other."""
    for name, logits, exponent, label in [
        ("equal", [7, 7, 7], 20, 1),
        ("two", [2**20, 0], 20, 1),
        ("by units of 2^-16", [0, -1, -2, -127, -128, -255, -256, -257, -383, -65535, -65536, -100000], 16, 3),
        ("one after the other", [0, *(-(i**2) * 97 for i in range(1, 40))], 20, 39),
        ("many bits", [2**44, 2**44 - 12345678901, 2**43, -(2**44)], 44, 0),
        ("ties of the distance", [0, -8, -24, -40, -7, -9], 20, 5),
        ("no fraction bits", [3, 2, 0, -5, -30], 0, 2),
        ("fewer than none", [3, 2, 0, -5], -4, 3),
        ("exponent 1", [40, 19, 18], 1, 1),
        ("the last exponentials above nothing", [0, *(-(i << 12) for i in range(330, 360))], 16, 1),
        ("the largest distance", [2**57, -(2**57)], 0, 1),
        ("the largest distance, right", [2**57, -(2**57)], 0, 0),
        # Where another rounding, of the shift by the whole part, of the interpolation or of log2 e, is seen in the probabilities.
        ("a shift rounded down", [0, -45507], 16, 0),
        ("an interpolation rounded down", [0, -2565], 16, 0),
        ("an interpolation from above", [0, -379], 16, 0),
        ("the logarithm of e to nearest", [0, -134395], 16, 0),
        ("256 classes", integers("logits", 2**26, 256)[0], 22, 255),
    ]:
        exponentials = [learning.exponential(learning.distance(max(logits), z, exponent)) for z in logits]
        fields = {"logits": logits, "exponent": exponent, "label": label, "exponentials": exponentials}
        fields["gradient"] = learning.class_gradient(logits, exponent, label)
        add(case(name, "softmax", **fields, loss=learning.class_loss(logits, exponent, label)))
    for name, outputs, exponent, targets, target_exponent in [
        ("rounded", [2**30, 2**30 + 32, 2**30 + 31, -32, -33, 0], 30, [3, -3, 0, 1, 1, -(2**15)], 15),
        ("few bits", [5, -5, 200], 3, [-(2**15), 2**15 - 1, 1], 0),
        ("clamped", [2**50, -(2**50), 2**50, -(2**50)], 24, [2**15 - 1, -(2**15), -(2**15), 2**15 - 1], 0),
    ]:
        found = [learning.residual(z, exponent, t, target_exponent) for z, t in zip(outputs, targets)]
        fields = {"outputs": outputs, "exponent": exponent, "targets": targets, "target_exponent": target_exponent, "gradient": found}
        add(case(name, "residual", **fields, loss=learning.shift(sum(r * r for r in found), 32)))
    for exponent in (48, 30, 24, 23, 20, 2, -4):
        biases = [LIMIT, -LIMIT, 1, -1, 8, -8, 24, -24, 2**21, -(2**21)]
        add(case(f"to {exponent}", "bias", biases=biases, exponent=exponent, aligned=[training.aligned_bias(b, exponent) for b in biases]))
    rates = [(1, 1), (1, 1024), (2**16, 1), (2**16, 8), (2**16, 3), (2**20, 1), (2**20 - 1, 1), (2**20 - 8, 1), (65535, 1)]
    rates += [(131073, 1), (131075, 1), (131071, 2), (5243, 8), (58982, 1000), (2**20 - 24, 1)]
    for learning_rate, batch in rates:
        multiplier, exponent = training.rate_over_batch(learning_rate, batch)
        fields = {"learning_rate": learning_rate, "batch": batch, "multiplier": multiplier, "exponent": exponent}
        add(case(f"{learning_rate} over {batch}", "rate", **fields))
    weights = [0, 2**24, -(2**24), LIMIT, -LIMIT, LIMIT - 5, 12345678, -12345678]
    velocities = [0, -8, 8, -LIMIT, LIMIT, 1, -1, 99999]
    gradients = [1, -(2**33), 2**33, -5, 5, 2**20 + 1, -(2**20) - 1, 123456789]
    for name, learning_rate, batch, momentum, exponent, up in [
        ("plain", 2**14, 6, 0, 20, None),
        ("with momentum", 2**14, 6, 58982, 20, None),
        ("the largest", 2**20, 1, 65535, 0, None),
        ("the smallest", 1, 1024, 1, 60, None),
        ("stochastic", 2**14, 7, 58982, 32, [0, 15, 7, 8, 9, 1, 2, 14]),
    ]:
        before = [0] * 8 if momentum == 0 else velocities
        rate = training.rate_over_batch(learning_rate, batch)
        after = [training.step(w, v, g, exponent, rate, momentum, u) for w, v, g, u in zip(weights, before, gradients, up or [None] * 8)]
        fields = {"learning_rate": learning_rate, "batch": batch, "momentum": momentum, "exponent": exponent, "upwards": up}
        fields.update(weights=weights, velocities=before, gradients=gradients)
        add(case(name, "step", **fields, after=[w for w, _ in after], after_velocities=[v for _, v in after] if momentum else [0] * 8))
    for number, layer, rows, units, rate in [(0, 1, 3, 5, 2**15), (7, 2, 2, 9, 13107), (1, 1, 2, 6, 61440)]:
        zero = training.dropped(seed(6), number, layer, rows, units, rate)
        fields = {"seed": seed(6).hex(), "step": number, "layer": layer, "rows": rows, "units": units, "rate": rate}
        add(case(f"step {number}, layer {layer}", "dropped", **fields, zero=[i for i, z in enumerate(sum(zero, [])) if z]))
    mantissas = [0, 1, -1, 2, -2, 3, -3, 100, -100, 4095, -4095]
    for rate in (1, 6554, 13107, 2**15 - 1, 2**15, 2**15 + 1, 45875, 49152, 61440):
        c, t = training.enlargement(rate)
        (large,), exponent = training.enlarge([mantissas], 20, rate)
        fields = {"rate": rate, "factor": c, "power": t, "mantissas": mantissas, "exponent": 20}
        add(case(f"rate {rate}", "enlarge", **fields, enlarged=large, lowered=exponent))
    for number, layer, inputs, outputs in [(0, 0, 5, 3), (3, 2, 1, 4)]:
        weights, biases = training.upwards(seed(6), number, layer, inputs, outputs)
        fields = {"seed": seed(6).hex(), "step": number, "layer": layer, "inputs": inputs, "outputs": outputs}
        add(case(f"step {number}, layer {layer}", "upwards", **fields, weights=sum(weights, []), biases=biases))


def logits(add):
    for name, spec, start, (data, fields) in [
        ("logistic", LOGISTIC_6, scattered(LOGISTIC_6, "some weights", 2**24), drawn(LOGISTIC_6, "logistic samples", 3)),
        ("mlp", MLP_DEEP, seeded(MLP_DEEP, 3), drawn(MLP_DEEP, "deep samples", 4)),
        ("large weights", MLP_6, scattered(MLP_6, "large weights", LIMIT), extremes(MLP_6, 3, 3)),
        ("small features", REGRESSOR_5, scattered(REGRESSOR_5, "small weights", 2**9), drawn(REGRESSOR_5, "small samples", 3, 3, 15)),
        ("one convolution", CNN_BARE, scattered(CNN_BARE, "some weights", 2**24), drawn(CNN_BARE, "images", 3, 255)),
        ("two convolutions", CNN_TWO, scattered(CNN_TWO, "some weights", 2**22), drawn(CNN_TWO, "images", 2, 255)),
    ]:
        sums, exponent, _ = training.forward(spec, start[0], data.features, data.exponent)
        fields = {key: fields[key] for key in ("samples", "features")}
        written = {"model": spec, "start": start[1], **fields, "exponent": data.exponent}
        add(case(name, "logits", **written, logits=sum(sums, []), logits_exponent=exponent))


def evaluations_and_next_models(add):
    uneven = [(i * 37 % 101 - 50) * (100 if i > 64 * 6 else 1) for i in range(130 * 6)]
    far = extremes(LINEAR_5, 5, 0, wanted=[-(2**15), 2**15 - 1] * 5, target_exponent=0)
    for name, spec, start, (data, fields) in [
        ("the first of equal ones", LOGISTIC_6, seeded(LOGISTIC_6, 1), listed(LOGISTIC_6, [1] * 18, 8, [0, 1, 2])),
        ("batches of 64", MLP_6, seeded(MLP_6, 2), listed(MLP_6, uneven, 10)),
        ("certain and wrong", LOGISTIC_6, at_limits(LOGISTIC_6), extremes(LOGISTIC_6, 5, 0)),
        ("the largest residuals", LINEAR_5, at_limits(LINEAR_5), far),
        ("images", CNN_TWO, seeded(CNN_TWO, 6), drawn(CNN_TWO, "images", 9, 255)),
    ]:
        correct, loss = training.evaluate(spec, start[0], data)
        add(case(name, "evaluate", model=spec, start=start[1], **fields, correct=correct, loss=loss))
    for name, weights, sums, count, by in [
        ("ties", [0, 0, 0, 0, 10, 10], [1, 3, -1, -3, 5, -5], 2, 0),
        ("thirds", [1, 1, 1, 1], [1, 2, -1, -2], 3, 4),
        ("ties of a shift", [5, 5, 5, 5], [1, 3, 5, -7], 2**15, 14),
        ("clamped", [LIMIT, -LIMIT, LIMIT, -LIMIT], [2**63 - 1, -(2**63), -(2**63), 2**63 - 1], 1, 24),
        ("many", [123456, -123456], [987654321987, -987654321987], 49999, 14),
    ]:
        fields = {"weights": weights, "sums": sums, "count": count, "update_shift": by}
        add(case(name, "update", **fields, next=learning.next_weights(weights, sums, count, by)))
    for rank, inputs, round_number, layer in [(2, 6, 1, 0), (3, 33, 70000, 4)]:
        signs, a = training.adapter_signs(seed(6), round_number, layer, rank, inputs), training.adapter_exponent(inputs)
        fields = {"seed": seed(6).hex(), "round": round_number, "layer": layer, "rank": rank, "inputs": inputs}
        add(case(f"{rank} of {inputs}", "adapter", **fields, signs=sum(signs, []), exponent=a))
        weights, sums = integers("adapted weights", LIMIT, 2 * inputs)[0], integers("sums of adapters", 2**30, 2 * rank)[0]
        after = training.adapters_sum_to(rows_of(weights, inputs), signs, rows_of(sums, rank), 7, 10, a)
        fields.update(weights=weights, sums=sums, count=7, update_shift=10)
        add(case(f"{rank} of {inputs}", "adapter-update", **fields, next=sum(after, [])))
    before, after = integers("before", LIMIT, 40)[0], integers("after", LIMIT, 40)[0]
    for name, a, b, limit in [
        ("far", before, after, 2**20),
        ("the least limit", before, after, 14),
        ("nowhere", before, before, 100),
        ("ties", [0] * 9, [3, -4, 0, 0, 0, 0, 0, 12, 0], 29),
    ]:
        add(case(name, "direction", before=a, after=b, limit=limit, direction=learning.direction(a, b, limit)))


def refusals(cases):
    corrupted = []
    for name, spec in [
        ("no inputs", [LOGISTIC, 0, 2]),
        ("one class", [LOGISTIC, 3, 1]),
        ("257 classes", [MLP, 3, 3, 257]),
        ("257 numbers", [LINEAR, 3, 257]),
        ("no numbers", [REGRESSOR, 3, 3, 0]),
        ("65,537 inputs", [LOGISTIC, 65537, 2]),
        ("65,537 units", [MLP, 1, 65537, 2]),
        ("more than 2^24 parameters", [LOGISTIC, 65536, 256]),
        ("no hidden layer", [MLP, 3, 2]),
        ("a hidden layer of logistic regression", [LOGISTIC, 3, 3, 2]),
        ("nine hidden layers", [MLP, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2]),
        ("an empty hidden layer", [MLP, 3, 0, 2]),
        ("no convolution", [CNN, 8, 8, 1, 0, 2]),
        ("five convolutions", [CNN, 128, 128, 1, 5, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2]),
        ("a kernel of the sides", [CNN, 3, 3, 1, 1, 1, 3, 2]),
        ("a kernel of eight", [CNN, 28, 28, 1, 1, 1, 8, 2]),
        ("no kernel", [CNN, 28, 28, 1, 1, 1, 0, 2]),
        ("a side of one", [CNN, 1, 8, 1, 1, 1, 1, 2]),
        ("a side of 129", [CNN, 129, 8, 1, 1, 1, 3, 2]),
        ("257 channels", [CNN, 8, 8, 1, 1, 257, 3, 2]),
        ("nothing left for the second", [CNN, 4, 4, 1, 2, 1, 3, 1, 1, 2]),
        ("too many places and channels", [CNN, 65, 65, 1, 1, 67, 3, 2]),
        ("too many numbers in patches", [CNN, 128, 128, 3, 1, 1, 7, 2]),
        ("another kind", [5, 3, 2]),
    ]:
        assert not learning.model_in_bounds(spec), spec
        corrupted.append(refused(name, "model", "model", cbor=encode(spec).hex(), model=spec, parameters=0))
    least = Train(1, 1, 1, 0)
    for name, change in [
        ("no epoch", {"epochs": 0}),
        ("1,001 epochs", {"epochs": 1001}),
        ("no batch", {"batch": 0}),
        ("batches of 1,025", {"batch": 1025}),
        ("a rate of zero", {"learning_rate": 0}),
        ("a rate above 16", {"learning_rate": 2**20 + 1}),
        ("a dropout above 15/16", {"dropout": 61441}),
    ]:
        assert not training.in_bounds(least._replace(**change))
        corrupted.append(refused(name, "settings", "training", **settings(least._replace(**change))))
    by_name = {one["name"]: one for one in cases if one["kind"] == "train"}
    for of, name, change in [
        ("mlp: one step", "one unit more", lambda c: {"difference": answer([c["difference"][0] + 1] + c["difference"][1:])}),
        ("logistic: momentum", "another order", lambda c: {"seed": seed(0x33).hex()}),
        ("logistic: momentum", "a little less momentum", lambda c: {"momentum": c["momentum"] - 1}),
        ("mlp: momentum", "a little more of a rate", lambda c: {"learning_rate": c["learning_rate"] + 1}),
        ("mlp: momentum", "an epoch less", lambda c: {"epochs": c["epochs"] - 1}),
        ("mlp: dropout", "no dropout", lambda c: {"dropout": None}),
        ("mlp: dropout", "another seed of dropout", lambda c: {"seed": seed(0x33).hex()}),
        ("mlp: stochastic rounding, momentum", "rounded to nearest", lambda c: {"rounding": None}),
        ("regressor: momentum", "a target bit", lambda c: {"targets": [c["targets"][0] ^ 1] + c["targets"][1:]}),
        ("cnn: one step", "an image turned", lambda c: {"model": [CNN, 6, 7, *c["model"][3:]]}),
        ("cnn: two convolutions, momentum", "one sample right more", lambda c: {"correct": c["correct"] + 1}),
        ("linear: momentum", "one unit of loss less", lambda c: {"loss": c["loss"] - 1}),
    ]:
        changed = {**by_name[of], **change(by_name[of]), "name": f"{of}: {name}"}
        corrupted.append({**changed, "error": "differs"})
    return corrupted


def build():
    cases = []
    for part in (numbers_and_models, steps, logits, trainings, evaluations_and_next_models):
        part(cases.append)
    return "Training in integers (learning.md): its parts, whole trainings, evaluation, the next model.", cases, refusals(cases)
