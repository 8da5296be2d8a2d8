#!/usr/bin/env python3
"""Compares `swiftlet tokenize` with Hugging Face `tokenizers` on random corpora (and on files given by name).

For each corpus: the same merges, the same vocabulary, the same ids, the same tokenizer.json to the byte. Texts hold
<|endoftext|> now and then, which is that token. Then again with a tokenizer that has more added tokens, special and
not, normalized and not. Not needed by the product or by `make test`.

    pip install tokenizers==0.23.3 numpy
    python3 Tests/Reference/check_tokenizer.py .build/release/swiftlet [--count 200] [FILE...]
"""
import argparse
import random
import subprocess
import tempfile
from pathlib import Path

import numpy
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

END = "<|endoftext|>"


def reference(documents, vocabulary_size):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=True)
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size, min_frequency=2, show_progress=False, special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(documents, trainer)
    return tokenizer


def with_added_tokens(tokenizer, rng):
    """A copy with some tokens more, made of what the texts hold."""
    copy = Tokenizer.from_str(tokenizer.to_str())
    for content in rng.sample(["ab", "a", "<", "<|", "|>", "b\n", "日", "a b", " a", "text|", "aab", "ba"], rng.randrange(1, 6)):
        copy.add_tokens([AddedToken(content, special=rng.random() < 0.5, normalized=rng.random() < 0.5)])
    return copy


def random_text(rng):
    alphabets = ["ab", "aab ", "abc \n", "a\n ", "'strevmld DON", "x1 ½²٣", "日本語 、。", "ab\u0301\u00e9 \u00a0\u2003\t",
                 "👍🏽👩\u200d🚀 ok", "aAbB.,;: \r\n", "\u0085\u1680\u2028 z", "ªº\u1bbf\U0001e030𝟗"]
    kind = rng.random()
    alphabet = rng.choice(alphabets) if kind < 0.6 else "".join(rng.sample(alphabets, 3))
    if kind > 0.9:
        alphabet = [chr(c) for c in (rng.randrange(1, 0x11000) for _ in range(60)) if not 0xD800 <= c < 0xE000]
    words = ["".join(rng.choice(alphabet) for _ in range(rng.randrange(1, 12))) for _ in range(rng.randrange(1, 30))]
    marks = ["", " ", "\n", "  "] + ([END, END + "\n", "  " + END] if rng.random() < 0.5 else [])
    return "".join(rng.choice(words) + rng.choice(marks) for _ in range(rng.randrange(1, 400)))


def ids_of(tokenizer, documents):
    """The ids of a shard: the mark before each document that does not begin with it."""
    result = []
    for text in documents:
        ids = tokenizer.encode(text).ids
        result += ids if ids[:1] == [0] else [0] + ids
    return result


def check(swiftlet, documents, vocabulary_size, rng):
    """Trains both on `documents` and compares everything; returns a complaint or None."""
    with tempfile.TemporaryDirectory() as directory:
        paths = []
        for index, text in enumerate(documents):
            paths.append(Path(directory) / f"{index:04}.txt")
            paths[-1].write_bytes(text.encode())
        def tokenize(output, *options):
            subprocess.run(
                [swiftlet, "tokenize", "--input", *paths, "--output", output, "--val-fraction", "0", *options],
                check=True, capture_output=True)
            return numpy.fromfile(output / "train_000000.bin", dtype=numpy.uint16)[512:].tolist()

        output = Path(directory) / "out"
        ids = tokenize(output, "--vocab-size", str(vocabulary_size))
        # Hugging Face's trainer takes the mark for text; Swiftlet learns nothing from it.
        tokenizer = reference([part for text in documents for part in text.split(END)], vocabulary_size)
        if tokenizer.to_str(pretty=True).encode() != (output / "tokenizer.json").read_bytes():
            return "tokenizer.json differs"
        if ids != ids_of(tokenizer, documents):
            return "ids differ"
        more = with_added_tokens(tokenizer, rng)
        more.save(str(Path(directory) / "tokenizer.json"))
        if tokenize(Path(directory) / "more", "--tokenizer", Path(directory) / "tokenizer.json") != ids_of(more, documents):
            return "ids with more added tokens differ"
        return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("swiftlet", type=Path)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("files", nargs="*", type=Path)
    options = parser.parse_intermixed_args()
    failures = 0
    for path in options.files:
        for size in (512, 8192):
            complaint = check(options.swiftlet, [path.read_bytes().decode()], size, random.Random(size))
            failures += complaint is not None
            print(f"{path} at {size}: {complaint or 'equal'}")
    for seed in range(options.seed, options.seed + options.count):
        rng = random.Random(seed)
        documents = [random_text(rng) for _ in range(rng.choice([1, 1, 1, 3]))]
        documents = list(dict.fromkeys(documents))
        complaint = check(options.swiftlet, documents, rng.choice([260, 300, 400, 700]), rng)
        failures += complaint is not None
        if complaint:
            print(f"seed {seed}: {complaint}")
    print(f"{options.count} random corpora, {failures} failures")
    raise SystemExit(1 if failures else 0)


if __name__ == "__main__":
    main()
