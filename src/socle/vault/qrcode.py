"""A QR code for a terminal, from the picture that OpenBao makes of it (PNG, W3C Recommendation)."""

from __future__ import annotations

import base64
import struct
import zlib

GREY = 128
HALVES = {(0, 0): "█", (0, 1): "▀", (1, 0): "▄", (1, 1): " "}
"""Dark above and dark below to a character: light on dark, as terminals are."""


def drawn(picture: str) -> str:
    """The code as lines of text.

    Args:
        picture: PNG in base64, grey, 8 or 16 bits a pixel, each module a square of some pixels.
    """
    code = _cut(_pixels(base64.b64decode(picture)))
    side = _module(code)
    rows = [[int(pixel < GREY) for pixel in row[side // 2 :: side]] for row in code[side // 2 :: side]]
    quiet = [0] * len(rows[0])
    rows = [quiet, quiet, *rows, quiet, *([] if len(rows) % 2 else [quiet])]
    pairs = zip(rows[::2], rows[1::2], strict=True)
    return "".join("██" + "".join(HALVES[pair] for pair in zip(*two, strict=True)) + "██\n" for two in pairs)


def _cut(pixels: list[list[int]]) -> list[list[int]]:
    """The picture without the light around the code."""
    dark_rows = [y for y, row in enumerate(pixels) if min(row) < GREY]
    dark = [x for x, pixel in enumerate(pixels[dark_rows[0]]) if pixel < GREY]
    return [row[dark[0] : dark[-1] + 1] for row in pixels[dark_rows[0] : dark_rows[-1] + 1]]


def _module(code: list[list[int]]) -> int:
    """Pixels of a module's side: the finder in the corner is seven modules wide (ISO/IEC 18004 6.3.3)."""
    return next(x for x, pixel in enumerate(code[0]) if pixel >= GREY) // 7


def _pixels(content: bytes) -> list[list[int]]:
    """The grey values of a PNG that is not interlaced."""
    width, height, depth, kind = struct.unpack(">IIBB", content[16:26])
    if kind != 0 or depth not in (8, 16):
        raise ValueError(f"a PNG of kind {kind} with {depth} bits")
    size, line = depth // 8, width * depth // 8
    data = zlib.decompress(_image_data(content))
    rows: list[list[int]] = []
    before = bytearray(line)
    for y in range(height):
        start = y * (line + 1)
        row = _unfiltered(data[start], bytearray(data[start + 1 : start + 1 + line]), before, size)
        rows.append(list(row[::size]))
        before = row
    return rows


def _image_data(content: bytes) -> bytes:
    found, place = b"", 8
    while place < len(content):
        length, name = struct.unpack(">I4s", content[place : place + 8])
        if name == b"IDAT":
            found += content[place + 8 : place + 8 + length]
        place += 12 + length
    return found


def _unfiltered(kind: int, row: bytearray, above: bytearray, size: int) -> bytearray:
    """Undo a filter of PNG (section 9)."""
    for x in range(len(row)):
        left = row[x - size] if x >= size else 0
        corner = above[x - size] if x >= size else 0
        added = (0, left, above[x], (left + above[x]) // 2, _paeth(left, above[x], corner))[kind]
        row[x] = (row[x] + added) & 255
    return row


def _paeth(left: int, above: int, corner: int) -> int:
    guess = left + above - corner
    return min((left, above, corner), key=lambda value: abs(guess - value))
