# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients that ask every 100 ms, to measure what users of a cluster notice while something is done to it.

Each request has a connection and a thread of its own: one that hangs does not hide the next ones. A :class:`Probe` asks
while its ``with`` block runs; afterwards its :class:`Report` says what was seen.

By hand: ``python tests/integration/probe.py --kubeconfig admin.conf --seconds 60 [--server URL] [--get URL]``
"""

from __future__ import annotations

import argparse
import base64
import collections
import contextlib
import dataclasses
import http.client
import itertools
import json
import pathlib
import signal
import socket
import ssl
import struct
import tempfile
import threading
import time
import typing as t
import urllib.parse
import uuid

import yaml

#: Seconds between the beginnings of two requests.
INTERVAL = 0.1

#: Seconds until an answer is too late.
TIMEOUT = 2.0


class AnswerError(Exception):
    """There was an answer, but no good one."""


#: How a request may fail.
FAILURES = (OSError, http.client.HTTPException, AnswerError)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """One request: when it was sent, when it ended (seconds of the monotonic clock), and why it failed, if it did."""

    number: int
    sent: float
    ended: float
    error: str = ""


@dataclasses.dataclass(frozen=True)
class Report:
    """What a probe has seen. Times are seconds since the probe's start."""

    name: str
    requests: int
    failed: int
    #: The longest time in which no request was answered well.
    longest_gap: float
    #: When the first and the last request that failed were sent.
    first_failure: float | None
    last_failure: float | None
    #: How often which error.
    errors: dict[str, int]
    #: Writes that were acknowledged and are not there; none for reads.
    lost: list[str]

    def __str__(self) -> str:
        line = f"{self.name}: {self.requests} requests, {self.failed} failed, longest gap {self.longest_gap:.1f} s"
        if self.first_failure is not None and self.last_failure is not None:
            line += f", failures from {self.first_failure:.1f} s to {self.last_failure:.1f} s"
            line += " (" + ", ".join(f"{count} {error}" for error, count in self.errors.items()) + ")"
        if self.lost:
            line += f", {len(self.lost)} LOST WRITES"
        return line


def summarize(name: str, outcomes: t.Sequence[Outcome], start: float, end: float, lost: t.Sequence[str] = ()) -> Report:
    """Return the report on requests between ``start`` and ``end``."""
    failures = sorted((outcome for outcome in outcomes if outcome.error), key=lambda outcome: outcome.sent)
    successes = sorted(outcome.ended for outcome in outcomes if not outcome.error)
    moments = [start, *successes, max([end, *successes])]
    return Report(
        name=name,
        requests=len(outcomes),
        failed=len(failures),
        longest_gap=max(after - before for before, after in itertools.pairwise(moments)),
        first_failure=failures[0].sent - start if failures else None,
        last_failure=failures[-1].sent - start if failures else None,
        errors=dict(collections.Counter(outcome.error for outcome in failures).most_common()),
        lost=list(lost),
    )


