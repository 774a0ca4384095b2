#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kubelet
short_description: The kubelet of a node runs, with what is true now
version_added: 0.1.0
description:
  - Enables and starts the kubelet of a machine that is a node, and restarts it when it cannot know what is true by now.
  - That is so when the cluster has no Node object of the machine any more, which the API server has to say itself; when
    the configuration was changed after the kubelet had started; when it runs under another name than the one in its
    certificate; and when it has run for a minute and the control plane has heard nothing of it. Pods go on meanwhile.
  - It is not restarted where it would come back under another name; that is an error.
  - A Node object that was deleted comes back with another slice of the pod network. The one that O(pod_network) names
    is started again when it goes by another one, the bridge C(cni0) is given the address of the new one, and pods with
    addresses that are not of it get a new sandbox by their kubelet, as after a reboot. Nothing is deleted, and a pod
    whose C(restartPolicy) is C(Never) ends there. With V(none) a warning says what contradicts.
author: slipway.kubernetes contributors (@slipway)
extends_documentation_fragment:
  - slipway.kubernetes.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  pod_network:
    description: The pod network that the role P(slipway.kubernetes.cni#role) has installed, which may be put right.
    type: str
    default: none
  timeout:
    description: Seconds that the node may take to be there again, and the pod network to take its slice over.
    type: int
    default: 300
requirements:
  - systemd
  - a machine that is a node
"""

EXAMPLES = r"""
- name: Keep the kubelet running, and the pod network of its node right
  slipway.kubernetes.kubelet:
    pod_network: "{{ cluster_cni | default('none') }}"
"""

RETURN = r"""
action:
  description: What was done to the kubelet, or would be in check mode.
  type: str
  choices: [none, started, restarted]
  returned: success
  sample: restarted
mended:
  description: What was not as it should be; a warning says it, too.
  type: list
  elements: str
  returned: success
  sample: ["cni0 has the address 10.244.1.1/24, and the node has 10.244.3.0/24"]
"""

import socket
import time
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils import _pod_networks, _waiting
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubelet import kubelet
from ansible_collections.slipway.kubernetes.plugins.module_utils._module import Context, run_module
from ansible_collections.slipway.kubernetes.plugins.module_utils._pki import certificates
from ansible_collections.slipway.kubernetes.plugins.module_utils._shown import lines_shown
from ansible_collections.slipway.kubernetes.plugins.module_utils._systemd import (
    RUNNING,
    Unit,
    expect_no_mask,
    process_started,
    starts_at_boot,
)

#: Seconds until a kubelet that runs and is not heard of is no longer one that is just starting.
_PATIENCE = 60
#: Seconds in which a kubelet gives its next sign of life, and the control plane sees it.
_SIGN_OF_LIFE = 20
#: Seconds that its unit may take to become active.
_START = 60


class Kubelet:
    """The kubelet of this machine, which shall run with what is true now."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._network = _pod_networks.named(context.params["pod_network"])
        self._timeout: int = context.params["timeout"]
        self._unit = Unit(context.runner, kubelet.UNIT)
        self._name = certificates.node_name()
        self._node: t.Optional[kubelet.Node] = None
        #: Whether the node is not there, or not heard of, until the kubelet has been started.
        self._is_lost = False

    def run(self) -> t.Dict[str, t.Any]:
        """Bring the kubelet to its wished state, then the pod network.

        :raises SlipwayError: when the kubelet cannot be brought there.
        """
        known = (*_pod_networks.POD_NETWORKS, "none")
        if self._context.params["pod_network"] not in known:
            raise SlipwayError(f"pod_network is {self._context.params['pod_network']}, and none of {', '.join(known)}.")
        properties = self._unit.properties()
        if properties.get("LoadState") == "not-found" and not self._context.check_mode:
            raise SlipwayError("The kubelet is not installed on this host; install its package first.")
        expect_no_mask(self._unit.name, properties, self._context.check_mode)
        self._node = kubelet.ask_for_node(self._name)
        reason = self._reason(properties)
        is_running = properties.get("ActiveState") in RUNNING
        action = "started" if not is_running else "restarted" if reason else "none"
        is_enabled = starts_at_boot(properties)
        mended = [f"{reason}: the kubelet is {action}"] if reason and action != "none" else []
        refusal = self._another_name() if action != "none" else ""
        if self._context.check_mode:
            # An earlier task may give the machine its name back, which in check mode nobody has done.
            if refusal:
                self._context.warn(lines_shown(f"Unless a task before this one changes the name: {refusal}"))
        elif refusal:
            raise SlipwayError(f"{refusal} Nothing was restarted.")
        else:
            self._start(properties, action, is_enabled)
        mended += self._pod_network()
        for what in mended:
            self._context.warn(lines_shown(f"{self._name}: {what}."))
        before = {"active": properties.get("ActiveState", "inactive"), "enabled": is_enabled, "not right": mended}
        after = {"active": "active", "enabled": True, "not right": []}
        return {
            "changed": bool(mended) or action != "none" or not is_enabled,
            "action": action,
            "mended": mended,
            "diff": {
                "before_header": kubelet.UNIT,
                "after_header": kubelet.UNIT,
                "before": before,
                "after": after,
            },
        }

    def _reason(self, properties: t.Mapping[str, str]) -> str:
        """Why the kubelet that runs has to be started again; empty when it has not."""
        self._is_lost = self._node == {}
        if self._is_lost:
            return "the cluster has no Node object of it any more"
        if properties.get("ActiveState") not in RUNNING:
            return ""
        words = kubelet.command_line(properties.get("MainPID", ""))
        other = kubelet.other_name(words, self._name)
        now = time.time()
        started = process_started(properties, now, time.clock_gettime(time.CLOCK_MONOTONIC))
        if other:
            self._is_lost = True
            return f"the kubelet runs under the name {other}"
        outdated = kubelet.outdated(kubelet.process_of(properties), started, now, words) if words else ""
        if outdated:
            return outdated
        if now - started > _PATIENCE and self._stays_silent():
            self._is_lost = True
            return "the control plane has not heard of its kubelet, which runs, for a while"
        return ""

    def _stays_silent(self) -> bool:
        """Whether the control plane does not hear of the kubelet, also when it gets the time for it.

        After the control plane itself was down all kubelets have been silent, and need some seconds.
        """
        wait = _waiting.Wait(_SIGN_OF_LIFE, pause=1)
        while self._node and kubelet.is_silent(self._node):
            if wait.is_over:
                return True
            wait.sleep()
            self._node = kubelet.ask_for_node(self._name)
        return False

    def _start(self, properties: t.Mapping[str, str], action: str, is_enabled: bool) -> None:
        """Enable it, start it, wait until its node is there."""
        if properties.get("NeedDaemonReload") == "yes":
            self._unit.systemctl("daemon-reload")
        if not is_enabled:
            self._unit.systemctl("enable", "--quiet", self._unit.name)
        if action != "none":
            self._unit.systemctl("start" if action == "started" else "restart", self._unit.name)
            self._unit.wait(_START)
            properties = self._unit.properties()
        kubelet.record(properties)
        if self._is_lost:
            self._wait_for_node()

    def _another_name(self) -> str:
        """Why the kubelet must not be started: it would come back as a node that it has no certificate for."""
        told = kubelet.told_name()
        name = told or socket.gethostname().strip().lower()
        if not self._name or name == self._name:
            return ""
        return (
            f"The kubelet has to be started, and would go by the name {name}, "
            + ("which --hostname-override says" if told else "which is the machine's hostname")
            + f"; its certificate is that of the node {self._name}, so it would be no node of the cluster. "
            + ("Take that argument out" if told else f"Call the machine {self._name}")
            + ", then run again."
        )

    def _wait_for_node(self) -> None:
        """Wait until the node is there and heard of, with its slice where the pod network has had one."""
        needs_slice = self._network.had_slice()

        def is_there() -> bool:
            self._node = kubelet.ask_for_node(self._name)
            has_slice = bool(_pod_networks.slices(self._node or {}))
            return bool(self._node) and not kubelet.is_silent(self._node or {}) and (has_slice or not needs_slice)

        if not _waiting.until(is_there, self._timeout):
            raise SlipwayError(
                f"The kubelet was started, and {self._timeout} seconds later the cluster "
                + ("has not heard of it" if self._node else f"has no Node object {self._name}")
                + ". See `journalctl --unit kubelet` on this host."
            )

    def _pod_network(self) -> t.List[str]:
        """Put right, or only say, what contradicts the node's slice; what it was, in words."""
        if self._node and not self._network.name:
            self._warn_of_others()
        if not self._node:
            return []
        state = self._on_node()
        found = state.contradictions()
        if found and not state.can_be_mended:
            self._context.warn(
                lines_shown(
                    f"{self._name}: {'; '.join(found)}; and {self._network.title} does not run there. Once it does,"
                    " another run puts that right."
                )
            )
            return []
        if found and not self._context.check_mode:
            self._network.mend(lambda: kubelet.ask_for_node(self._name), self._timeout)
        return found

    def _warn_of_others(self) -> None:
        """Say what contradicts where the pod network is not of this collection."""
        for state in (network.on_node(self._node or {}) for network in _pod_networks.POD_NETWORKS.values()):
            found = state.contradictions() if state.is_announced and state.can_be_mended else []
            if found:
                self._context.warn(
                    lines_shown(
                        f"{self._name}: {'; '.join(found)}. No pod starts there until that is put right, and this pod"
                        " network is not of this collection: drain and reboot the machine."
                    )
                )

    def _on_node(self) -> _pod_networks.OnNode:
        """What there is of the pod network, once one that has run here before has had the time to come back.

        Its pod on a node that was deleted is deleted with that. Where it was taken away, the run may be about to
        install it, so this ends.
        """
        state = self._network.on_node(self._node or {})
        wait = _waiting.Wait(self._timeout if self._is_lost else _PATIENCE, pause=1)
        while not self._context.check_mode and not state.can_be_mended and not wait.is_over:
            wait.sleep()
            self._node = kubelet.ask_for_node(self._name) or self._node
            state = self._network.on_node(self._node or {})
        return state


ARGUMENTS: t.Dict[str, t.Any] = {
    "pod_network": {"type": "str", "default": "none"},
    "timeout": {"type": "int", "default": 300},
}


def main() -> None:
    run_module(ARGUMENTS, lambda context: Kubelet(context).run())


if __name__ == "__main__":
    main()
