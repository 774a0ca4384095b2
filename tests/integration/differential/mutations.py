# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mutations of PEM, DER and OpenPGP: such as attackers would think of, and such as nobody would."""

from __future__ import annotations

import base64
import dataclasses
import os
import random
import typing as t
from collections.abc import Sequence

MUTATIONS = int(os.environ.get("DIFFERENTIAL_MUTATIONS", "12000"))
SEED = os.environ.get("DIFFERENTIAL_SEED", "1")
LINE = 64


def armour(content: bytes, label: str, width: int = LINE) -> bytes:
    """``content`` as PEM."""
    text = base64.b64encode(content)
    lines = [text[place : place + width] for place in range(0, len(text), width)]
    name = label.encode()
    return b"\n".join([b"-----BEGIN " + name + b"-----", *lines, b"-----END " + name + b"-----", b""])


# --- Text


def _words(label: str) -> list[bytes]:
    name = label.encode()
    begin, end = b"-----BEGIN " + name + b"-----", b"-----END " + name + b"-----"
    words = [begin, end, begin + b"\n", b"\n" + end, end + b":x\n\n", b"\n" + end + b"\n", begin + b"\nA: b\n\n"]
    words += [b"-----", b"-----BEGIN ", b"-----END ", b"-----BEGIN X-----\n", b"\n-----END X-----\n", b"A: b\n", b":"]
    words += [b"\n", b"\n\n", b"\r", b"\r\n", b" ", b"\t", b"\x0b", b"\x0c", b"\x1c", b"\x85", b"\xe2\x80\xa8", b"\0"]
    return [*words, b"=", b"==", b"====", b"AAAA", b"AAB=", b"-", b"_", b"# text\n", b"\xff"]


def of_text(chance: random.Random, text: bytes, others: Sequence[bytes], label: str) -> bytes:
    """``text`` with one to four changes; ``others`` are texts of the same kind."""
    for _round in range(chance.choice([1, 1, 2, 2, 3, 4])):
        start = _place(chance, text)
        end = min(len(text), start + chance.choice([0, 0, 1, 1, 2, 5, 64, 65]))
        other = chance.choice(others)
        kind = chance.randrange(6)
        if kind == 0:
            text = text[:start] + text[end:]
        elif kind in (1, 2):
            text = text[:start] + chance.choice(_words(label)) + text[end:]
        elif kind == 3:
            text = text[:start] + bytes([chance.randrange(256)]) + text[end:]
        elif kind == 4:
            first = _place(chance, other)
            text = text[:start] + other[first : _place(chance, other)] + text[end:]
        else:
            text = chance.choice(
                [text + other, other + text, text[:start] + other + text[end:], in_a_header(text, other)]
            )
    return text


def _place(chance: random.Random, text: bytes) -> int:
    """A place in ``text``: near a line's end or a dash more often than elsewhere."""
    if chance.random() < 0.6:
        near = text.find(chance.choice([b"\n", b"-----"]), chance.randrange(len(text) + 1))
        return max(0, near + chance.choice([0, 0, 1, 5])) if near >= 0 else len(text)
    return chance.randrange(len(text) + 1)


def in_a_header(text: bytes, other: bytes) -> bytes:
    """``text`` on lines that Go takes for a header of ``other``."""
    begin, _end, rest = other.partition(b"\n")
    body = b"".join(line for line in text.split(b"\n") if not line.startswith(b"-----"))
    return begin + b"\n" + body + begin.replace(b"BEGIN", b"END") + b":x\n\n" + rest


# --- DER


@dataclasses.dataclass
class Node:
    """An element with elements in it, or with octets."""

    tag: int
    children: list[Node] | None
    octets: bytes = b""
    #: Octets before the elements: the unused bits of a bit string.
    before: bytes = b""

    def encode(self) -> bytes:
        content = self.octets if self.children is None else self.before + b"".join(c.encode() for c in self.children)
        return bytes([self.tag]) + _length(len(content)) + content


def _length(size: int) -> bytes:
    if size < 0x80:
        return bytes([size])
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([0x80 | len(octets), *octets])


