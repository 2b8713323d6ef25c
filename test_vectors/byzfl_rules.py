"""Writes byzfl_rules.json: what byzfl makes of vectors that dawn-learn's robust rules are compared with.

Needs byzfl (0.0.11 made the committed file), numpy and scipy from PyPI; not torch, which byzfl imports and does not
use for arrays of numpy: an empty stand-in takes its place.
Run: python3 test_vectors/byzfl_rules.py > test_vectors/byzfl_rules.json
"""

import importlib.util
import json
import pathlib
import sys
import types
from importlib.metadata import version

import numpy as np


def load():
    """byzfl's aggregators and pre-aggregators, without the rest of the package, which needs torch for models."""
    torch = types.ModuleType("torch")
    torch.Tensor = type("Tensor", (), {})
    torch.linalg = types.ModuleType("torch.linalg")
    sys.modules.setdefault("torch", torch)
    sys.modules.setdefault("torch.linalg", torch.linalg)
    where = pathlib.Path(next(iter(importlib.util.find_spec("byzfl").submodule_search_locations)))
    for name in ("byzfl", "byzfl.utils", "byzfl.aggregators"):
        package = types.ModuleType(name)
        package.__path__ = [str(where.joinpath(*name.split(".")[1:]))]
        sys.modules[name] = package
    aggregators = importlib.import_module("byzfl.aggregators.aggregators")
    preaggregators = importlib.import_module("byzfl.aggregators.preaggregators")
    return aggregators, preaggregators


AGGREGATORS, PREAGGREGATORS = load()
RANDOM = np.random.default_rng(20261125)


def inputs():
    """Sums of groups, with their sizes: random ones, and ones that groups of attackers have pulled."""
    def normal(groups, length, scale, shift=0.0):
        return np.rint(RANDOM.normal(shift, scale, (groups, length))).astype(np.int64)

    yield "one each", normal(7, 6, 1000), [1] * 7
    yield "an even number", normal(8, 6, 1000), [1] * 8
    yield "sizes that differ", normal(9, 12, 5000, 700), [20] * 4 + [21] * 5
    pulled = normal(10, 10, 2000, 300)
    pulled[:3] *= -50
    yield "three of ten scaled and turned", pulled, [30] * 6 + [31] * 4
    # A little is enough (Baruch et al. 2019): all attackers say the same, one and a half deviations away.
    little = normal(11, 16, 3000)
    away = little[4:].mean(axis=0) - 1.5 * little[4:].std(axis=0)
    little[:4] = np.rint(away)
    little[:4] += np.arange(4)[:, None]  # no two at the same place: nearest neighbours are unique
    yield "a little is enough", little, [12] * 11
    # Inner product manipulation (Xie et al. 2019): against the mean of the others.
    inner = normal(9, 16, 500, 400)
    inner[:2] = np.rint(-inner[2:].mean(axis=0)) + np.arange(2)[:, None]
    yield "inner product manipulation", inner, [50] * 5 + [51] * 4
    extreme = normal(64, 5, 2**20)
    extreme[:20] = np.where(RANDOM.random((20, 5)) < 0.5, -(2**31), 2**31 - 1)
    extreme[:20, 0] = -(2**31) + np.arange(20)
    yield "twenty of 64 at the ends of the range", extreme, [781] * 48 + [782] * 16
    yield "a single coordinate", normal(5, 1, 10), [3] * 5


def rules(groups):
    for cut in sorted({1, (groups - 1) // 4, (groups - 1) // 2}):
        if cut >= 1:
            yield {"trimmed-mean": {"cut": cut}}, AGGREGATORS.TrMean(f=cut)
    yield "median", AGGREGATORS.Median()
    for iterations in (1, 3, 8, 32):
        # One unit of an update is the smallest distance that counts.
        yield {"geometric-median": {"iterations": iterations}}, AGGREGATORS.GeometricMedian(nu=1.0, T=iterations)


def main():
    cases = []
    for name, sums, members in inputs():
        means = sums / np.array(members, dtype=np.float64)[:, None]
        groups = len(members)
        results = []
        for mixing in (None, groups - (groups - 1) // 4, groups // 2 + 1):
            mixed = means if mixing is None else PREAGGREGATORS.NNM(f=groups - mixing)(means)
            for aggregation, rule in rules(groups):
                results.append({
                    "rule": {"aggregation": aggregation, "mixing": mixing},
                    "result": [float(v) for v in rule(mixed)],
                })
        cases.append({"name": name, "members": members, "sums": sums.tolist(), "results": results})
    about = f"byzfl {version('byzfl')}, numpy {np.__version__}: see byzfl_rules.py"
    lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
    print(f'{{"about":{json.dumps(about)},"cases":[\n{lines}\n]}}')


main()
