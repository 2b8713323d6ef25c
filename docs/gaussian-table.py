#!/usr/bin/env python3
"""Prints the cumulative tables of the discrete Gaussian samplers from 80-digit decimals.

    python3 docs/gaussian-table.py key    > crypto/src/gaussian/cdt_key.txt     # deviation 4.5
    python3 docs/gaussian-table.py error  > crypto/src/gaussian/cdt_error.txt   # 417069 / 2^16
    python3 docs/gaussian-table.py base   > crypto/src/gaussian/cdt_base.txt    # 2, half-Gaussian

Entry i is floor(2^126 P(value <= i)), hexadecimal. The library computes the same tables in fixed point when
it starts; a test compares them with these files. Standard library only.
"""
import sys
from decimal import Decimal, getcontext

getcontext().prec = 80
TABLES = {"key": (294912, False), "error": (417069, False), "base": (131072, True)}


def table(units, half):
    sigma = Decimal(units) / 65536
    rho = [(-Decimal(x * x) / (2 * sigma * sigma)).exp() for x in range(200)]
    weights = [r if half or x == 0 else 2 * r for x, r in enumerate(rho)]
    total, running, entries = sum(weights), Decimal(0), []
    for weight in weights:
        running += weight
        entry = int(running / total * 2**126)
        if weight < Decimal(2) ** -120:
            return entries
        entries.append(entry)


name = sys.argv[1] if len(sys.argv) == 2 else ""
if name not in TABLES:
    sys.exit(__doc__)
print(f"# docs/gaussian-table.py {name}: floor(2^126 P(value <= i))")
for entry in table(*TABLES[name]):
    print(f"{entry:032x}")
