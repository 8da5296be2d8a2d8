#!/usr/bin/env python3
"""Writes Sources/TokenData/UnicodeTables.swift: the letters, numbers and blanks of Unicode 16.

The tables come from the regex engine inside Hugging Face `tokenizers`, because its splits are the ones that ours
must equal. Pinned: tokenizers 0.23.3 (Unicode 16.0: 141028 letters, 1911 numbers, 25 blanks); other counts are an
error, so that a newer Unicode version never slips in.

    pip install tokenizers==0.23.3
    python3 Tests/Reference/make_unicode_tables.py
"""
from pathlib import Path

from tokenizers import Regex, pre_tokenizers

EXPECTED = {"letter": 141028, "number": 1911, "blank": 25}
PATTERNS = {"letter": r"\p{L}", "number": r"\p{N}", "blank": r"\s"}
TARGET = Path(__file__).resolve().parents[2] / "Sources" / "TokenData" / "UnicodeTables.swift"


def members(pattern):
    """Code points that `pattern` matches."""
    splitter = pre_tokenizers.Split(Regex(pattern), "removed")
    return [c for c in range(0x110000) if not 0xD800 <= c < 0xE000 and not splitter.pre_tokenize_str(chr(c))]


def runs(points):
    """Run-length form: (first, length) of each maximal run."""
    result = []
    for point in points:
        if result and result[-1][0] + result[-1][1] == point:
            result[-1][1] += 1
        else:
            result.append([point, 1])
    return result


def swift(name, comment, table):
    lines = [f"    /// {comment}", f"    static let {name}: [UInt32] = ["]
    line = "       "
    for first, length in table:
        item = f" 0x{first:X}, {length},"
        if len(line) + len(item) > 118:
            lines.append(line)
            line = "       "
        line += item
    lines += [line, "    ]"]
    return "\n".join(lines)


def main():
    parts = []
    for name, pattern in PATTERNS.items():
        points = members(pattern)
        if len(points) != EXPECTED[name]:
            raise SystemExit(f"{name}: {len(points)} code points, expected {EXPECTED[name]} (tokenizers 0.23.3)")
        table = runs(points)
        comment = f"{len(points)} code points that `{pattern}` matches: first, length of each of {len(table)} runs."
        parts.append(swift(name + "Runs", comment, table))
    TARGET.write_text(
        "// Made by Tests/Reference/make_unicode_tables.py from Unicode 16.0: change that script, not this file.\n"
        "// Own tables, so that splits do not depend on the toolchain's Unicode version.\n"
        "// swift-format-ignore-file\n\n"
        "/// Letters, numbers and blanks of Unicode 16 as run lengths.\n"
        "enum UnicodeTables {\n" + "\n\n".join(parts) + "\n}\n")


if __name__ == "__main__":
    main()
