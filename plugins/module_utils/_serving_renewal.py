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

import json
import subprocess
import sys
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils import _kubelet_requests

#: The cluster cannot be asked now (EX_TEMPFAIL of sysexits.h): the next run will do it.
LATER = 75
#: ConfigMap in kube-system; see _cluster_memory.SERVING_IDENTITIES.
MEMORY = "slipway-serving-identities"

Run = t.Callable[[t.Sequence[str]], str]


class Unavailable(Exception):
    """kubectl failed."""


def kubectl(kubeconfig: str) -> Run:
    """kubectl as that administrator.

    What is returned raises :class:`Unavailable` when it fails.
    """

    def run(arguments: t.Sequence[str]) -> str:
        argv = ["kubectl", f"--kubeconfig={kubeconfig}", "--request-timeout=30s", *arguments]
        try:
            done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Unavailable(str(error)) from error
        if done.returncode:
            raise Unavailable(done.stderr.strip())
        return done.stdout

    return run


def renew(run: Run) -> t.List[str]:
    """Approve what may be approved, and say what was done, and what was not and why, a line each.

    :raises Unavailable: when the cluster cannot be asked.
    """
    items = json.loads(run(["get", "certificatesigningrequests", "--output=json"]))["items"]
    pending = [item for item in items if _kubelet_requests.is_pending(item)]
    if not pending:
        return []
    asked = ["get", "configmap", MEMORY, "--namespace=kube-system", "--ignore-not-found", "--output=json"]
    memory = json.loads(run(asked) or "{}")
    allowed = _kubelet_requests.from_texts(memory.get("data") or {})
    owners = _kubelet_requests.owners(json.loads(run(["get", "nodes", "--output=json"]))["items"])
    good, lines = [], []
    for item in pending:
        request, reasons = _kubelet_requests.judge(item, allowed)
        if request is not None:
            asking = _kubelet_requests.node_name(item)
            reasons += _kubelet_requests.taken(request.addresses, asking, owners, allowed)
        name, node = item["metadata"]["name"], _kubelet_requests.node_name(item) or item["spec"].get("username", "")
        if request is None or reasons:
            lines.append(f"{name!a} of {node!a} stays pending: {'; '.join(reasons)!a}")
        else:
            good.append(name)
            lines.append(f"{name!a} of {node!a} is approved")
    if good:
        run(["certificate", "approve", "--", *good])
    return lines


def main(arguments: t.Sequence[str]) -> int:
    """:param arguments: the path of the administrator's kubeconfig."""
    try:
        for line in renew(kubectl(arguments[0])):
            sys.stdout.write(f"{line}\n")
    except Unavailable as error:
        sys.stdout.write(f"The cluster cannot be asked now: {str(error)!a}\n")
        return LATER
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
