"""negacyclic.json: the transform and products in R_q."""

from reference.field import N, POINTS, Q, multiply, transform

from .forms import case, flip, refused, sparse, stream, summary, whole


def build():
    a, written_a = stream("ring a")
    b, written_b = stream("ring b")
    ones, written_ones = [Q - 1] * N, {"constant": Q - 1, "count": N}
    x, written_x = sparse([(1, 1)])
    last, written_last = sparse([(N - 1, 1)])
    few, written_few = sparse([(0, 3), (1, Q - 1), (1024, Q // 2), (N - 1, Q - 2)])
    one, written_one = sparse([(0, 1)])
    zero, written_zero = sparse([])
    product = multiply(a, b)
    values = transform(a)
    cases = [
        case("random", "transform", a=written_a, values=whole(values)),
        case("X: the points themselves", "transform", a=written_x, values=summary(POINTS)),
        case("all q - 1", "transform", a=written_ones, values=summary(transform(ones))),
        case("random, whole", "product", a=whole(a), b=whole(b), product=whole(product)),
        case("squared", "product", a=written_b, b=written_b, product=summary(multiply(b, b))),
        case("X times X^(n-1) is -1", "product", a=written_x, b=written_last, product=sparse([(0, Q - 1)])[1]),
        case("X^(n-1) squared", "product", a=written_last, b=written_last, product=sparse([(N - 2, Q - 1)])[1]),
        case("largest", "product", a=written_ones, b=written_ones, product=summary(multiply(ones, ones))),
        case("few terms", "product", a=written_few, b=written_a, product=summary(multiply(few, a))),
        case("one", "product", a=written_one, b=written_b, product=summary(b)),
        case("zero", "product", a=written_zero, b=written_b, product=written_zero),
    ]
    # What a cyclic ring would give: X^n = 1.
    cyclic = list(multiply(few, a))
    for shift, c in ((1, Q - 1), (1024, Q // 2), (N - 1, Q - 2)):
        for i in range(shift):
            cyclic[i] = (cyclic[i] + 2 * c * a[i - shift]) % Q
    natural = [values[int(f"{i:011b}"[::-1], 2)] for i in range(N)]
    reversed_b = [b[0]] + [-c % Q for c in b[:0:-1]]
    corrupted = [
        refused("one bit of one word", "product", "differs", a=written_a, b=written_b, product=whole(flip(product, 77, 3))),
        refused("the ring modulo X^n - 1", "product", "differs", a=written_few, b=written_a, product=summary(cyclic)),
        refused("b(1/X)", "product", "differs", a=written_a, b=written_b, product=summary(multiply(a, reversed_b))),
        refused("slots in natural order", "transform", "differs", a=written_a, values=summary(natural)),
        refused("two slots exchanged", "transform", "differs", a=written_a, values=summary(values[1::-1] + values[2:])),
    ]
    about = "The ring F_q[X]/(X^2048 + 1) and the order of its transform (crypto-table.md, section 4)."
    return about, cases, corrupted
