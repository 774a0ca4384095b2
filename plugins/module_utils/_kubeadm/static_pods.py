# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The processes of a control plane's static pods: since when they run, which certificate they present, a restart.

A process is ended, and the kubelet starts its container again at once. Neither a manifest nor a record is touched, so
there is nothing that a run could leave half done.

Private to this collection.
"""

from __future__ import annotations

import dataclasses
import hashlib
import http.client
import os
import re
import signal
import socket
import time
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils import _processes, _tls, _waiting
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import read_text
from ansible_collections.slipway.kubernetes.plugins.module_utils._layout import KUBEADM
from ansible_collections.slipway.kubernetes.plugins.module_utils._pki import certificates, der

PROC = "/proc"
#: Seconds that a component may take to answer.
_PATIENCE = 3.0
#: Seconds that the API server may take to see a new file (it also looks each minute).
RELOAD = 75


@dataclasses.dataclass(frozen=True)
class Component:
    """A static pod's process.

    :param program: the name of its program.
    :param file: the file in whose use it is known from other processes of that name.
    """

    program: str
    file: str

    def pid(self) -> int:
        """Its process; 0 when it does not run."""
        for name in filter(str.isdigit, os.listdir(PROC)):
            words = _processes.words(name, PROC)
            mine = os.path.basename(words[0]) == self.program and any(word.endswith(self.file) for word in words[1:])
            # Another one is in a container of somebody else, which has the same paths.
            if mine and _processes.is_ours(name, PROC):
                return int(name)
        return 0

    def argument(self, name: str) -> str:
        """The value of one of its arguments; empty when it has none, or does not run."""
        for word in read_text(f"{PROC}/{self.pid()}/cmdline").split("\0"):
            key, _equals, value = word.partition("=")
            if key.lstrip("-") == name:
                return value
        return ""

    def is_older_than_its_file(self) -> bool:
        """Whether it runs, and began before its file was written; a file from the future does not count."""
        pid = self.pid()
        if not pid:
            return False
        written = os.stat(self.file).st_mtime
        return started(pid) < written <= time.time()

    def end(self, how: int = signal.SIGTERM) -> None:
        """End its process; the kubelet, when it runs, starts another one."""
        pid = self.pid()
        if pid:
            try:
                os.kill(pid, how)
            except ProcessLookupError:
                return


CONTROLLER_MANAGER = Component("kube-controller-manager", KUBEADM.controller_manager)
SCHEDULER = Component("kube-scheduler", KUBEADM.scheduler)
API_SERVER = Component("kube-apiserver", KUBEADM.certificate("apiserver"))
ETCD = Component("etcd", KUBEADM.certificate("etcd/server"))
#: What etcd's members present to each other.
ETCD_PEER = KUBEADM.certificate("etcd/peer")


def started(pid: int) -> float:
    """When a process began, in seconds since 1970; now when it has ended."""
    return time.time() - (_processes.age(pid, PROC) or 0.0)


def presented(host: str, port: int) -> str:
    """The fingerprint of the certificate that is presented there; empty when nobody answers.

    It is not verified: the caller compares it with the one that is in the file.
    """
    try:
        with socket.create_connection((host, port), _PATIENCE) as connection, _tls.unverified().wrap_socket(
            connection
        ) as secure:
            return hashlib.sha256(secure.getpeercert(binary_form=True) or b"").hexdigest()
    except OSError:
        return ""


def is_healthy(host: str, port: int) -> bool:
    """Whether ``/healthz`` of a component says so. Those of a control plane answer it to everybody."""
    # Controller manager and scheduler present a certificate that they have signed themselves.
    connection = http.client.HTTPSConnection(host, port, timeout=_PATIENCE, context=_tls.unverified())
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def first_address(urls: str) -> t.Optional[t.Tuple[str, int]]:
    """Host and port of the first of several URLs with commas between them, as etcd's arguments have them."""
    match = re.match(r"https://(\[[0-9a-fA-F:.]+\]|[^:/,]+):(\d+)", urls)
    return (match.group(1).strip("[]"), int(match.group(2))) if match else None


def presents(file: str, place: t.Tuple[str, int]) -> bool:
    """Whether the certificate in ``file`` is presented at ``place``."""
    try:
        return presented(*place) == certificates.read(file).fingerprint
    except der.DerError:
        return False


def until(what: str, holds: t.Callable[[], bool], timeout: float) -> None:
    """Wait until something holds.

    :raises SlipwayError: when it does not after ``timeout`` seconds.
    """
    if not _waiting.until(holds, timeout):
        raise SlipwayError(
            f"After {timeout:.0f} seconds {what} is not healthy on this machine. See whether the kubelet runs"
            " (`systemctl status kubelet`) and what the static pods say (/var/log/pods); then run again, which goes on"
            " from here."
        )


def take_up(component: Component, file: str, place: t.Tuple[str, int], timeout: float) -> bool:
    """Let a server that runs present the certificate in ``file``; whether it had to be restarted for that.

    API server and etcd read the file anew while they run.

    :param timeout: seconds that it may take after a restart; it is not waited for when 0.
    :raises SlipwayError: when it takes longer.
    """
    if not os.path.exists(file) or not presented(*place):
        return False
    if _waiting.until(lambda: presents(file, place), RELOAD):
        return False
    component.end()
    if timeout:
        until(f"{component.program} with the certificate in {file}", lambda: presents(file, place), timeout)
    return True
