#!/usr/bin/env python3
"""Writes the known answers in v1/, from protocol.md, crypto-table.md and learning.md in docs/ alone. Standard library only, Python 3.9.

    python3 test_vectors/generate.py            writes test_vectors/v1/*.json
    python3 test_vectors/generate.py --check    exits with 1, naming the files, when they are not what would be written

It shares no code with the crates: transforms by their definition, samplers by 80-digit decimals, its own AES, BLAKE3 and CBOR, which
check themselves against published answers first. README.md says what the files hold and how they are read.
"""

import json
import pathlib
import sys

if sys.version_info < (3, 9):
    sys.exit(f"generate.py: Python 3.9 or newer is needed, this is {sys.version.split()[0]}")
sys.dont_write_bytecode = True

from files import commitments, consistency, expand, field, gaussian, groups, mask, merkle, negacyclic, noise, norm, projection, session
from files import shamir, training, unmask
from reference import aes, blake3, cbor
from reference import flp as reference_flp
from reference import field as reference_field
from reference import gaussian as reference_gaussian
from reference import merkle as reference_merkle
from reference import norm as reference_norm
from reference import shamir as reference_shamir
from reference import training_check

HERE = pathlib.Path(__file__).resolve().parent
FILES = {
    "field": field,
    "negacyclic": negacyclic,
    "expand": expand,
    "gaussian": gaussian,
    "mask": mask,
    "unmask": unmask,
    "shamir": shamir,
    "commitments": commitments,
    "consistency": consistency,
    "norm": norm,
    "projection": projection,
    "noise": noise,
    "session": session,
    "groups": groups,
    "merkle": merkle,
    "training": training,
}
# What checks itself before anything is written.
CHECKED = (
    aes,
    blake3,
    cbor,
    reference_field,
    reference_gaussian,
    reference_merkle,
    reference_shamir,
    reference_flp,
    reference_norm,
    training_check,
)


def render(name, module):
    """The file's text: one case a line, so that a difference shows the case."""
    about, cases, corrupted = module.build()
    for part in (cases, corrupted):
        names = [(case["kind"], case["name"]) for case in part]
        assert len(set(names)) == len(names), f"{name}: two cases of one name"
    head = {"protocol": "dawn v1", "generated_by": "test_vectors/generate.py", "about": about}
    lines = [f"  {json.dumps(key)}: {json.dumps(value)}," for key, value in head.items()]
    for key, part, end in (("cases", cases, ","), ("corrupted", corrupted, "")):
        body = ",\n".join("    " + json.dumps(case, separators=(",", ":")) for case in part)
        lines.append(f"  {json.dumps(key)}: [\n{body}\n  ]{end}")
    return "{\n" + "\n".join(lines) + "\n}\n"


def main(arguments):
    if arguments not in ([], ["--check"]):
        sys.exit(__doc__)
    for module in CHECKED:
        module.check()
    directory = HERE / "v1"
    wrong = []
    for name, module in FILES.items():
        path, text = directory / f"{name}.json", render(name, module)
        if not arguments:
            directory.mkdir(exist_ok=True)
            path.write_bytes(text.encode("ascii"))
        elif not path.is_file():
            wrong.append(f"v1/{name}.json is missing")
        elif path.read_bytes() != text.encode("ascii"):
            wrong.append(f"v1/{name}.json is not what the program writes")
    known = {f"{name}.json" for name in FILES}
    wrong += [f"v1/{path.name} is not made by the program" for path in sorted(directory.iterdir()) if path.name not in known]
    for what in wrong:
        print(f"generate.py: {what}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