class Client:
    """Requests to one server, each with a connection of its own."""

    def __init__(self, url: str, context: ssl.SSLContext | None = None) -> None:
        parts = urllib.parse.urlsplit(url)
        self._tls = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port
        self._path = parts.path.rstrip("/")
        self._context = context

    def request(self, method: str, path: str = "", body: t.Any = None, timeout: float = TIMEOUT) -> bytes:
        """Return the body of the answer.

        :raises AnswerError: when the answer is no success, or comes after more than ``timeout`` seconds.
        :raises OSError, http.client.HTTPException: when there is no answer, or none of HTTP.
        """
        start = time.monotonic()
        connection: http.client.HTTPConnection
        if self._tls:
            connection = http.client.HTTPSConnection(self._host, self._port, timeout=timeout, context=self._context)
        else:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=timeout)
        with contextlib.closing(connection):
            data = None if body is None else json.dumps(body)
            connection.request(method, self._path + path or "/", data, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            content = answer.read()
        if not 200 <= answer.status < 300:
            raise AnswerError(f"HTTP {answer.status}")
        if time.monotonic() - start > timeout:
            raise AnswerError("too late")
        return content


def api_client(kubeconfig: str | pathlib.Path, server: str = "") -> Client:
    """Return a client with the authority, the certificate and the endpoint of a kubeconfig such as admin.conf.

    :param kubeconfig: the file, or what is in it.
    :param server: asks another URL.
    """
    text = kubeconfig.read_text(encoding="utf-8") if isinstance(kubeconfig, pathlib.Path) else kubeconfig
    config = yaml.safe_load(text)
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    context = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    # The ssl module takes a client's certificate from files only.
    with tempfile.TemporaryDirectory(prefix="slipway-probe-") as folder:
        pair = pathlib.Path(folder) / "pair.pem"
        pair.touch(mode=0o600)
        pair.write_bytes(base64.b64decode(user["client-certificate-data"]) + base64.b64decode(user["client-key-data"]))
        context.load_cert_chain(pair)
    return Client(server or cluster["server"], context)


class Probe:
    """Asks every ``interval`` seconds from the beginning to the end of its ``with`` block."""

    def __init__(self, name: str, client: Client, interval: float = INTERVAL, timeout: float = TIMEOUT) -> None:
        self.name = name
        self._client = client
        self._interval = interval
        self._timeout = timeout
        self._outcomes: list[Outcome] = []
        self._stop = threading.Event()
        self._ticker = threading.Thread(target=self._tick, name=name, daemon=True)
        self._requests: list[threading.Thread] = []
        self._start = self._end = 0.0
        self._lost: list[str] = []

    def ask(self, number: int) -> None:
        """Send one request.

        :raises FAILURES: when it fails.
        """
        self._client.request("GET", timeout=self._timeout)

    def check(self) -> list[str]:
        """Return what was acknowledged and is not there."""
        return []

    def __enter__(self) -> Probe:
        self._start = time.monotonic()
        self._ticker.start()
        return self

    def stop(self) -> None:
        """Send no more requests."""
        if not self._stop.is_set():
            self._end = time.monotonic()
            self._stop.set()

    def __exit__(self, exception: type[BaseException] | None, *_others: object) -> None:
        self.stop()
        self._ticker.join()
        for thread in self._requests:
            thread.join()
        if exception is None:
            self._lost = self.check()

    @property
    def report(self) -> Report:
        """What was seen until now, or until the end of the block."""
        return summarize(self.name, list(self._outcomes), self._start, self._end or time.monotonic(), self._lost)

    def acknowledged(self) -> list[int]:
        """Numbers of the requests that were answered well."""
        return [outcome.number for outcome in list(self._outcomes) if not outcome.error]

    def _tick(self) -> None:
        due = self._start
        for number in itertools.count():
            # After a pause of this machine no burst of requests follows.
            due = max(due + self._interval, time.monotonic())
            thread = threading.Thread(target=self._one, args=(number,), daemon=True)
            thread.start()
            self._requests = [request for request in self._requests if request.is_alive()] + [thread]
            if self._stop.wait(due - time.monotonic()):
                return

    def _one(self, number: int) -> None:
        sent = time.monotonic()
        error = ""
        try:
            self.ask(number)
        except FAILURES as failure:
            error = _reason(failure)
        self._outcomes.append(Outcome(number, sent, time.monotonic(), error))


def _reason(failure: Exception) -> str:
    """A few words that are the same for each failure of a kind."""
    if isinstance(failure, TimeoutError):
        return "timeout"
    if isinstance(failure, AnswerError):
        return str(failure)
    return type(failure).__name__


class ApiRead(Probe):
    """Reads an object, which needs etcd, through the API server."""

    def ask(self, number: int) -> None:
        self._client.request("GET", "/api/v1/namespaces/kube-system", timeout=self._timeout)


class Name(Probe):
    """Asks a DNS server for a name by UDP, each time from another port as resolvers do."""

    #: A name that every cluster has.
    SERVICE = "kubernetes.default.svc.cluster.local"

    def __init__(
        self,
        name: str,
        server: str,
        asked: str = SERVICE,
        port: int = 53,
        interval: float = INTERVAL,
        timeout: float = TIMEOUT,
    ) -> None:
        super().__init__(name, Client("http://unused"), interval, timeout)
        self._server = (server, port)
        self._asked = asked

    def ask(self, number: int) -> None:
        question = dns_question(number & 0xFFFF, self._asked)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connection:
            connection.settimeout(self._timeout)
            connection.connect(self._server)
            connection.send(question)
            check_dns_answer(connection.recv(4096), number & 0xFFFF)


def dns_question(number: int, name: str) -> bytes:
    """A question for the IPv4 addresses of a name; source: RFC 1035, section 4."""
    labels = b"".join(bytes([len(label)]) + label.encode("ascii") for label in name.split("."))
    return struct.pack("!6H", number, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!2H", 1, 1)


def check_dns_answer(answer: bytes, number: int) -> None:
    """
    :raises AnswerError: when it is none to the question ``number``, or has no record.
    """
    if len(answer) < 12:
        raise AnswerError("no DNS")
    found, flags, _questions, answers = struct.unpack("!4H", answer[:8])
    if found != number or not flags & 0x8000:
        raise AnswerError("no answer to this question")
    if flags & 0xF or not answers:
        raise AnswerError(f"DNS code {flags & 0xF}, {answers} records")


class ApiWrite(Probe):
    """Creates one ConfigMap a request; afterwards all that were acknowledged have to be there. Then it removes them."""

    def __init__(self, name: str, client: Client, interval: float = INTERVAL, timeout: float = TIMEOUT) -> None:
        super().__init__(name, client, interval, timeout)
        self._run = uuid.uuid4().hex[:8]
        self._maps = "/api/v1/namespaces/default/configmaps"
        self._selector = f"?labelSelector=slipway-probe%3D{self._run}"

    def ask(self, number: int) -> None:
        metadata = {"name": f"probe-{self._run}-{number}", "labels": {"slipway-probe": self._run}}
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"number": str(number)}}
        self._client.request("POST", self._maps, body, self._timeout)

    def check(self) -> list[str]:
        found = json.loads(self._client.request("GET", self._maps + self._selector, timeout=30))["items"]
        there = {item["data"]["number"] for item in found}
        # The API server and load balancers give up after a minute; what has been deleted until then is gone.
        for _attempt in range(5):
            with contextlib.suppress(*FAILURES):
                self._client.request("DELETE", self._maps + self._selector, timeout=90)
                break
        return sorted(str(number) for number in self.acknowledged() if str(number) not in there)


@contextlib.contextmanager
def probes(*asked: Probe) -> t.Iterator[list[Report]]:
    """Run several at once; the list that the block gets is filled with their reports at its end, which are printed."""
    reports: list[Report] = []
    with contextlib.ExitStack() as stack:
        for probe in asked:
            stack.enter_context(probe)
        yield reports
        for probe in asked:
            probe.stop()
    reports += [probe.report for probe in asked]
    for report in reports:
        print(report, flush=True)


def main() -> None:
    """Ask until the time is over or Ctrl-C, and print the reports."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kubeconfig", type=pathlib.Path, help="read and write through its API server")
    parser.add_argument("--server", default="", help="another URL for the API server")
    parser.add_argument("--get", action="append", default=[], help="a URL that is asked, too")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--interval", type=float, default=INTERVAL, help="seconds between two requests")
    options = parser.parse_args()
    asked: list[Probe] = [Probe(url, Client(url), options.interval) for url in options.get]
    if options.kubeconfig:
        client = api_client(options.kubeconfig, options.server)
        asked += [ApiRead("read", client, options.interval), ApiWrite("write", client, options.interval)]
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with probes(*asked):
        stop.wait(options.seconds)


if __name__ == "__main__":
    main()
