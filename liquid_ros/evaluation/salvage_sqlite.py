# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Rows of a rosbag2's table of messages from a sqlite3 file whose tree is broken, page by page.

A page of kind 13 holds rows; those of (NULL, integer, integer, blob) are messages: the row's own
number stands for the first. Source: sqlite.org/fileformat2.html, sections 1.6 and 2.1.
"""

from pathlib import Path
from typing import BinaryIO, Iterator, List, Optional, Tuple

LEAF = 13
INTEGERS = {0: 0, 1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8, 8: 0, 9: 0}  # serial type -> bytes

Row = Tuple[int, int, bytes]  # topic_id, timestamp, data


def rows(path: Path) -> Iterator[Row]:
    """Yield the messages that can be read, in the order in which they were written."""
    with open(path, 'rb') as file:
        head = file.read(100)
        if len(head) < 100 or not head.startswith(b'SQLite format 3\0'):
            return
        size = int.from_bytes(head[16:18], 'big')
        size = 65536 if size == 1 else size
        usable = size - head[20]
        order: List[Tuple[int, int]] = []
        number = 1
        while True:
            number += 1
            page = _page(file, number, size)
            if page is None:
                break
            cells = _cells(file, page, size, usable) if page[:1] == bytes([LEAF]) else []
            if cells:
                order.append((cells[0][0], number))
        for _, number in sorted(order):
            page = _page(file, number, size)
            for _, row in _cells(file, page or b'', size, usable):
                yield row


def _page(file: BinaryIO, number: int, size: int) -> Optional[bytes]:
    file.seek((number - 1) * size)
    page = file.read(size)
    return page if len(page) == size else None


def _cells(file: BinaryIO, page: bytes, size: int, usable: int) -> List[Tuple[int, Row]]:
    """Return (row's number, row) of a page; none where it holds something else."""
    out = []
    for k in range(int.from_bytes(page[3:5], 'big')):
        try:
            at = int.from_bytes(page[8 + 2 * k:10 + 2 * k], 'big')
            total, at = _varint(page, at)
            rowid, at = _varint(page, at)
            row = _row(_payload(file, page, at, total, size, usable))
        except IndexError:  # it is not whole
            continue
        if row is not None:
            out.append((rowid, row))
    return out


def _payload(file: BinaryIO, page: bytes, at: int, total: int, size: int, usable: int) -> bytes:
    """Return a cell's bytes, with those that overflowed into other pages."""
    if total <= usable - 35:
        return page[at:at + total]
    least = (usable - 12) * 32 // 255 - 23
    here = least + (total - least) % (usable - 4)
    here = here if here <= usable - 35 else least
    data, link = bytearray(page[at:at + here]), page[at + here:at + here + 4]
    while len(data) < total:
        number = int.from_bytes(link, 'big')
        more = _page(file, number, size) if number else None
        if more is None:
            raise IndexError
        link = more[:4]
        data += more[4:min(usable, 4 + total - len(data))]
    return bytes(data)


def _row(data: bytes) -> Optional[Row]:
    end, at = _varint(data, 0)
    kinds = []
    while at < end:
        kind, at = _varint(data, at)
        kinds.append(kind)
    if (len(kinds) != 4 or kinds[0] != 0 or any(kind not in INTEGERS for kind in kinds[1:3])
            or kinds[3] < 12 or kinds[3] % 2):
        return None
    numbers = []
    for kind in kinds[1:3]:
        length = INTEGERS[kind]
        numbers.append(int(kind == 9) if kind in (8, 9) else int.from_bytes(
            data[at:at + length], 'big', signed=True))
        at += length
    blob = data[at:at + (kinds[3] - 12) // 2]
    return (numbers[0], numbers[1], blob) if 2 * len(blob) == kinds[3] - 12 else None


def _varint(data: bytes, at: int) -> Tuple[int, int]:
    value = 0
    for k in range(9):
        byte = data[at + k]
        if k == 8:
            return value << 8 | byte, at + 9
        value = value << 7 | byte & 0x7f
        if byte < 0x80:
            return value, at + k + 1
    raise IndexError
