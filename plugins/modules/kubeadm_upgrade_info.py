#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kubeadm_upgrade_info
short_description: What an upgrade of a cluster has to know about it
version_added: 0.1.0
description:
  - Asks the API server and the member of etcd on one control plane for what stands in the way of an upgrade.
    M(slipway.kubernetes.preflight_report) makes a report of it.
  - It does not fail when one of them does not answer, but returns why.
author: slipway.kubernetes contributors (@slipway)
extends_documentation_fragment:
  - slipway.kubernetes.attributes
  - slipway.kubernetes.attributes.read_only
  - slipway.kubernetes.cri_socket
  - slipway.kubernetes.etcd
  - slipway.kubernetes.kubectl
"""

EXAMPLES = r"""
- name: Ask the cluster
  slipway.kubernetes.kubeadm_upgrade_info:
  register: upgrade_info
"""

RETURN = r"""
cluster:
  description: What was found.
  type: dict
  returned: success
  contains:
    problem:
      description: Why nothing, or not everything, could be asked; empty when all was.
      type: str
      sample: ""
    version:
      description: The version in kubeadm's ClusterConfiguration.
      type: str
      sample: 1.36.4
    nodes:
      description: The nodes.
      type: list
      elements: dict
      sample: [{name: cp1, version: 1.36.4, problem: "", control_plane: true, schedulable: true, runtime: containerd://2.4.2}]
    unhealthy:
      description: Checks of the API server's C(/readyz) that fail, such as V(etcd).
      type: list
      elements: str
      sample: []
    budgets:
      description:
        - PodDisruptionBudgets that allow no eviction at this moment, whether they ever would, and the nodes with pods
          of theirs that a drain evicts.
      type: list
      elements: dict
      sample: [{name: example/web, pods: 2, needed: 2, healthy: 2, never: true, nodes: [worker1]}]
    unmanaged:
      description:
        - Pods that no controller would make anew on another node, and their nodes.
        - As for C(kubectl drain), a controller is the owner with C(controller=true) only.
      type: list
      elements: dict
      sample: [{name: default/debug, node: worker1}]
    local_data:
      description: Pods with volumes of the kind C(emptyDir), which a drain would have to delete, and their nodes.
      type: list
      elements: dict
      sample: [{name: default/cache-7d9c, node: worker1}]
    tight:
      description: Nodes whose pods ask for more than the other nodes have left, and what is short.
      type: list
      elements: dict
      sample: [{name: worker1, resource: cpu, asked: 3.2, left: 1.1}]
    deprecated_apis:
      description: Deprecated APIs that somebody has asked for since the API server started.
      type: list
      elements: dict
      sample: [{api: policy/v1beta1 podsecuritypolicies, removed: "1.38"}]
    kube_proxy:
      description: Mode and feature gates of kube-proxy.
      type: dict
      sample: {mode: nftables, gates: {}}
    etcd:
      description:
        - The members of etcd, as M(slipway.kubernetes.etcd_member_info) has them, or why they could not be asked.
        - No members and no problem where this host has no member.
      type: dict
      sample: {problem: "", members: [{name: cp1, healthy: true, alarms: []}]}
"""

import os
import re
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils import _predicates as predicates
from ansible_collections.slipway.kubernetes.plugins.module_utils._api_endpoints import CONTROL_PLANE
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import CommandError, Runner, SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._etcd import etcd
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import kube_objects as kube
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.kubectl import KUBECTL_ARGUMENTS, Kubectl
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.resources import requests, room
from ansible_collections.slipway.kubernetes.plugins.module_utils._module import Context, run_module

_VERSION = re.compile(r"^kubernetesVersion: [\"']?v?([^\s\"']+)", re.MULTILINE)
_MODE = re.compile(r"^mode: *[\"']?(\w*)", re.MULTILINE)
_GATES = re.compile(r"^featureGates:\n((?:[ \t]+\S.*\n?)+)", re.MULTILINE)
_METRIC = re.compile(r"^apiserver_requested_deprecated_apis\{([^}]*)\} [1-9]", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')
#: What the API server's copies of static pods have.
_MIRROR = "kubernetes.io/config.mirror"
_FAILED = re.compile(r"^\[-\](\S+)", re.MULTILINE)


def describe_node(node: kube.Object) -> t.Dict[str, t.Any]:
    """What the report says about a node."""
    info = node.get("status", {}).get("nodeInfo", {})
    return {
        "name": node["metadata"]["name"],
        "version": info.get("kubeletVersion", "").lstrip("v"),
        "problem": predicates.node_problem(node),
        "control_plane": CONTROL_PLANE in (node["metadata"].get("labels") or {}),
        "schedulable": not node["spec"].get("unschedulable", False),
        "runtime": info.get("containerRuntimeVersion", ""),
    }


def describe_budget(budget: kube.Object, moving: t.Iterable[kube.Object]) -> t.Dict[str, t.Any]:
    """What the report says about a budget that allows no eviction.

    :param moving: the pods that drains evict.
    """
    status = budget.get("status", {})
    return {
        "name": f"{budget['metadata']['namespace']}/{budget['metadata']['name']}",
        "pods": status.get("expectedPods", 0),
        "needed": status.get("desiredHealthy", 0),
        "healthy": status.get("currentHealthy", 0),
        "never": status.get("desiredHealthy", 0) >= status.get("expectedPods", 0),
        "nodes": sorted({pod["spec"].get("nodeName", "") for pod in moving if predicates.counts_for(pod, budget)}),
    }


def is_blocking(budget: kube.Object) -> bool:
    """Whether a budget does not let any of its pods go at this moment."""
    status = budget.get("status", {})
    return status.get("expectedPods", 0) > 0 and status.get("disruptionsAllowed", 0) == 0


def controller(pod: kube.Object) -> str:
    """The kind of the pod's controller, as kubectl sees it; empty when no owner says that it is one."""
    owners = pod["metadata"].get("ownerReferences") or []
    return next((str(owner["kind"]) for owner in owners if owner.get("controller")), "")


def is_evictable(pod: kube.Object) -> bool:
    """Whether a drain has to move the pod: it runs, and is neither a DaemonSet's nor static."""
    ended = pod.get("status", {}).get("phase") in ("Succeeded", "Failed")
    is_static = _MIRROR in (pod["metadata"].get("annotations") or {})
    return not ended and not is_static and controller(pod) not in ("DaemonSet", "Node")


def has_local_data(pod: kube.Object) -> bool:
    """Whether something in the pod is lost when it goes to another node."""
    return any("emptyDir" in volume for volume in pod["spec"].get("volumes") or [])


def places(pods: t.Iterable[kube.Object]) -> t.List[t.Dict[str, str]]:
    """Names of pods, and their nodes."""
    return [
        {
            "name": f"{pod['metadata']['namespace']}/{pod['metadata']['name']}",
            "node": pod["spec"].get("nodeName", ""),
        }
        for pod in pods
    ]


def deprecated_apis(metrics: str) -> t.List[t.Dict[str, str]]:
    """Deprecated APIs that somebody has asked for, with the minor that has them no more."""
    found = []
    for labels in _METRIC.findall(metrics):
        names = dict(_LABEL.findall(labels))
        if names.get("removed_release"):
            version = f"{names['group']}/{names['version']}" if names.get("group") else names.get("version", "")
            found.append({"api": f"{version} {names.get('resource', '')}", "removed": names["removed_release"]})
    return sorted(found, key=lambda entry: entry["api"])


def tight_nodes(nodes: t.Sequence[kube.Object], pods: t.Sequence[kube.Object]) -> t.List[t.Dict[str, t.Any]]:
    """Nodes whose pods ask for more than the others that take ordinary pods have left."""
    running = [pod for pod in pods if pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")]
    found = []
    for resource in ("cpu", "memory"):
        left = {}
        for node in nodes:
            taints = [taint["effect"] for taint in node["spec"].get("taints") or []]
            takes = not node["spec"].get("unschedulable") and not {"NoSchedule", "NoExecute"} & set(taints)
            name = node["metadata"]["name"]
            left[name] = max(room(node, running, resource), 0.0) if takes and not predicates.node_problem(node) else 0.0
        for name in left:
            moving = [pod for pod in running if pod["spec"].get("nodeName") == name and is_evictable(pod)]
            asked = sum(requests(pod["spec"], resource) for pod in moving)
            others = sum(amount for other, amount in left.items() if other != name)
            if asked > others:
                found.append({"name": name, "resource": resource, "asked": round(asked, 3), "left": round(others, 3)})
    return found


class KubeadmUpgradeInfo:
    """Asks one cluster.

    :param manifest: etcd's static pod on this host.
    """

    def __init__(self, runner: Runner, kubectl: Kubectl, manifest: str, cri_socket: str) -> None:
        self._runner = runner
        self._kubectl = kubectl
        self._manifest = manifest
        self._cri_socket = cri_socket

    def run(self) -> t.Dict[str, t.Any]:
        """The module's return values."""
        cluster: t.Dict[str, t.Any] = {
            "problem": self._kubectl.missing(), "version": "", "nodes": [], "unhealthy": [], "budgets": [],
            "unmanaged": [], "local_data": [], "tight": [], "deprecated_apis": [],
            "kube_proxy": {"mode": "", "gates": {}}, "etcd": self._ask_etcd(),
        }  # fmt: skip
        if not cluster["problem"]:
            try:
                cluster.update(self._ask())
            except CommandError as error:
                cluster["problem"] = kube.complaint(error.result)
            except SlipwayError as error:
                cluster["problem"] = error.msg
        return {"changed": False, "cluster": cluster}

    def _ask(self) -> t.Dict[str, t.Any]:
        ready = self._kubectl.run("get", "--raw=/readyz?verbose", check=False)
        unhealthy = _FAILED.findall(ready.stdout + ready.stderr)
        if ready.rc != 0 and not unhealthy:
            raise SlipwayError(kube.complaint(ready))
        nodes = self._kubectl.get("nodes")["items"]
        pods = self._kubectl.get("pods", "--all-namespaces")["items"]
        budgets = self._kubectl.get("poddisruptionbudgets", "--all-namespaces")["items"]
        moving = [pod for pod in pods if is_evictable(pod)]
        proxy = self._configuration("kube-proxy", "config.conf")
        mode = _MODE.search(proxy)
        gates = _GATES.search(proxy)
        configured = _VERSION.search(self._configuration("kubeadm-config", "ClusterConfiguration"))
        return {
            "unhealthy": unhealthy,
            "version": configured.group(1) if configured else "",
            "nodes": [describe_node(node) for node in nodes],
            "budgets": [describe_budget(budget, moving) for budget in budgets if is_blocking(budget)],
            "unmanaged": places(pod for pod in moving if not controller(pod)),
            "local_data": places(pod for pod in moving if has_local_data(pod)),
            "tight": tight_nodes(nodes, pods),
            "deprecated_apis": deprecated_apis(self._kubectl.run("get", "--raw=/metrics").stdout),
            "kube_proxy": {
                "mode": mode.group(1) if mode else "",
                "gates": dict(re.findall(r"(\w+): *(\w+)", gates.group(1))) if gates else {},
            },
        }

    def _ask_etcd(self) -> t.Dict[str, t.Any]:
        """The members of etcd, or why they cannot be asked; nothing of both when this host has none."""
        found: t.Dict[str, t.Any] = {"problem": "", "members": []}
        if os.path.exists(self._manifest):
            try:
                members = etcd.Etcd(self._runner, etcd.read_pod(self._manifest), self._cri_socket).members()
                found["members"] = [member.as_dict() for member in members]
            except SlipwayError as error:
                found["problem"] = error.msg
        return found

    def _configuration(self, name: str, key: str) -> str:
        """A text of a ConfigMap in kube-system; empty when there is none."""
        items = self._kubectl.get(
            "configmaps", "--namespace=kube-system", f"--field-selector=metadata.name={name}"
        )["items"]  # fmt: skip
        return str((items[0].get("data") or {}).get(key, "")) if items else ""


ARGUMENTS: t.Dict[str, t.Any] = {**KUBECTL_ARGUMENTS, **etcd.ETCD_ARGUMENTS}


def run(context: Context) -> t.Dict[str, t.Any]:
    """What the module returns."""
    params = context.params
    kubectl = Kubectl(context.runner, params["kubeconfig"], params["context"], request_timeout=10)
    return KubeadmUpgradeInfo(context.runner, kubectl, params["manifest"], params["cri_socket"]).run()


def main() -> None:
    run_module(ARGUMENTS, run)


if __name__ == "__main__":
    main()
