"""Fully linear proofs about a circuit's gadgets: docs/crypto-table.md, section 3.1. Everything by its definition: polynomials are
evaluated by Lagrange's formula at the powers of a root of unity."""

import collections
import functools

from .field import GENERATOR, Q

# size: the number of points of a wire's polynomial; values: of the gadget's polynomial in a proof.
Gadget = collections.namedtuple("Gadget", "arity calls degree size values proof_len")


def power_of_two(x):
    """The least power of two that is at least x."""
    return 1 << (x - 1).bit_length()


def shortest(elements, degree):
    """The gadget for so many elements that has the shortest proof, and of those the one with the fewest calls."""
    found = []
    for log in range(1, 12):
        arity = -(-elements // (2**log - 1))
        calls = -(-elements // arity)
        size = power_of_two(1 + calls)
        values = degree * (size - 1) + 1
        found.append(Gadget(arity, calls, degree, size, values, arity + values))
    return min(found, key=lambda gadget: gadget.proof_len)


def calls(gadget, elements):
    """The inputs of each call."""
    elements = elements + [0] * (gadget.arity * gadget.calls - len(elements))
    return [elements[i * gadget.arity : (i + 1) * gadget.arity] for i in range(gadget.calls)]


@functools.lru_cache(maxsize=None)
def roots(size):
    """The powers of the primitive root of unity of this order."""
    root = pow(GENERATOR, 2**20 // size, Q)
    powers = [1]
    while len(powers) < size:
        powers.append(powers[-1] * root % Q)
    assert powers[-1] * root % Q == 1 and len(set(powers)) == size
    return powers


@functools.lru_cache(maxsize=None)
def weights(points, size, x):
    """Lagrange's weights: the first `points` powers of the root of order `size`, at x."""
    at = roots(size)[:points]
    if x in at:
        return [int(x == point) for point in at]
    whole = 1
    for point in at:
        whole = whole * (x - point) % Q
    out = []
    for i in at:
        others = x - i
        for j in at:
            if j != i:
                others = others * (i - j) % Q
        out.append(whole * pow(others, Q - 2, Q) % Q)
    return out


def at(values, size, x):
    """The value at x of the polynomial with these values at the first powers of the root of order `size`."""
    return sum(w * v for w, v in zip(weights(len(values), size, x), values)) % Q


def wires(gadget, inputs, seeds):
    """Of each wire the values of its polynomial: its blind, its input of every call, zeros."""
    padding = [0] * (gadget.size - 1 - gadget.calls)
    return [[seed] + [call[i] for call in inputs] + padding for i, seed in enumerate(seeds)]


def prove(gadget, function, inputs, seeds):
    """The blinds, then the values of the gadget's polynomial."""
    size = power_of_two(gadget.values)
    of = wires(gadget, inputs, seeds)
    points = roots(size)[: gadget.values]
    return seeds + [function([at(wire, gadget.size, x) for wire in of]) for x in points]


def query(gadget, inputs, proof, point):
    """(wires and gadget polynomial at the point, results of the calls), from a proof or a share of one."""
    seeds, values = proof[: gadget.arity], proof[gadget.arity :]
    size = power_of_two(gadget.values)
    found = [at(wire, gadget.size, point) for wire in wires(gadget, inputs, seeds)]
    results = [at(values, size, roots(gadget.size)[call]) for call in range(1, gadget.calls + 1)]
    return found + [at(values, size, point)], results


def check():
    """A square: the results are the squares, and the polynomial is that of the wires."""
    gadget = Gadget(2, 3, 2, 4, 7, 9)
    inputs = [[2, 3], [4, 5], [6, 7]]
    square = lambda call: sum(x * x for x in call) % Q
    proof = prove(gadget, square, inputs, [11, 12])
    found, results = query(gadget, inputs, proof, 123456)
    assert results == [13, 41, 85] and square(found[:2]) == found[2]
    assert shortest(905, 4)[:2] == (61, 15)
