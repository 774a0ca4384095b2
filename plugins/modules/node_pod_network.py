#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: node_pod_network
short_description: Lets the pods of a node go over to another pod network
version_added: 0.1.0
description:
  - For a node on which two pod networks run, of which one is to go. The playbook C(change_cni) calls it.
  - What belongs to others stays, such as kube-proxy's rules and networks of podman. Files, interfaces and rules are
    found by the same names as by M(slipway.kubernetes.kubeadm_reset).
  - A call that was killed is finished by the next one.
author: slipway.kubernetes contributors (@slipway)
extends_documentation_fragment:
  - slipway.kubernetes.attributes
  - slipway.kubernetes.pod_networks
attributes:
  check_mode:
    support: full
    details:
      - Says which pods would be made anew and what would be removed, as the machine is now.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  state:
    description:
      - With V(beside) packets of pods of one network reach those of the other where the kernel is strict about where
        packets come from (C(rp_filter)).
      - With V(handed_over) the container runtime gives new pods to O(successor), and pods that are in one of
        O(networks) are made anew. No pod is deleted; the kubelet stops the containers as their pod says and starts
        them again, as after a reboot. So pods of DaemonSets and static pods go over, too, and pods without a network of
        their own are left alone.
      - With V(absent) nothing that O(networks) have had is on the machine any more. Their agents must not run there.
    type: str
    choices: [beside, handed_over, absent]
    required: true
  pod_subnet:
    description:
      - The network of all pods, in which O(networks) may have left routes. Several are separated by commas.
    type: str
    default: ""
  timeout:
    description:
      - Seconds that pods may take until they are in the other network.
    type: int
    default: 300
requirements:
  - C(ip); C(iptables), where there are rules of iptables
"""

EXAMPLES = r"""
- name: Let the pods of this node go over
  slipway.kubernetes.node_pod_network:
    networks: "{{ example_old_networks }}"
    successor: "{{ cluster_cni }}"
    state: handed_over
  when: example_old_networks is defined
"""

RETURN = r"""
pods:
  description: Pods that were made anew, or would be in check mode.
  type: list
  elements: str
  returned: success
  sample: [monitoring/node-exporter-x2x7k]
removed:
  description: What was removed, or would be in check mode, by its kind. Kinds without anything are left out.
  type: dict
  returned: success
  sample:
    interfaces: [mesh0, mesh-bridge]
msg:
  description: What was done, in one sentence.
  type: str
  returned: success
