# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines that shall be nodes try the connections between them: one side listens for a while, the other connects.

Private to this collection.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import socket
import time
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils import _waiting

#: The name of the process that listens, as ``/proc/PID/comm`` has it.
PROCESS = "slipway-listen"
#: Where a second listener asks the first one to end; an abstract socket, which leaves no file.
_CONTROL = "\0slipway-listen"
_GREETING = "slipway"
#: Seconds that one peer may take to say who it is.
_PATIENCE = 5.0
#: Seconds that a datagram may be asked for again after all peers were seen.
_LINGER = 1.0
_MESSAGE_MAX = 1024

#: What the options of both sides say about a port.
PORT_ARGUMENTS: t.Dict[str, t.Any] = {
    "protocol": {"type": "str", "choices": ["tcp", "udp"], "default": "tcp"},
    "port": {"type": "int", "required": True},
}

Port = t.Mapping[str, t.Any]


def question(name: str) -> bytes:
    """What a peer says first."""
    return json.dumps([_GREETING, name]).encode() + b"\n"


def answer(name: str) -> bytes:
    """What the listener on the machine ``name`` answers."""
    return json.dumps([_GREETING, name, time.time()]).encode() + b"\n"


def parse(message: bytes) -> t.Optional[t.List[t.Any]]:
    """The words of a message after its greeting; ``None`` when somebody else sent it."""
    try:
        words = json.loads(message)
    except ValueError:
        return None
    return words[1:] if isinstance(words, list) and words[:1] == [_GREETING] and len(words) > 1 else None


def family_of(address: str) -> int:
    """The socket family of an IP address."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


class Listener:
    """Listens on the ports that are free, until all peers were there or the time is over."""

    def __init__(self, name: str, address: str, ports: t.Sequence[Port]) -> None:
        """:param ports: ``protocol``, ``port`` and ``peers``, the names that are expected."""
        self._name = name
        self._expected: t.Dict[int, t.Set[str]] = {}
        self._selector = selectors.DefaultSelector()
        self._control = self._take_control()
        self._selector.register(self._control, selectors.EVENT_READ)
        self.busy: t.List[t.Dict[str, t.Any]] = []
        for port in ports:
            self._bind(address, port)

    @staticmethod
    def _take_control() -> socket.socket:
        """The control socket; a listener that an earlier run has left ends."""
        control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        wait = _waiting.Wait(2, pause=0.05)
        while True:
            try:
                control.bind(_CONTROL)
                break
            except OSError:
                with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
                    other.connect(_CONTROL)
                if wait.is_over:
                    raise
                wait.sleep()
        control.listen(1)
        return control

    def _bind(self, address: str, port: Port) -> None:
        kind = socket.SOCK_STREAM if port["protocol"] == "tcp" else socket.SOCK_DGRAM
        listening = socket.socket(family_of(address), kind)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(port["protocol"] == "tcp"))
            listening.bind((address, int(port["port"])))
            if port["protocol"] == "tcp":
                listening.listen(1024)
        except OSError as error:
            listening.close()
            self.busy.append({"protocol": port["protocol"], "port": port["port"], "error": str(error)})
            return
        listening.settimeout(_PATIENCE)
        self._expected[listening.fileno()] = set(port["peers"])
        self._selector.register(listening, selectors.EVENT_READ)

    def serve(self, timeout: float) -> None:
        """Answer peers.

        :param timeout: seconds.
        """
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if not any(self._expected.values()):
                deadline = min(deadline, time.monotonic() + _LINGER)
            for key, _events in self._selector.select(max(0.0, min(deadline - time.monotonic(), _PATIENCE))):
                if key.fileobj is self._control:
                    return
                with contextlib.suppress(OSError):
                    self._serve(t.cast(socket.socket, key.fileobj))

    def _serve(self, listening: socket.socket) -> None:
        if listening.type == socket.SOCK_DGRAM:
            message, sender = listening.recvfrom(_MESSAGE_MAX)
            self._seen(listening, message)
            listening.sendto(answer(self._name), sender)
            return
        connection = listening.accept()[0]
        with connection:
            connection.settimeout(_PATIENCE)
            self._seen(listening, connection.recv(_MESSAGE_MAX))
            connection.sendall(answer(self._name))

    def _seen(self, listening: socket.socket, message: bytes) -> None:
        words = parse(message)
        if words:
            self._expected[listening.fileno()].discard(words[0])
        if listening.type == socket.SOCK_STREAM and not self._expected[listening.fileno()]:
            # Whoever needs the port may have it now; the peer's own connection stays until it has its answer.
            self._selector.unregister(listening)
            listening.close()

    def close(self) -> None:
        """Give all ports back."""
        for key in list(self._selector.get_map().values()):
            t.cast(socket.socket, key.fileobj).close()
        self._selector.close()


def serve_in_background(listener: Listener, timeout: float) -> None:
    """Let a process of its own serve, which outlives the module.

    :param timeout: seconds.
    """
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        listener.close()
        return
    try:
        os.setsid()
        if os.fork():
            return
        null = os.open(os.devnull, os.O_RDWR)
        for standard in (0, 1, 2):
            os.dup2(null, standard)
        with contextlib.suppress(OSError), open("/proc/self/comm", "w", encoding="ascii") as stream:
            stream.write(PROCESS)
        listener.serve(timeout)
    finally:
        os._exit(0)


def connect(name: str, peer: t.Mapping[str, t.Any], timeout: float) -> t.Tuple[str, t.Optional[t.Tuple[float, float]]]:
    """Try one connection.

    :param peer: ``host``, ``address``, ``protocol``, ``port``, and whether our listener has to ``answer``.
    :param timeout: seconds.
    :returns: what is wrong (empty when it works), and how far the peer's clock is ahead at least and at most, in
        seconds, when it said its time.
    """
    try:
        if peer["protocol"] == "udp":
            message, asked, got = _ask_by_datagram(name, peer, timeout)
        else:
            place = (peer["address"], int(peer["port"]))
            with socket.create_connection(place, timeout=timeout) as connection:
                if not peer.get("answer", True):
                    return "", None
                asked = time.time()
                connection.sendall(question(name))
                message, got = connection.recv(_MESSAGE_MAX), time.time()
    except socket.timeout:
        return f"no answer in {timeout:g} s", None
    except OSError as error:
        return (error.strerror or str(error)).lower(), None
    words = parse(message)
    if words is None or len(words) < 2:
        return "something else answers there", None
    if words[0] != peer["host"]:
        return f"{words[0]} answers there", None
    return "", (words[1] - got, words[1] - asked)


def _ask_by_datagram(name: str, peer: t.Mapping[str, t.Any], timeout: float) -> t.Tuple[bytes, float, float]:
    """The answer to a datagram, which is sent again when it is late; when it was sent first, and answered."""
    deadline = time.monotonic() + timeout
    with socket.socket(family_of(peer["address"]), socket.SOCK_DGRAM) as asking:
        asking.connect((peer["address"], int(peer["port"])))
        asking.settimeout(timeout / 4)
        asked = time.time()
        while True:
            try:
                asking.send(question(name))
                return asking.recv(_MESSAGE_MAX), asked, time.time()
            except socket.timeout:
                if time.monotonic() > deadline:
                    raise
