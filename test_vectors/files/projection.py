"""projection.json: the ternary matrix R, z = R v and w = lambda R."""

from reference.field import N, Q
from reference.projection import combine, entries, project

from .forms import case, flip, integers, refused, seed, stream, summary

LARGEST_BLOCK = 2**24 // N


def build():
    cases, corrupted = [], []
    one_at_5 = [0] * (2 * N)
    one_at_5[N + 5] = 1
    v, written_v = integers("projected vector", 1000, 2 * N)
    for rows in (64, 192):
        of = {"seed": seed(rows % 251).hex(), "rows": rows, "v": written_v}
        cases.append(case(f"{rows} rows, two blocks", "project", **of, z=project(seed(rows % 251), rows, v)))
    largest, written = integers("large projected vector", 2**18, N)
    z = project(seed(2), 512, largest)
    cases.append(case("512 rows, large", "project", seed=seed(2).hex(), rows=512, v=written, z=z))
    column = [row[5] for row in entries(seed(64), 64, 1)]
    assert column == project(seed(64), 64, one_at_5) and set(column) == {-1, 0, 1}
    unit = {"seed": seed(64).hex(), "rows": 64, "v": one_at_5}
    cases.append(case("a column of the second block", "project", **unit, z=column))
    for rows, block in [(64, 0), (256, LARGEST_BLOCK)]:
        lambdas = [stream(f"coefficients {i} of {rows}", rows, [(0, Q - 1)]) for i in range(2)]
        w = [[x % Q for x in combine(seed(3), rows, block, values)] for values, _ in lambdas]
        of = {"seed": seed(3).hex(), "rows": rows, "block": block, "lambdas": [written for _, written in lambdas]}
        cases.append(case(f"{rows} rows, block {block}", "combine", **of, w=[summary(x) for x in w]))
        wrong_w = [summary(w[0]), summary(flip(w[1], N - 1))]
        corrupted.append(refused(f"{rows} rows, block {block}: one bit", "combine", "differs", **of, w=wrong_w))
    exchanged = {**of, "lambdas": of["lambdas"][::-1]}
    corrupted.append(refused("vectors exchanged", "combine", "differs", **exchanged, w=[summary(x) for x in w]))
    short = {**of, "lambdas": [of["lambdas"][0], stream("few coefficients", 192)[1]], "w": []}
    corrupted.append(refused("a coefficient vector of another length", "combine", "coefficients", 192, **short))
    other = {**of, "rows": 128, "w": []}
    corrupted.append(refused("coefficients of another matrix", "combine", "coefficients", 256, **other))
    too_large = {**of, "lambdas": [of["lambdas"][0], stream("few coefficients", 256, [(77, Q)])[1]], "w": []}
    corrupted.append(refused("a coefficient of q", "combine", "not-canonical", 77, **too_large))

    rows, of = 64, {"seed": seed(64).hex(), "rows": 64, "v": written_v}
    z = project(seed(64), rows, v)
    columns = list(zip(*(entries(seed(64), rows, 0)[i] + entries(seed(64), rows, 1)[i] for i in range(rows))))
    shifted = [sum(column[i] * x for column, x in zip(columns[1:] + columns[:1], v)) for i in range(rows)]
    for name, changed in [
        ("one more in one row", z[:-1] + [z[-1] + 1]),
        ("b - a", [-x for x in z]),
        ("rows in reverse", z[::-1]),
        ("columns off by one", shifted),
        ("another seed", project(seed(65), rows, v)),
        ("the first block twice", [2 * x for x in project(seed(64), rows, v[:N])]),
    ]:
        corrupted.append(refused(name, "project", "differs", **of, z=changed))
    for count in (0, 1, 63, 65, 576):
        corrupted.append(refused(f"{count} rows", "project", "rows", count, **{**of, "rows": count}, z=[]))
    ragged = {**of, "v": integers("projected vector", 1000, N + 32)[1]}
    corrupted.append(refused("a block that is not whole", "project", "coordinates", N + 32, **ragged, z=[]))
    about = "The projection matrix (crypto-table.md, section 3): its entries, projections, combinations of its rows."
    return about, cases, corrupted
