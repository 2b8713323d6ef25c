"""What is in each file of v1/: one module a file, with `build()`, which gives (about, cases, corrupted)."""
