#!/usr/bin/env python3
"""The sample order of `SampleOrder`, written a second time: prints the golden values of SampleOrderTests.

    python3 Tests/Reference/sample_order.py
"""
MASK = (1 << 64) - 1


def mix(value):
    value = (value + 0x9E3779B97F4A7C15) & MASK
    value = ((value ^ value >> 30) * 0xBF58476D1CE4E5B9) & MASK
    value = ((value ^ value >> 27) * 0x94D049BB133111EB) & MASK
    return value ^ value >> 31


def index(seed, count, position):
    """The sequence at `position` of an endless row of epochs of `count` sequences."""
    epoch, place = divmod(position, count)
    bits = (count - 1).bit_length()
    left_bits = bits // 2
    right_bits = bits - left_bits
    key = mix(mix(seed) ^ epoch)
    while True:
        left, right = place >> right_bits, place & ((1 << right_bits) - 1)
        for turn in range(24):
            turn_key = (key + (2 * turn + 1) * 0xD1B54A32D192ED03) & MASK
            if turn % 2 == 0:
                right ^= mix(left ^ turn_key) & ((1 << right_bits) - 1)
            else:
                left ^= mix(right ^ turn_key) & ((1 << left_bits) - 1)
        place = left << right_bits | right
        if place < count:
            return place


if __name__ == "__main__":
    print([index(1337, 10, p) for p in range(10)])
    print([index(1337, 10, p) for p in range(10, 20)])
    print([index(42, 1_000_003, p) for p in (0, 1, 1_000_002, 5_000_000)])
