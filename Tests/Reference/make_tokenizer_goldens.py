#!/usr/bin/env python3
"""Writes Tests/TokenDataTests/TokenizerGoldens.swift: what Hugging Face tokenizers 0.23.3 makes of a small text.

    pip install tokenizers==0.23.3
    python3 Tests/Reference/make_tokenizer_goldens.py
"""
import json
from pathlib import Path

from check_tokenizer import reference

TEXT = """It's the schedule that matters: the rate rises, the rate holds, and then the rate falls.
We'll say it again; they've said it, I'm saying it, you'd say it, he's said it, we're saying it.
    func step(_ k: Int) -> Double { k < warmup ? Double(k + 1) / Double(warmup) : 0.5 * (1 + cos(x)) }
    func step(_ k: Int) -> Double { return base * step(k) }
naïve café, naïve façade; Füße und Straße, größer und größer. Ça va? Ça va bien.
日本語のテキスト、日本語のトークン。中文文本,中文标记。
Цена 123 рубля, цена 456 рублей; ½ и ² и ٣٤٥ и ৪৫.
aaaaaaaaaaaa aaaa aaaaaaa abababababab ababab
tabs\tand\t\tmore\ttabs  two  spaces   three   spaces \r\n\r\nwindows lines\r\n
👍🏽 👍🏽 👩‍🚀 👩‍🚀 e\u0301e\u0301 \u00a0nbsp\u00a0nbsp \u2003em\u2003em
'tis I'LL we'll ''s '' 's's <|endoftext|> <|endoftext|> <|endoftext|>
"""

PROBES = [
    "", "a", " ", "\n", "the rate", "Hello world", "  two  spaces", "a\n\n b", "a \n", "it's I'LL we'll 'tis", "½ ²",
    "a\u0301b", "   ", "\r\n\r\nx", "naïve café 日本語 👍🏽", "1234 5.6e-7", "aaaaaaaaaaaaaaaaa", "\u00a0x\u200b",
    "before<|endoftext|>after", "x <|endoftext|>", "\u0000\u0001\u007f", "a" * 100, "ab" * 200,
]


def literal(text):
    return '"' + "".join(
        c if 0x20 <= ord(c) < 0x7F and c not in '"\\' else "\\u{%X}" % ord(c) for c in text) + '"'


def main():
    tokenizer = reference([TEXT], 400)
    model = json.loads(tokenizer.to_str())["model"]
    merges = "#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in model["merges"])
    small = reference([TEXT], 262)
    lines = [
        "// Made by Tests/Reference/make_tokenizer_goldens.py with tokenizers 0.23.3: change that script, not this file.",
        "// swift-format-ignore-file", "",
        "/// What Hugging Face `tokenizers` makes of a small text in many scripts.",
        "enum TokenizerGoldens {",
        "    /// The text that the vocabularies are trained on.",
        "    static let text =",
        "        " + "\n        + ".join(literal(line) for line in TEXT.splitlines(keepends=True)), "",
        "    /// `merges.txt` of a vocabulary of 400 tokens.",
        "    static let merges =",
        "        " + "\n        + ".join(literal(line) for line in merges.splitlines(keepends=True)), "",
        "    /// Texts and their ids in the vocabulary of 400: special tokens as plain text, then as tokens.",
        "    static let encodings: [(text: String, plain: [Int32], special: [Int32])] = [",
    ]
    for probe in PROBES + [TEXT]:
        tokenizer.encode_special_tokens = True
        plain = tokenizer.encode(probe).ids
        tokenizer.encode_special_tokens = False
        special = tokenizer.encode(probe).ids
        name = "text" if probe == TEXT else literal(probe)
        lines.append(f"        ({name}, {plain}, {special}),")
    lines += [
        "    ]", "", "    /// `tokenizer.json` of a vocabulary of 262 tokens.", '    static let json = #"""',
        *("        " + line for line in small.to_str(pretty=True).splitlines()), '        """#', "}", "",
    ]
    target = Path(__file__).resolve().parents[1] / "TokenDataTests" / "TokenizerGoldens.swift"
    target.write_text("\n".join(lines))


if __name__ == "__main__":
    main()
