#!/usr/bin/env python3
"""Checks what docs/architecture.md promises about the tree and no compiler checks.

- A crate depends only on crates that stand above it in the list.
- `unsafe` occurs only in the backend files of crypto and learn, in the allocators that fuzz targets and tests
  count with, and where benches call a baseline that takes pointers.
- Files stay readable: at most 500 lines of Rust, Python, SQL or shell.
- Every crate takes the workspace's lints.
- Relative links in the documentation lead somewhere.
- Sections of docs/protocol.md that code cites exist, and so do the tests that its table of attacks and docs/attacks.md name.
"""

import pathlib
import re
import subprocess
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent
MAX_LINES = 500

# Crates on one line may not depend on each other.
LAYERS = [
    ["crypto"],
    ["identity", "learn"],
    ["protocol"],
    ["transport"],
    ["client", "steward", "aggregator", "audits"],
    ["sim"],
    ["benches", "constant-time"],
    ["cli"],
]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}

UNSAFE = re.compile(r"\bunsafe\s*(\{|fn\b|impl\b|trait\b|extern\b)|#!?\[\s*unsafe\s*\(|(allow|expect)\(\s*unsafe_code")
BACKEND = re.compile(r"^((crypto|learn)/src/(.+/)?backend/|fuzz/src/memory\.rs$|learn/tests/memory\.rs$|benches/src/products\.rs$)")
# Strings and comments, so that prose about unsafe code is not taken for it.
NOT_CODE = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\])*"', re.DOTALL)
CITATION = re.compile(r"docs/protocol\.md`?,? sections? ((?:\d+(?:\.\d+)*(?:, | and |,)?)+)")


def tracked():
    """Every file that is or would be committed."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout.decode().split("\0")
    except (OSError, subprocess.CalledProcessError):
        # A clone without its .git (an archive), or a repository that belongs to another user.
        skip = {"target", ".git", "dawn-demo"}
        paths = (p.relative_to(ROOT) for p in ROOT.rglob("*") if p.is_file())
        names = [str(p) for p in paths if skip.isdisjoint(p.parts)]
    return sorted(name for name in names if name and (ROOT / name).is_file())


def check_crates(complain):
    members = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["members"]
    for member in members:
        manifest = f"{member}/Cargo.toml"
        if member not in RANK:
            complain(manifest, "is not in the list of layers in tools/check_layout.py and docs/architecture.md")
            continue
        crate = tomllib.loads((ROOT / manifest).read_text())
        if crate.get("lints") != {"workspace": True}:
            complain(manifest, "does not take the workspace's lints: [lints] workspace = true")
        tables = [crate, *crate.get("target", {}).values()]
        for table in tables:
            for kind in ("dependencies", "dev-dependencies", "build-dependencies"):
                for name in table.get(kind, {}):
                    other = name.removeprefix("dawn-")
                    if other == member and kind == "dev-dependencies":
                        continue  # a crate's tests may turn on its own features
                    if name.startswith("dawn-") and RANK.get(other, len(LAYERS)) >= RANK[member]:
                        complain(manifest, f"depends on {name}, which is not above it ({kind})")


def check_file(name, text, sections, complain):
    lines = text.count("\n") + 1
    if name.endswith((".rs", ".py", ".sql", ".sh")) and lines > MAX_LINES:
        complain(name, f"has {lines} lines; {MAX_LINES} is the most that a reader should be given at once")
    if name.endswith(".rs"):
        code = NOT_CODE.sub(lambda m: "\n" * m.group().count("\n"), text)
        if not BACKEND.match(name):
            for match in UNSAFE.finditer(code):
                complain(f"{name}:{code.count(chr(10), 0, match.start()) + 1}", "unsafe code outside a backend file")
        if sections:
            unwrapped = re.sub(r"\n\s*//[/!]?\s*", " ", text)
            for match in CITATION.finditer(unwrapped):
                for number in re.findall(r"\d+(?:\.\d+)*", match.group(1)):
                    if number not in sections:
                        complain(name, f"cites section {number} of docs/protocol.md, which does not exist")
    if name.endswith(".md"):
        for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", text, flags=re.DOTALL)):
            path = target.split("#")[0]
            if path and "://" not in path and not path.startswith("mailto:"):
                if not ((ROOT / name).parent / path).exists():
                    complain(name, f"links to {target}, which does not exist")


def check_named_tests(document, text, names, complain):
    """Every `module::test` in the text is a function somewhere."""
    functions = set()
    for name in names:
        if name.endswith(".rs"):
            functions.update(re.findall(r"\bfn (\w+)", (ROOT / name).read_text()))
    for path in re.findall(r"`(?:\w+::)+\w+`", text):
        if path.strip("`").split("::")[-1] not in functions:
            complain(document, f"names the test {path}, which does not exist")


def main():
    complaints = []

    def complain(where, what):
        complaints.append(f"{where}: {what}")

    check_crates(complain)
    protocol = ROOT / "docs/protocol.md"
    sections = set()
    if protocol.exists():
        sections = set(re.findall(r"^#+ (\d+(?:\.\d+)*)\.? ", protocol.read_text(), flags=re.MULTILINE))
    names = tracked()
    if protocol.exists():
        table = protocol.read_text().partition("\n## 6. ")[2]
        check_named_tests("docs/protocol.md", table, names, complain)
    attacks = ROOT / "docs/attacks.md"
    if attacks.exists():
        check_named_tests("docs/attacks.md", attacks.read_text(), names, complain)
    for name in names:
        if name.endswith((".rs", ".py", ".sql", ".sh", ".md")):
            check_file(name, (ROOT / name).read_text(), sections, complain)
    for complaint in complaints:
        print(f"layout: {complaint}", file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
