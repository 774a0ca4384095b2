# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask one server for the addresses of a name. The system's own resolver cannot be told which server to ask.

Source: RFC 1035, sections 4.1 and 4.2.1; RFC 3596 for AAAA. Private to this collection.
"""

from __future__ import annotations

import contextlib
import ipaddress
import secrets
import socket
import struct
import typing as t

#: Kinds of records, and how many bytes an address of them has.
_KINDS = {"A": (1, 4), "AAAA": (28, 16)}
PORT = 53
_INTERNET = 1
_HEADER = struct.Struct(">6H")
_RECORD = struct.Struct(">HHIH")
_IS_ANSWER, _WITH_RECURSION, _CODE = 0x8000, 0x0100, 0x000F
_NO_SUCH_NAME = 3
_CODES = {1: "FORMERR", 2: "SERVFAIL", _NO_SUCH_NAME: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED"}
#: A name that goes on elsewhere in the message.
_POINTER = 0xC0
_LARGEST = 4096


class DnsError(Exception):
    """No answer, or one that says that there is none."""


def question(number: int, name: str, kind: str) -> bytes:
    """The message that asks for a name.

    :param number: tells the answer from others.
    """
    labels = b"".join(bytes([len(label)]) + label for label in name.rstrip(".").encode("ascii").split(b"."))
    return (
        _HEADER.pack(number, _WITH_RECURSION, 1, 0, 0, 0) + labels + struct.pack(">BHH", 0, _KINDS[kind][0], _INTERNET)
    )


def _behind_name(message: bytes, place: int) -> int:
    """Where a name ends that begins at ``place``."""
    while message[place] and message[place] < _POINTER:
        place += 1 + message[place]
    return place + (2 if message[place] else 1)


def addresses(message: bytes, asked: bytes, kind: str) -> t.List[str]:
    """The addresses in an answer; those that other names stand for are in it as well.

    :raises DnsError: when it is no answer to what was asked, or says that there is none.
    """
    try:
        _number, flags, questions, answers, _authorities, _more = _HEADER.unpack_from(message)
        if message[:2] != asked[:2] or not flags & _IS_ANSWER:
            raise DnsError("something else than an answer came")
        if flags & _CODE:
            raise DnsError(_CODES.get(flags & _CODE, f"error {flags & _CODE}"))
        place = _HEADER.size
        for _question in range(questions):
            place = _behind_name(message, place) + 4
        found = []
        for _answer in range(answers):
            place = _behind_name(message, place)
            record, _family, _lifetime, length = _RECORD.unpack_from(message, place)
            place += _RECORD.size
            if (record, length) == _KINDS[kind]:
                found.append(str(ipaddress.ip_address(message[place : place + length])))
            place += length
    except (IndexError, struct.error, ValueError):
        raise DnsError("an answer came that makes no sense") from None
    return found


def ask(server: str, name: str, kind: str = "A", timeout: float = 2, tries: int = 2) -> t.List[str]:
    """The addresses that a server has for a name, by UDP; none when it has the name and no address of that kind.

    :param timeout: seconds for each try.
    :raises DnsError: when there is no answer, or no such name.
    """
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    asked = question(secrets.randbelow(1 << 16), name, kind)
    problem: t.Optional[Exception] = None
    with contextlib.closing(socket.socket(family, socket.SOCK_DGRAM)) as connection:
        connection.settimeout(timeout)
        for _try in range(tries):
            try:
                # Connected, so that nobody else's answer is taken.
                connection.connect((server, PORT))
                connection.send(asked)
                return addresses(connection.recv(_LARGEST), asked, kind)
            except OSError as error:
                problem = error
    raise DnsError(f"no answer ({problem})")


def problem(server: str, name: str, expected: t.Sequence[str] = (), timeout: float = 2, tries: int = 2) -> str:
    """Why a server does not know a name as expected; empty when it does.

    :param expected: addresses that have to be among those that it has; any when there are none.
    """
    kinds = sorted({"AAAA" if ":" in address else "A" for address in expected}) or ["A", "AAAA"]
    found: t.List[str] = []
    errors: t.List[DnsError] = []
    for kind in kinds:
        try:
            found += ask(server, name, kind, timeout, tries)
        except DnsError as error:
            errors.append(error)
    # Some servers refuse the kind that a name has no address of.
    if errors and (expected or not found):
        return f"{server} is asked for {name}: {errors[0]}"
    missing = sorted({str(ipaddress.ip_address(address)) for address in expected} - set(found))
    if missing or not found:
        return f"{server} has {', '.join(found) or 'no address'} for {name}" + (
            f", and not {', '.join(missing)}" if missing else ""
        )
    return ""
