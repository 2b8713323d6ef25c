"""unmask.json: center(sum of c - A K mod q)."""

from reference.field import N, Q
from reference.masking import mask, unmask
from reference.shamir import add

from .forms import case, flip, integers, refused, seed, signed_summary, stream, summary, whole


def build():
    cases, corrupted = [], []
    keys = [integers(f"device key {i}", 20, N)[0] for i in range(3)]
    updates = [integers(f"device update {i}", 1000, 100)[0] for i in range(3)]
    errors = [integers(f"device error {i}", 40, 2 * N)[0] for i in range(3)]
    payloads = [mask(seed(5), *of) for of in zip(keys, updates, errors)]
    sum_c, key_sum = add(payloads), add(keys)
    opened = unmask(seed(5), sum_c, key_sum)
    # What comes out is what went in: this is why the protocol works.
    assert opened == [sum(e) + sum(x) for e, x in zip(zip(*errors), list(zip(*updates)) + [()] * (2 * N - 100))]
    written = {"seed": seed(5).hex(), "d": 100, "sum_c": whole(sum_c), "key_sum": whole(key_sum), "sum": opened}
    cases.append(case("three devices, written out", "unmask", **written))
    cases.append(
        case(
            "payloads are added modulo q",
            "add",
            payloads=[whole(p[:64]) for p in payloads],
            sum=whole(sum_c[:64]),
            without_last=whole(add(payloads[:2])[:64]),
        )
    )

    no_key = {"constant": 0, "count": N}
    edges = [0, 1, Q - 1, Q // 2, Q // 2 + 1, 2**31 - 1, 2**31, Q - 2**20]
    sum_edges = {"stream": "opened words", "count": 2 * N, "patch": [list(p) for p in enumerate(edges)]}
    values = stream("opened words", 2 * N, list(enumerate(edges)))[0]
    cases.append(
        case(
            "no key: words centred",
            "unmask",
            seed=seed(5).hex(),
            d=2048,
            sum_c=sum_edges,
            key_sum=no_key,
            sum=signed_summary(unmask(seed(5), values, [0] * N)),
        )
    )
    random_c, written_c = stream("sum of payloads", 3 * N)
    random_key, written_key = stream("sum of keys")
    full = unmask(seed(5), random_c, random_key)
    random = {"seed": seed(5).hex(), "d": 2049, "sum_c": written_c, "key_sum": written_key}
    cases.append(case("random words, three blocks", "unmask", **random, sum=signed_summary(full)))
    for block in (0, 2):
        of_block = slice(block * N, (block + 1) * N)
        cases.append(
            case(
                f"block {block} alone",
                "unmask-block",
                seed=seed(5).hex(),
                block=block,
                sum_c=whole(random_c[of_block]) if block == 0 else {"stream": "sum of payloads", "count": 3 * N, "block": 2},
                key_sum=written_key,
                sum=signed_summary(full[of_block]),
            )
        )

    good = {**written, "sum_c": whole(sum_c), "key_sum": whole(key_sum), "sum": signed_summary(opened)}

    def wrong(name, error, at=None, **changes):
        corrupted.append(refused(name, "unmask", error, at, **{**random, "sum": signed_summary(full), **changes}))

    corrupted.append(refused("a key sum with one bit flipped", "unmask", "differs", **{**good, "key_sum": whole(flip(key_sum, 3))}))
    wrong("one bit of a payload", "differs", sum_c=stream("sum of payloads", 3 * N, [(4000, random_c[4000] ^ 1)])[1])
    wrong("another matrix", "differs", seed=seed(6).hex())
    wrong("one coordinate is one more", "differs", sum=signed_summary(full[:-1] + [full[-1] + 1]))
    wrong("everything negated", "differs", sum=signed_summary([-v for v in full]))
    exchanged = random_c[N : 2 * N] + random_c[:N] + random_c[2 * N :]
    assert unmask(seed(5), exchanged, random_key) != full
    wrong("the sum of exchanged blocks", "differs", sum=signed_summary(unmask(seed(5), exchanged, random_key)))
    wrong("a block short", "length", 2 * N, sum_c=stream("sum of payloads", 2 * N)[1])
    wrong("a word short", "length", 3 * N - 1, sum_c=stream("sum of payloads", 3 * N - 1)[1])
    wrong("no check block", "length", 3 * N, d=4097)
    corrupted.append(
        refused(
            "a block of 2047 words",
            "unmask-block",
            "length",
            N - 1,
            seed=seed(5).hex(),
            block=0,
            sum_c={"stream": "sum of payloads", "count": N - 1},
            key_sum=written_key,
            sum=signed_summary(full[:N]),
        )
    )
    corrupted.append(
        refused(
            "another block's number",
            "unmask-block",
            "differs",
            seed=seed(5).hex(),
            block=1,
            sum_c={"stream": "sum of payloads", "count": N},
            key_sum=written_key,
            sum=signed_summary(full[:N]),
        )
    )
    about = "Unmasking sums with a key sum (protocol.md, section 4.7)."
    return about, cases, corrupted
