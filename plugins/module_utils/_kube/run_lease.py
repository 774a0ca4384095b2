# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Lease by which runs keep out of each other's way, whichever control plane each of them asks.

It is changed only as it was read (by its ``resourceVersion``), so of two runs that want it at once one gets it.
Source: https://kubernetes.io/docs/concepts/architecture/leases/. Private to this collection.
"""

from __future__ import annotations

import calendar
import dataclasses
import json
import time
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._api_endpoints import in_url
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import CommandResult, SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import api_server
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.kubectl import Kubectl
from ansible_collections.slipway.kubernetes.plugins.module_utils._layout import Layout, of_this_machine

NAME = "slipway-run"
NAMESPACE = "kube-system"
#: The annotation with the record of the run.
ANNOTATION = "slipway.io/run"
#: Seconds for which a sign of life need not be repeated.
_FRESH = 5.0
_CONFLICTS = ("AlreadyExists", "already exists", "Conflict", "the object has been modified")
#: How often somebody else may change it between our look and our change.
_ATTEMPTS = 5

Record = t.Mapping[str, t.Any]
Object = t.Mapping[str, t.Any]


class UnansweredError(Exception):
    """There is no API server that answers, so nobody holds the Lease by it either."""


def timestamp(seconds: float) -> str:
    """A moment as the API writes ``MicroTime``."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds % 1 * 1e6):06d}Z"


def moment(text: str) -> float:
    """Seconds since the epoch of a ``MicroTime``; 0 when it is none."""
    whole, _point, rest = text.rstrip("Z").partition(".")
    try:
        return calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) + float(f"0.{rest or 0}")
    except ValueError:
        return 0.0


@dataclasses.dataclass(frozen=True)
class Found:
    """The Lease as it was read.

    :param item: the object; empty when there is none.
    :param now: when that was.
    """

    item: Object
    now: float

    @property
    def holder(self) -> t.Optional[t.Dict[str, t.Any]]:
        """The record of the run that holds it; ``None`` when it is free.

        With its last sign of life (``seen``), how long ago that was (``age``), and its ``patience``.
        """
        spec = self.item.get("spec") or {}
        identity = spec.get("holderIdentity")
        if not identity:
            return None
        try:
            record = dict(json.loads((self.item["metadata"].get("annotations") or {})[ANNOTATION]))
        except (KeyError, ValueError, TypeError):
            # Somebody has written it by hand.
            record = {"user": identity, "controller": "a machine that is not known"}
        age = max(0.0, self.now - moment(self.renewed))
        return {**record, "seen": self.renewed, "age": age, "patience": spec.get("leaseDurationSeconds") or 0}

    @property
    def transitions(self) -> int:
        """How often it has gone from one run to another."""
        return int((self.item.get("spec") or {}).get("leaseTransitions") or 0)

    @property
    def renewed(self) -> str:
        """The last sign of life."""
        return str((self.item.get("spec") or {}).get("renewTime") or "")

    def given_to(self, run: Record, again: bool) -> Object:
        """The object when ``run`` holds it.

        :param again: whether it does so already.
        """
        spec = self.item.get("spec") or {}
        now = timestamp(self.now)
        return {
            **_named(self.item),
            "metadata": {
                **_named(self.item)["metadata"],
                "annotations": {ANNOTATION: json.dumps(dict(run), sort_keys=True)},
            },
            "spec": {
                "holderIdentity": f"{run.get('user')}@{run.get('controller')} pid {run.get('pid')}",
                "leaseDurationSeconds": int(run["patience"]),
                "acquireTime": (spec.get("acquireTime") if again else None) or now,
                "renewTime": now,
                "leaseTransitions": self.transitions + (0 if again else 1),
            },
        }

    def freed(self) -> Object:
        """The object when nobody holds it."""
        return {**_named(self.item), "spec": {"holderIdentity": "", "leaseTransitions": self.transitions}}


def _named(item: Object) -> t.Dict[str, t.Any]:
    metadata = {"name": NAME, "namespace": NAMESPACE}
    version = (item.get("metadata") or {}).get("resourceVersion")
    if version:
        metadata["resourceVersion"] = version
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata}


class RunLease:
    """The Lease, through this control plane's own API server or else the one that its kubeconfig names."""

    def __init__(self, kubectl: Kubectl, clock: t.Callable[[], float] = time.time) -> None:
        self._kubectl = kubectl
        self._clock = clock
        self._server: t.Optional[t.List[str]] = None

    def read(self) -> Found:
        """
        :raises UnansweredError: when no API server answers.
        """
        result = self._run("get", f"lease/{NAME}", f"--namespace={NAMESPACE}", "--ignore-not-found", "--output=json")
        if result.rc != 0:
            raise UnansweredError(result.stderr.strip())
        text = result.stdout.strip()
        return Found(json.loads(text) if text else {}, self._clock())

    def change(self, decide: t.Callable[[Found], t.Optional[Object]]) -> Found:
        """Let ``decide`` say how it shall be, each time that it is another one; ``None`` leaves it as it is.

        :returns: the Lease as it was at the last look.
        :raises UnansweredError: when no API server answers.
        :raises SlipwayError: when it is not allowed.
        """
        for _attempt in range(_ATTEMPTS):
            found = self.read()
            wanted = decide(found)
            if wanted is None:
                return found
            verb = "replace" if "resourceVersion" in wanted["metadata"] else "create"
            result = self._run(verb, "--filename=-", "--output=name", stdin=json.dumps(wanted))
            if result.rc == 0:
                return found
            if "forbidden" in result.stderr:
                raise SlipwayError(
                    f"The kubeconfig may not write the Lease {NAMESPACE}/{NAME}, by which runs keep out of each other's"
                    f" way. Use the administrator's. kubectl said: {result.stderr.strip()}"
                )
            if not any(word in result.stderr for word in _CONFLICTS):
                raise UnansweredError(result.stderr.strip())
        raise UnansweredError("others change the Lease all the time")

    def _run(self, *arguments: str, stdin: t.Optional[str] = None) -> CommandResult:
        if self._server is None:
            if self._kubectl.missing():
                raise UnansweredError("there is no cluster yet")
            self._server = own_server(of_this_machine())
        return self._kubectl.run(*self._server, *arguments, stdin=stdin, check=False)


def own_server(layout: Layout) -> t.List[str]:
    """The flag for kubectl that leads to this machine's API server; none when that is not ready."""
    if not api_server.is_ready(layout):
        return []
    place = api_server.own_place(layout)
    if place is None:
        return []
    host, port = place
    return [f"--server=https://{in_url(host)}:{port}"]


def is_fresh(found: Found, run: Record) -> bool:
    """Whether the last sign of life of ``run``, which holds it, is so new that another one says nothing."""
    holder = found.holder
    # One of the future, by a clock that was set back since, would stay the last one.
    is_new = 0 <= found.now - moment(found.renewed) < _FRESH
    return holder is not None and is_new and holder["patience"] == run["patience"]