def read(data: bytes) -> list[Node]:
    """The elements of good DER; octet strings that hold elements are opened, too."""
    nodes = []
    while data:
        size, start = data[1], 2
        if size & 0x80:
            start = 2 + (size & 0x7F)
            size = int.from_bytes(data[2:start], "big")
        if start + size > len(data):
            raise ValueError("cut off")
        nodes.append(_node(data[0], data[start : start + size]))
        data = data[start + size :]
    return nodes


def _node(tag: int, content: bytes) -> Node:
    if tag & 0x20:
        return Node(tag, read(content))
    if tag == 0x04 and content[:1] == b"\x30":
        return Node(tag, read(content))
    return Node(tag, None, content)


TAGS = [1, 2, 3, 4, 5, 6, 12, 18, 19, 20, 22, 23, 24, 28, 30, 48, 49, 0x80, 0x81, 0x82, 0x86, 0x87, 0xA0, 0xA1, 0xA2]
TAGS += [0xA3, 0x42, 0x1F, 0x24]
CONTENTS = [b"", b"\0", b"\xff", b"\1", b"\0\0", b"\0\x7f", b"\0\x80", b"\xff\x80", b"\1\2\3\4", bytes(16), b"n1\0x"]
CONTENTS += [bytes(10) + b"\xff\xff\xc0\0\2\1", b"a_b", b"system:masters", b"\xed\xa0\x80", b"\xd8\0", b"\xfd\xd0"]
CONTENTS += [
    b"\0a\0\0",
    b"k8s\xe2\x84\xaa",
    b"*.x",
    b"x" * 130,
    b"a&b",
    b"a@b",
    b"kubernetes.default.svc",
    b"\n\x1b[2J",
]


def of_der(chance: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """``data`` with one to three changes of its elements, or of its octets."""
    if chance.random() < 0.15:
        place = chance.randrange(len(data))
        return data[:place] + bytes([chance.randrange(256)]) + data[place + chance.choice([0, 1, 1]) :]
    roots = read(data)
    for _round in range(chance.choice([1, 1, 2, 3])):
        _change(chance, roots, [node for other in others for node, _list in _walk(read(other))])
    encoded = b"".join(node.encode() for node in roots)
    if chance.random() < 0.05:
        # A length in more octets than it needs.
        place = encoded.find(bytes([chance.choice([0x30, 0x06, 0x04, 0x0C, 0x13])]))
        if 0 <= place < len(encoded) - 1 and encoded[place + 1] < 0x80:
            encoded = encoded[: place + 1] + b"\x81" + encoded[place + 1 :]
    return encoded


def _walk(nodes: list[Node]) -> t.Iterator[tuple[Node, list[Node]]]:
    for node in nodes:
        yield node, nodes
        yield from _walk(node.children or [])


def _change(chance: random.Random, roots: list[Node], foreign: Sequence[Node]) -> None:
    pairs = list(_walk(roots))
    if not pairs:
        return
    node, siblings = chance.choice(pairs)
    place = next(number for number, sibling in enumerate(siblings) if sibling is node)
    kind = chance.randrange(9)
    if kind == 0:
        node.tag = chance.choice(TAGS)
    elif kind == 1 and node.children is None:
        node.octets = chance.choice(CONTENTS)
    elif kind == 2 and node.children is None and node.octets:
        spot = chance.randrange(len(node.octets))
        node.octets = node.octets[:spot] + bytes([chance.randrange(256)]) + node.octets[spot + 1 :]
    elif kind == 3:
        siblings.insert(place, node)
    elif kind == 4:
        del siblings[place]
    elif kind == 5:
        siblings[place] = chance.choice(foreign)
    elif kind == 6:
        siblings.insert(place + chance.choice([0, 1]), chance.choice(foreign))
    elif kind == 7:
        siblings.insert(place + chance.choice([0, 1]), Node(chance.choice(TAGS), None, chance.choice(CONTENTS)))
    else:
        other = chance.randrange(len(siblings))
        siblings[place], siblings[other] = siblings[other], siblings[place]
