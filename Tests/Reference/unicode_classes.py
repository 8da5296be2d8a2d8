#!/usr/bin/env python3
"""Prints the SHA-256 of the classes of all code points as Hugging Face `tokenizers` sees them: what
Tests/TokenDataTests/PreTokenizerTests.swift expects of Swift's own properties, cut to Unicode 16.

A class is one byte: 0 other, 1 letter, 2 number, 3 blank, by the regex engine inside `tokenizers`, because its splits
are the ones that ours must equal. Pinned: tokenizers 0.23.3 (Unicode 16.0: 141028 letters, 1911 numbers, 25 blanks).

    pip install tokenizers==0.23.3
    python3 Tests/Reference/unicode_classes.py
"""
import hashlib

from tokenizers import Regex, pre_tokenizers

PATTERNS = [r"\p{L}", r"\p{N}", r"\s"]


def members(pattern):
    """Code points that `pattern` matches."""
    splitter = pre_tokenizers.Split(Regex(pattern), "removed")
    return [c for c in range(0x110000) if not 0xD800 <= c < 0xE000 and not splitter.pre_tokenize_str(chr(c))]


classes = bytearray(0x110000)
for kind, pattern in enumerate(PATTERNS, start=1):
    for point in members(pattern):
        classes[point] = kind
print(hashlib.sha256(classes).hexdigest())
