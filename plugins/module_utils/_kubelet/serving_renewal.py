# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program that approves the renewals of kubelets' serving certificates, run by a systemd timer on control planes.

It judges by the same rules as the module ``kube_csr_approve``, and by what that module remembered in the cluster: the
names and addresses of each node, as the inventory had them. What it does not approve stays pending and is named in the
journal. Needs kubectl and Python's standard library.

Private to this collection.
"""

from __future__ import annotations

import concurrent.futures
import json
import re
import subprocess
import sys
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._kubelet import kubelet_requests

#: The cluster cannot be asked now (EX_TEMPFAIL of sysexits.h): the next run will do it.
LATER = 75
#: ConfigMap in kube-system; see cluster_memory.SERVING_IDENTITIES.
MEMORY = "slipway-serving-identities"

#: What the standard error of kubectl has when the API server cannot be asked now, and may answer the next time.
_PASSES = (
    "unable to connect", "refused", "timeout", "timed out", "deadline exceeded", "eof", "no route to host",
    "network is unreachable", "connection reset", "too many requests", "unavailable", "unable to handle",
    "try again", "no such host", "leader changed", "(internalerror)", "(conflict)",
    # A request that is another one by now (a conflict), or that somebody has deleted meanwhile.
    "error from server (notfound): certificatesigningrequests",
)  # fmt: skip
#: Names in messages, which nodes may have chosen.
_QUOTED = re.compile(r'"[^"]*"')

#: kubectl with these arguments and this standard input.
Run = t.Callable[[t.Sequence[str], str], str]


class Failure(Exception):
    """kubectl failed.

    :ivar lines: what was done all the same.
    """

    lines: t.Sequence[str] = ()


class Unavailable(Failure):
    """The cluster cannot be asked now."""


def kubectl(kubeconfig: str) -> Run:
    """kubectl as that administrator.

    What is returned raises :class:`Failure` when it fails, :class:`Unavailable` when that may pass by itself.
    """

    def run(arguments: t.Sequence[str], text: str) -> str:
        argv = ["kubectl", f"--kubeconfig={kubeconfig}", "--request-timeout=30s", *arguments]
        try:
            done = subprocess.run(argv, input=text, capture_output=True, text=True, check=False, timeout=120)
        except subprocess.TimeoutExpired as error:
            raise Unavailable(str(error)) from error
        except OSError as error:
            raise Failure(str(error)) from error
        if done.returncode:
            said = done.stderr.strip()
            words = _QUOTED.sub("", said).lower()
            raise (Unavailable if any(text in words for text in _PASSES) else Failure)(said)
        return done.stdout

    return run


def renew(run: Run) -> t.List[str]:
    """Approve what may be approved, and say what was done, and what was not and why, a line each.

    One that cannot be approved does not hold up the others.

    :raises Failure: when the cluster cannot be asked, or not all could be approved.
    """
    items = json.loads(run(["get", "certificatesigningrequests", "--output=json"], ""))["items"]
    pending = [item for item in items if kubelet_requests.is_pending(item)]
    if not pending:
        return []
    asked = ["get", "configmap", MEMORY, "--namespace=kube-system", "--ignore-not-found", "--output=json"]
    memory = json.loads(run(asked, "") or "{}")
    allowed = kubelet_requests.from_texts(memory.get("data") or {})
    owners = kubelet_requests.owners(json.loads(run(["get", "nodes", "--output=json"], ""))["items"])
    good: t.List[t.Mapping[str, t.Any]] = []
    lines = []
    waiting = kubelet_requests.later(pending)
    late = {name for names in waiting.values() for name in names}
    for item in pending:
        if item["metadata"]["name"] in late:
            continue
        request, reasons = kubelet_requests.judge(item, allowed)
        asking = kubelet_requests.node_name(item)
        if request is not None:
            reasons += kubelet_requests.taken(request.addresses, asking, owners, allowed)
        name, node = item["metadata"]["name"], asking or item["spec"].get("username", "")
        if request is None or reasons:
            lines.append(f"{name!a} of {node!a} stays pending: {'; '.join(reasons)!a}")
        else:
            good.append(item)
    lines += [
        f"{len(names)} more requests of {node!a} wait: its latest {kubelet_requests.MOST} come first"
        for node, names in waiting.items()
    ]
    failures = []
    with concurrent.futures.ThreadPoolExecutor(kubelet_requests.AT_ONCE) as pool:
        for item, error in zip(good, pool.map(lambda item: _approve(run, item), good)):
            if error:
                failures.append(error)
            else:
                name, node = item["metadata"]["name"], kubelet_requests.node_name(item)
                lines.append(f"{name!a} of {node!a} is approved")
    if failures:
        # One that does not pass by itself counts more than one that does.
        failure = next((error for error in failures if not isinstance(error, Unavailable)), failures[0])
        failure.lines = lines
        raise failure
    return lines


def _approve(run: Run, item: t.Mapping[str, t.Any]) -> t.Optional[Failure]:
    """Approve the request that was examined, if it is still the same; what kept us from it."""
    try:
        run(*kubelet_requests.approval(item))
    except Failure as error:
        return error
    return None


def main(arguments: t.Sequence[str]) -> int:
    """:param arguments: the path of the administrator's kubeconfig."""
    code, failed = 0, ""
    lines: t.Sequence[str] = ()
    try:
        lines = renew(kubectl(arguments[0]))
    except Unavailable as error:
        lines, code, failed = error.lines, LATER, f"The cluster cannot be asked now: {str(error)!a}\n"
    except Failure as error:
        lines, code, failed = error.lines, 1, f"kubectl failed: {str(error)!a}\n"
    for line in lines:
        sys.stdout.write(f"{line}\n")
    sys.stdout.write(failed)
    return code


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
