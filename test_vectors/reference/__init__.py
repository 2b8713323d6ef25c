"""The primitives of docs/crypto-table.md in plain Python: slow, short, and sharing no code with the crates.

Each module checks itself against published answers in its `check()`, before anything is written with it.
"""
