"""field.json: arithmetic modulo q, and words that are not elements."""

from reference.field import GENERATOR, N, PSI, Q, center

from .forms import case, refused, stream, summary

EDGES = [0, 1, 2, 2**20 - 1, 2**20, 2**20 + 1, 2**31, Q // 2, Q // 2 + 1, Q - 2**20, Q - 2, Q - 1]


def build():
    random, _ = stream("field elements", 40)
    pairs = [(a, b) for a in EDGES for b in EDGES] + list(zip(random[:20], random[20:]))
    signed = [0, 1, -1, 7, -(2**20), 2**31 - 1, -(2**31), Q // 2 - 2**31]
    cases = [
        case("numbers", "numbers", q=Q, n=N, generator=GENERATOR, psi=PSI),
        case("edges and random", "arithmetic", rows=[[a, b, (a + b) % Q, (a - b) % Q, a * b % Q] for a, b in pairs]),
        case(
            "edges and random",
            "unary",
            rows=[[a, -a % Q, pow(a, Q - 2, Q), center(a)] for a in EDGES + random],
        ),
        case(
            "powers",
            "power",
            rows=[[b, e, pow(b, e, Q)] for b in (0, 1, 2, GENERATOR, Q - 1) for e in (0, 1, 2, 4096, 2**20, Q - 1, 2**64 - 1)],
        ),
        case("signed numbers", "signed", rows=[[s, s % Q] for s in signed]),
    ]
    for count in (1, 31, 32, 33, N, 5000):
        a, written_a = stream(f"vector a {count}", count)
        b, written_b = stream(f"vector b {count}", count, [(0, Q - 1)])
        cases.append(
            case(
                f"vectors of {count}",
                "vectors",
                a=written_a,
                b=written_b,
                sum=summary([(x + y) % Q for x, y in zip(a, b)]),
                difference=summary([(x - y) % Q for x, y in zip(a, b)]),
            )
        )
    corrupted = [
        refused("q itself", "words", "not-canonical", 0, bytes=Q.to_bytes(4, "little").hex()),
        refused("q + 1", "words", "not-canonical", 1, bytes=(bytes(4) + (Q + 1).to_bytes(4, "little")).hex()),
        refused("all ones", "words", "not-canonical", 0, bytes="ffffffff"),
        refused("2^32 - 2^16", "words", "not-canonical", 0, bytes="0000ffff"),
        refused("three bytes", "words", "not-words", 3, bytes="000000"),
        refused("five bytes", "words", "not-words", 5, bytes="0000000000"),
    ]
    for index in (0, 15, 16, 1000, N - 1):
        _, written = stream("long words", N, [(index, Q)])
        corrupted.append(refused(f"q as word {index} of 2048", "long-words", "not-canonical", index, words=written))
    _, written = stream("long words", N, [(700, 2**32 - 1), (1900, Q)])
    corrupted.append(refused("the first of two is named", "long-words", "not-canonical", 700, words=written))
    for name, row in [
        ("a sum that is not reduced", [Q - 1, 1, Q, Q - 2, Q - 1]),
        ("a difference without q", [0, 1, 1, 2**32 - 1, 0]),
        ("a product modulo 2^32", [2**31, 2, 2**31 + 2, 2**31 - 2, 0]),
    ]:
        corrupted.append(refused(name, "arithmetic", "differs", rows=[row]))
    about = "The field modulo q = 2^32 - 2^20 + 1 (crypto-table.md, section 1), of numbers and of vectors."
    return about, cases, corrupted