"""

import os
import re
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils import _waiting
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import Runner, SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import read_text
from ansible_collections.slipway.kubernetes.plugins.module_utils._layout import KUBEADM
from ansible_collections.slipway.kubernetes.plugins.module_utils._machine import leftovers
from ansible_collections.slipway.kubernetes.plugins.module_utils._machine.pod_network_traces import (
    CNI_FILES,
    Found,
    Traces,
)
from ansible_collections.slipway.kubernetes.plugins.module_utils._module import Context, expect_timeout, run_module
from ansible_collections.slipway.kubernetes.plugins.module_utils._network import netfilter
from ansible_collections.slipway.kubernetes.plugins.module_utils._pod_networks import (
    CHANGE_ARGUMENTS,
    of_a_change,
    sandboxes,
)
from ansible_collections.slipway.kubernetes.plugins.module_utils._shown import listed

_LINKS = "/sys/class/net"
_FILTERS = "/proc/sys/net/ipv4/conf"
#: The kernel's ways to look where a packet comes from. The larger of an interface's and of all interfaces' counts.
_STRICT = 1
_LOOSE = 2


def summary(pods: t.Sequence[str], removed: Found) -> str:
    """What was done, in one sentence."""
    parts = [f"pods made anew: {listed(pods)}"] if pods else []
    parts += [
        f"{len(items)} {kind}" if len(items) > 3 else f"{kind}: {', '.join(items)}" for kind, items in removed.items()
    ]
    return "; ".join(parts) or "nothing to do"


class NodePodNetwork:
    """A node with pod networks that go, and one that stays."""

    def __init__(self, params: t.Mapping[str, t.Any], runner: Runner, check_mode: bool = False, root: str = "") -> None:
        """
        :param root: the folder that stands for ``/``, for tests.
        :raises SlipwayError: when the names make no sense.
        """
        self._networks, self._successor = of_a_change(params["networks"], params["successor"])
        expect_timeout(params["timeout"])
        self._state: str = params["state"]
        self._timeout: int = params["timeout"]
        self._runner = runner
        self._check_mode = check_mode
        self._root = root
        ranges = [text.strip() for text in params["pod_subnet"].split(",") if text.strip()]
        self._traces = Traces(self._networks, self._successor, runner, ranges, root)

    def run(self) -> t.Dict[str, t.Any]:
        """Do it, or in check mode say what would be done.

        :raises SlipwayError: when pods do not come again, or something stays.
        """
        if self._state == "beside":
            return self._result([], self._loosen())
        pods, removed = self._hand_over()
        for kind, items in self._clean().items() if self._state == "absent" else ():
            removed[kind] = list(dict.fromkeys([*removed.get(kind, []), *items]))
        return self._result(pods, removed)

    def _result(self, pods: t.Sequence[str], removed: Found) -> t.Dict[str, t.Any]:
        lines = [f"pods: {pod}\n" for pod in pods]
        lines += [f"{kind}: {item}\n" for kind, items in removed.items() for item in items]
        header = {"before_header": "this machine", "after_header": "this machine"}
        return {
            "changed": bool(lines),
            "msg": summary(pods, removed),
            "pods": list(pods),
            "removed": removed,
            "diff": [{**header, "before": "".join(lines), "after": ""}],
        }

    # --- beside

    def _loosen(self) -> Found:
        """A packet of a pod comes by one network, and the way back to that pod may be the other one."""
        common = self._filter("all")
        strict = [
            name
            for name in leftovers.interfaces(self._root + _LINKS, [*self._networks, self._successor])
            if self._is_tunnel(name) and max(common, self._filter(name)) == _STRICT
        ]
        for name in strict if not self._check_mode else ():
            with open(f"{self._root}{_FILTERS}/{name}/rp_filter", "w", encoding="ascii") as stream:
                stream.write(f"{_LOOSE}\n")
        return {"strict filters": strict} if strict else {}

    def _filter(self, name: str) -> int:
        text = read_text(f"{self._root}{_FILTERS}/{name}/rp_filter").strip()
        return int(text) if text.isdigit() else 0

    def _is_tunnel(self, name: str) -> bool:
        """Whether an interface is no end of a pod's cable: the other end of that has another number."""
        own, other = (read_text(f"{self._root}{_LINKS}/{name}/{file}").strip() for file in ("ifindex", "iflink"))
        return own != "" and own == other

    # --- handed over

    def _in_old_networks(self) -> t.List[sandboxes.Sandbox]:
        """Sandboxes there, and those of pods that an earlier call has ended and that have not come again.

        What libcni keeps of these stays, since they were taken down by another network's plugins.
        """
        names = self._traces.cni_networks
        alive = sandboxes.alive(self._at(sandboxes.RESULTS))
        over = {sandbox.uid for sandbox in alive if sandbox.network not in names}
        kept = [sandbox for sandbox in sandboxes.kept(self._at(sandboxes.RESULTS)) if sandbox.network in names]
        return [
            sandbox for sandbox in kept if sandbox in alive or (sandbox.uid not in over and self._is_known(sandbox.uid))
        ]

    def _hand_over(self) -> t.Tuple[t.List[str], Found]:
        """The pods that were made anew, and what was removed for that."""
        files, old = self._traces.configuration(), self._in_old_networks()
        if files or old:
            self._expect_successor()
        if not self._check_mode:
            for path in files:
                leftovers.remove(path)
            self._remake(old)
        plans = self._traces.stale_chains() if not (old and self._check_mode) else []
        for tool, plan in plans if not self._check_mode else ():
            netfilter.take_out(self._runner, tool, plan)
        rules = [f"{tool} {name}" for tool, plan in plans for name in plan.names]
        found = {"files": files, "iptables": rules}
        return sorted({sandbox.pod for sandbox in old}), {kind: items for kind, items in found.items() if items}

    def _expect_successor(self) -> None:
        """Without its file new pods would have no network at all."""
        path = f"{CNI_FILES}/{self._successor.cni_file}"
        if not self._check_mode and not os.path.exists(self._at(path)):
            raise SlipwayError(
                f"{self._successor.title} has not written {path}, so that pods would have no network here. Nothing was"
                f" changed on this host. See what its pod on this node says: {self._agents()}"
            )

    def _agents(self) -> str:
        return "; ".join(
            f"kubectl get pods --output=wide --namespace={namespace} --selector='{selector}'"
            for namespace, selector in self._successor.agents
        )

    def _remake(self, old: t.Sequence[sandboxes.Sandbox]) -> None:
        """End sandboxes, and wait until their pods have others.

        The container runtime may have begun one just before it saw that a file had gone, so they are looked for again.

        :raises SlipwayError: when that takes too long.
        """
        waited_for = {sandbox.uid: sandbox.pod for sandbox in old}
        wait = _waiting.Wait(self._timeout, pause=0.5, growth=1.2, longest=3)
        ended: t.Set[str] = set()
        while waited_for:
            alive = sandboxes.alive(self._at(sandboxes.RESULTS))
            stray = {sandbox.identifier: sandbox for sandbox in alive if sandbox.network in self._traces.cni_networks}
            waited_for.update({sandbox.uid: sandbox.pod for sandbox in stray.values()})
            fresh = {key: pids for key, pids in sandboxes.holders(stray).items() if key not in ended}
            for pids in fresh.values():
                for pid in pids:
                    sandboxes.end(pid)
            ended.update(fresh)
            over = {sandbox.uid for sandbox in alive if sandbox.identifier not in stray}
            left = {uid: pod for uid, pod in waited_for.items() if uid not in over and self._is_known(uid)}
            if not left and not stray:
                return
            if wait.is_over:
                raise SlipwayError(
                    f"These pods did not get into {self._successor.title}'s network in {self._timeout} seconds:"
                    f" {listed(sorted({*left.values(), *(sandbox.pod for sandbox in stray.values())}))}. See `kubectl"
                    f" describe pod` of one of them, and {self._agents()}; a second run goes on from here."
                )
            wait.sleep()

    def _is_known(self, uid: str) -> bool:
        """Whether the kubelet still has the pod."""
        return bool(re.fullmatch(r"[\w-]+", uid)) and os.path.isdir(self._at(f"{KUBEADM.kubelet_folder}/pods/{uid}"))

    def _at(self, path: str) -> str:
        return self._root + path

    # --- absent

    def _clean(self) -> Found:
        """What was removed of all that is left."""
        found = self._traces.survey()
        if found and not self._check_mode:
            self._traces.remove()
            left = self._traces.survey()
            if left:
                raise SlipwayError(
                    f"Something of the pod network is still there, or has come again: {summary([], left)}. See whether"
                    " its pods are gone (kubectl get pods --all-namespaces --output=wide); a second run goes on from"
                    " here.",
                    left=left,
                )
        return found


ARGUMENTS: t.Dict[str, t.Any] = {
    **CHANGE_ARGUMENTS,
    "state": {"type": "str", "choices": ["beside", "handed_over", "absent"], "required": True},
    "pod_subnet": {"type": "str", "default": ""},
    "timeout": {"type": "int", "default": 300},
}


def run(context: Context) -> t.Dict[str, t.Any]:
    """What the module returns."""
    return NodePodNetwork(context.params, context.runner, context.check_mode).run()


def main() -> None:
    run_module(ARGUMENTS, run)


if __name__ == "__main__":
    main()
