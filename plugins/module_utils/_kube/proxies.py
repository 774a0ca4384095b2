# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pods of kube-proxy, which read their ConfigMap when they start and not again.

Private to this collection.
"""

from __future__ import annotations

import datetime
import json
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.kubectl import Kubectl

NAMESPACE, NAME = "kube-system", "kube-proxy"
#: The DaemonSet, as kubectl names it.
DAEMON_SET = f"daemonset/{NAMESPACE}/{NAME}"
_RESTARTED = "kubectl.kubernetes.io/restartedAt"


def config_map(kubectl: Kubectl) -> t.Dict[str, t.Any]:
    """Their ConfigMap, and when it was changed; empty when there is none, as without kube-proxy."""
    words = (f"--namespace={NAMESPACE}", "configmap", NAME, "--ignore-not-found", "--show-managed-fields")
    text = kubectl.run("get", *words, "--output=json").stdout
    return json.loads(text) if text.strip() else {}


def are_older(kubectl: Kubectl, found: t.Optional[t.Mapping[str, t.Any]] = None) -> bool:
    """Whether some of them have not read what their ConfigMap says.

    :param found: the ConfigMap, when it is known already.
    """
    present = config_map(kubectl) if found is None else found
    if not present:
        return False
    changed = _changed(present)
    pods = kubectl.get("pods", f"--namespace={NAMESPACE}", "--selector=k8s-app=kube-proxy")["items"]
    return any(
        pod["metadata"]["creationTimestamp"] < changed and "deletionTimestamp" not in pod["metadata"] for pod in pods
    )


def _changed(found: t.Mapping[str, t.Any]) -> str:
    """When the ConfigMap was changed, as the API writes times."""
    return max((entry.get("time", "") for entry in found["metadata"].get("managedFields", [])), default="")


def are_restarting(kubectl: Kubectl) -> bool:
    """Whether their restart has begun since their ConfigMap was changed: another one would begin from the first."""
    template = kubectl.get(f"daemonset/{NAME}", f"--namespace={NAMESPACE}")["spec"]["template"]
    began = ((template.get("metadata") or {}).get("annotations") or {}).get(_RESTARTED, "")
    try:
        # kubectl writes it with the offset of its machine.
        moment = datetime.datetime.fromisoformat(began.replace("Z", "+00:00")).astimezone(datetime.timezone.utc)
    except ValueError:
        return False
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ") >= _changed(config_map(kubectl))


def restart(kubectl: Kubectl) -> None:
    """Let them start anew, one node after the other; this does not wait for it."""
    kubectl.run("rollout", "restart", f"--namespace={NAMESPACE}", f"daemonset/{NAME}")
