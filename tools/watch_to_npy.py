#!/usr/bin/env python3
"""Takes the watch data of the package seglearn out of its pickle, into two plain NPY files.

    watch_to_npy.py watch_dataset.npy FOLDER

FOLDER/readings.npy has all readings (f8, readings x 6), recording after recording, and FOLDER/recordings.npy one row for each
recording (i4, recordings x 4): number of readings, activity, person, arm. Recordings are sorted by person, arm and activity.

NumPy stores lists of arrays with pickle, which may name any function to be called. Here only the four names that arrays are made
of are allowed, and none of them is NumPy's own: this needs nothing but Python's standard library.
"""

import io
import pathlib
import pickle
import struct
import sys

AXES = ["ax", "ay", "az", "wx", "wy", "wz"]
ACTIVITIES = ["PEN", "ABD", "FEL", "IR", "ER", "TRAP", "ROW"]


class Type:
    """numpy.dtype: little-endian floats and integers of eight bytes, or objects."""

    def __init__(self, name, *_):
        self.name = name

    def __setstate__(self, state):
        if self.name != "O8" and state[1] != "<":
            raise pickle.UnpicklingError(f"elements are not little-endian: {state[1]!r}")


class Array:
    """numpy.ndarray: its shape, and its elements in the order of C."""

    def __setstate__(self, state):
        _, self.shape, kind, by_columns, content = state
        if kind.name == "O8":
            self.elements = content
            return
        code = {"f8": "d", "i8": "q"}[kind.name]
        elements = struct.unpack(f"<{len(content) // 8}{code}", content)
        if by_columns and len(self.shape) == 2:
            rows = self.shape[0]
            elements = [e for row in range(rows) for e in elements[row::rows]]
        self.elements = elements


ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"): lambda *_: Array(),
    ("numpy", "ndarray"): Array,
    ("numpy", "dtype"): Type,
    ("_codecs", "encode"): lambda text, encoding: text.encode("latin1"),
}


class Unpickler(pickle.Unpickler):
    def find_class(self, module, name):
        try:
            return ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"{module}.{name} is not allowed in a data set") from None


def read(path):
    content = path.read_bytes()
    if content[:8] != b"\x93NUMPY\x01\x00":
        sys.exit(f"{path} is not an NPY file of version 1.0")
    start = 10 + int.from_bytes(content[8:10], "little")
    [data] = Unpickler(io.BytesIO(content[start:])).load().elements
    if data["X_labels"] != AXES or data["y_labels"] != ACTIVITIES:
        sys.exit(f"{path} has other axes or activities than {AXES} and {ACTIVITIES}")
    # In the package an arm is a float, 1 for the right one.
    keys = zip(data["subject"].elements, map(int, data["side"].elements), data["y"].elements)
    recordings = sorted(zip(keys, data["X"]), key=lambda recording: recording[0])
    for _, series in recordings:
        if len(series.shape) != 2 or series.shape[1] != len(AXES):
            sys.exit(f"{path} has a recording of shape {series.shape}")
    return recordings


def write(path, descr, code, columns, elements):
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': ({len(elements) // columns}, {columns}), }}"
    header = header.ljust(-(len(header) + 11) % 64 + len(header)) + "\n"
    start = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()
    path.write_bytes(start + struct.pack(f"<{len(elements)}{code}", *elements))


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__.split("\n\n")[1].strip())
    source, folder = map(pathlib.Path, sys.argv[1:])
    recordings = read(source)
    readings = [value for _, series in recordings for value in series.elements]
    rows = [
        number
        for (person, arm, activity), series in recordings
        for number in (series.shape[0], activity, person, arm)
    ]
    write(folder / "readings.npy", "<f8", "d", len(AXES), readings)
    write(folder / "recordings.npy", "<i4", "i", 4, rows)


if __name__ == "__main__":
    main()
