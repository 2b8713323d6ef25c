"""groups.json: the groups of a round, digests of group sums, and tasks that ask for groups."""

from reference.cbor import encode
from reference.field import N, Q, words
from reference.hashes import labelled

from .forms import case, refused, seed
from .session import OPTIONS, POLICY, changed, task_fields, written_task


def partition(beacon, devices, most, size):
    """Group by place in the list: none where the header does not verify. From protocol.md, section 4.7.1."""
    verified = [(labelled("group order", beacon, device), place) for place, device in enumerate(devices) if device]
    order = [place for _, place in sorted(verified)]
    count = max(1, min(most, len(order) // size))
    groups = [None] * len(devices)
    for group in range(count):
        for place in order[group * len(order) // count : (group + 1) * len(order) // count]:
            groups[place] = group
    return count, groups


def build():
    cases, corrupted = [], []

    def drawn(name, beacon, devices, most, size, wrong=None):
        count, groups = partition(beacon, devices, most, size)
        fields = {
            "beacon": beacon.hex(),
            "devices": [device and device.hex() for device in devices],
            "most": most,
            "size": size,
            "count": count,
            "groups": groups,
        }
        if wrong is None:
            cases.append(case(name, "partition", **fields))
        else:
            wrong(fields)
            corrupted.append(refused(name, "partition", "differs", **fields))

    # Increasing identifiers, as in a closed list.
    devices = sorted(labelled("device identifier", seed(1), seed(i)) for i in range(23))
    with_refused = [None if i in (0, 7, 22) else device for i, device in enumerate(devices)]
    drawn("23 in 5 groups", seed(2), devices, 5, 4)
    drawn("another beacon", seed(3), devices, 5, 4)
    drawn("fewer groups than the most", seed(2), devices, 64, 4)
    drawn("three do not verify", seed(2), with_refused, 5, 4)
    drawn("fewer than one group", seed(2), devices[:3], 5, 4)
    drawn("as many groups as devices", seed(2), devices, 64, 1)

    def swap(fields):
        groups = fields["groups"]
        other = next(i for i, group in enumerate(groups) if group != groups[0])
        groups[0], groups[other] = groups[other], groups[0]

    drawn("two devices swapped", seed(2), devices, 5, 4, swap)
    drawn("a group more", seed(2), devices, 5, 4, lambda fields: fields.update(count=6))
    drawn("another order", seed(2), devices, 5, 4, lambda fields: fields.update(beacon=seed(3).hex()))

    def summed(name, groups, constants, label="group sums digest", error=None):
        # Every element of a group's sum is the same.
        sums = b"".join(words([constant] * N) for constant in constants)
        fields = {"groups": groups, "constants": constants, "digest": labelled(label, sums).hex()}
        if error is None:
            cases.append(case(name, "group-sums", **fields))
        else:
            corrupted.append(refused(name, "group-sums", error, **fields))

    summed("three sums", 3, [0, 1, Q - 1])
    summed("one sum", 1, [7])
    summed("another label", 3, [0, 1, Q - 1], "answers digest", "differs")
    summed("a group too few", 2, [0, 1, Q - 1], error="group-sums")
    summed("words of q", 3, [0, 1, Q], error="group-sums")

    task = changed(task_fields(), POLICY, [12, 12, 2, 400, 1000, 80])
    median, trimmed, geometric = [0, 0], [1, 1], [2, 8, 3]

    def asked(name, groups, error=None):
        fields = task + [[None, groups]]
        assert len(fields) == OPTIONS + 1
        written = written_task(fields)
        if error is None:
            cases.append(case(name, "task", **written))
        else:
            corrupted.append(refused(name, "task", error, **written))

    asked("median of groups", [4, 4, 3, 2, 1, median])
    asked("trimmed mean", [3, 4, 3, 3, 0, trimmed])
    asked("geometric median of mixed means", [64, 3, 3, 2, 1, geometric])
    asked("one honest device a group", [4, 4, 3, 1, 1, median], "rule")
    asked("no room for all dishonest ones", [4, 4, 3, 2, 2, median], "rule")
    asked("two groups", [2, 4, 3, 2, 1, median], "rule")
    asked("two groups of the fewest accepted", [4, 5, 3, 2, 1, median], "rule")
    asked("all cut", [3, 4, 3, 2, 1, [1, 2]], "rule")
    asked("a rule that does not exist", [4, 4, 3, 2, 1, [3, 1]], "malformed")
    asked("a median with a parameter", [4, 4, 3, 2, 1, [0, 1]], "malformed")
    about = "The groups of a round, digests of group sums, and tasks that ask for groups."
    empty = encode(task + [[None, None]])
    assert encode(task) != empty
    corrupted.append(refused("options that ask for nothing", "task", "not-canonical", **{**written_task(task), "body": empty.hex()}))
    return about, cases, corrupted
