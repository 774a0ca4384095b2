#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: etcd_restore
short_description: One step of restoring etcd from a snapshot
version_added: 0.1.0
description:
  - The role P(slipway.kubernetes.etcd_restore#role) takes the steps, each of them on all control planes before the
    next.
  - On control planes these are V(inspected), V(stopped), V(restored), V(started), V(completed), and on one of them at
    last V(settled), then V(finished) on all. On a bare machine these are V(inspected) and V(seeded), and
    M(slipway.kubernetes.kubeadm_init) does the rest.
  - Each step may be taken again. A restore that was killed is done anew from its first step. Until it has come to its
    end M(slipway.kubernetes.kubeadm_init) and M(slipway.kubernetes.kubeadm_join) refuse the machine.
  - The data that was there is kept as C(member.before-restore) beside the new, one generation of it.
author: slipway.kubernetes contributors (@slipway)
extends_documentation_fragment:
  - slipway.kubernetes.attributes
  - slipway.kubernetes.cri_socket
  - slipway.kubernetes.etcd
attributes:
  check_mode:
    support: full
    details: Changes nothing. V(inspected) does the same, the others say what would change.
  diff_mode:
    support: none
  idempotent:
    support: partial
    details: V(restored) restores each time that it is called.
options:
  step:
    description:
      - V(inspected) looks what this machine is, and refuses a snapshot of another cluster.
      - V(checked) refuses when there is no room for the new data, or no image with etcd's tools.
      - V(stopped) stops the kubelet and the processes of the control plane.
      - V(restored) replaces the data of the member of etcd.
      - V(started) starts the kubelet anew, which starts the control plane where there is one.
      - V(completed) waits for etcd and the API server. From then on the cluster is in use again, and what is left to be
        done is done without replacing any data.
      - V(settled) deletes Nodes, restarts the agents of the others (DaemonSets in the network of their hosts), and
        waits until kubelets report.
      - V(finished) deletes the snapshot, and forgets that something was unfinished.
      - V(seeded) puts the authorities and the snapshot in place with which C(kubeadm init) begins.
    type: str
    choices: [inspected, checked, stopped, restored, started, completed, settled, finished, seeded]
    required: true
  snapshot:
    description: The snapshot on this host, for V(checked), V(restored), V(finished), V(seeded).
    type: path
    default: /var/lib/slipway/etcd-restore/snapshot.db
  checksum:
    description:
      - Checksum of the snapshot, for V(inspected) and V(completed). By it a restore that has not ended is told from
        another one.
    type: str
    default: ""
  authority:
    description: The certificate of the CA of the snapshot's cluster, in PEM, for V(inspected).
    type: str
  etcd_authority:
    description: The certificate of etcd's CA of the snapshot's cluster, in PEM, for V(inspected).
    type: str
  version:
    description: The version of Kubernetes of the snapshot, for V(inspected).
    type: str
  authorities:
    description: Contents of files below C(/etc/kubernetes/pki) by their names, for V(seeded).
    type: dict
    default: {}
  initial_cluster:
    description: Peer URLs of all members by their names, as V(inspected) returns them, for V(restored).
    type: dict
    default: {}
  revision:
    description:
      - The revision that etcd has then, for V(restored); the same on all hosts. It must be higher than any that clients
        have seen. What M(slipway.kubernetes.etcd_archive) returns grows with time.
      - Required if O(step=restored).
    type: int
  forget_nodes:
    description: Nodes whose machines are bare, for V(settled).
    type: list
    elements: str
    default: []
  nodes:
    description: Nodes whose kubelets have to report, for V(settled).
    type: list
    elements: str
    default: []
  kubeconfig:
    description: The administrator's kubeconfig.
    type: path
    default: /etc/kubernetes/admin.conf
  timeout:
    description: Seconds that V(completed) and V(settled) may take, and a kubeadm of an earlier run that still runs.
    type: int
    default: 300
"""

EXAMPLES = r"""
- name: See what this machine is
  slipway.kubernetes.etcd_restore:
    step: inspected
    version: 1.37.1
  register: example_machine

- name: Show whether there is a cluster to lose
  ansible.builtin.debug:
    var: example_machine.in_use
"""

RETURN = r"""
kind:
  description:
    - V(member) is a control plane with an etcd by kubeadm, whether it has data or not.
    - V(bare) is a machine without anything of Kubernetes but, maybe, a CA.
  type: str
  choices: [member, bare]
  returned: when O(step=inspected)
  sample: member
in_use:
  description: Whether the etcd of this host works and has a cluster of kubeadm in it.
  type: bool
  returned: when O(step=inspected)
  sample: false
unfinished:
  description: Whether a restore was begun here that has not ended. One of another snapshot counts until it is in use.
  type: bool
  returned: when O(step=inspected)
  sample: false
completed:
  description: Whether a restore of this snapshot has not ended, but is in use already.
  type: bool
  returned: when O(step=inspected)
  sample: false
member:
  description: Name of this host's member; empty when it has none.
  type: str
  returned: when O(step=inspected)
  sample: cp1
peer_url:
  description: Its peer URL.
  type: str
  returned: when O(step=inspected)
  sample: https://172.30.0.11:2380
forgotten:
  description: Nodes that were deleted.
  type: list
  elements: str
  returned: when O(step=settled)
  sample: []
"""

import os
import shutil
import signal
import time
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils import _marks, _records
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import Runner, SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._etcd import etcd as _etcd
from ansible_collections.slipway.kubernetes.plugins.module_utils._etcd import etcd_restore
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import TextFile, read_text
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import api_server
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.kubectl import Kubectl
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm import (
    kubeadm,
    kubeadm_files,
    static_pods,
    upgrade,
)
from ansible_collections.slipway.kubernetes.plugins.module_utils._layout import KUBEADM
from ansible_collections.slipway.kubernetes.plugins.module_utils._module import Context, run_module

_PKI = KUBEADM.pki
#: Files of a node; a machine without any of them is bare.
_TRACES = (
    KUBEADM.kubelet,
    KUBEADM.admin,
    KUBEADM.manifest("kube-apiserver"),
)
_COMPONENTS = (
    static_pods.CONTROLLER_MANAGER,
    static_pods.SCHEDULER,
    static_pods.API_SERVER,
    static_pods.ETCD,
)
#: An etcd without it has no cluster of kubeadm, such as one that has started anew after it lost its data.
_PROOF = "/registry/configmaps/kube-system/kubeadm-config"
#: Seconds that processes have to end by themselves.
_PATIENCE = 30


def same_minor(one: str, other: str) -> bool:
    """Whether two versions differ in nothing but the patch."""
    return one.split(".")[:2] == other.split(".")[:2]


class EtcdRestore:
    """The steps on one machine."""

    def __init__(self, params: t.Mapping[str, t.Any], runner: Runner, check_mode: bool = False) -> None:
        self._params = params
        self._runner = runner
        self._check_mode = check_mode
        self._kubectl = Kubectl(runner, params["kubeconfig"], request_timeout=10)

    def run(self) -> t.Dict[str, t.Any]:
        """Take the step.

        :raises SlipwayError: when the snapshot does not fit this machine, or something fails.
        """
        step: t.Callable[[], t.Dict[str, t.Any]] = getattr(self, f"_{self._params['step']}")
        return step()

    # --- looking

    def _inspected(self) -> t.Dict[str, t.Any]:
        marker = self._unfinished()
        completed = bool((marker or {}).get("completed"))
        unfinished = marker is not None and (not completed or self._is_the_same(marker))
        # What a `kubeadm init` with a snapshot has left half done is done anew, as on a bare machine.
        member = os.path.exists(self._params["manifest"]) and not os.path.exists(etcd_restore.PENDING)
        self._expect_same_cluster(member)
        if not member:
            found = [path for path in _TRACES if os.path.exists(path)]
            if found and marker is None:
                raise SlipwayError(
                    f"This host is part of a cluster ({', '.join(found)}) and has no etcd of kubeadm"
                    f" ({self._params['manifest']}), so there is nothing to restore on it, nor is it bare. Take it down"
                    " (reset.yml, remove_node.yml), or correct the inventory. Nothing was changed."
                )
        pod = _etcd.read_pod(self._params["manifest"]) if member else None
        return {
            "changed": False,
            "kind": "member" if pod else "bare",
            "in_use": pod is not None and self._in_use(pod),
            "unfinished": unfinished,
            "completed": completed and unfinished,
            "member": pod.name if pod else "",
            "peer_url": pod.peer_url if pod else "",
        }

    def _is_the_same(self, marker: t.Mapping[str, t.Any]) -> bool:
        return bool(marker.get("checksum")) and marker["checksum"] == self._params["checksum"]

    @staticmethod
    def _unfinished() -> t.Optional[t.Dict[str, t.Any]]:
        """The record of a restore that has not ended; ``None`` when there is none.

        :raises SlipwayError: when something else has not.
        """
        marker = _records.KUBEADM.read()
        if marker is None:
            return {} if os.path.exists(etcd_restore.PENDING) else None
        if not (marker.get("operation") == "init" and os.path.exists(etcd_restore.PENDING)):
            kubeadm.unfinished("restore")
        return marker

    def _expect_same_cluster(self, member: bool) -> None:
        for name, option in (("ca.crt", "authority"), ("etcd/ca.crt", "etcd_authority")):
            path, wanted = os.path.join(_PKI, name), self._params[option]
            if member and not os.path.exists(path):
                raise SlipwayError(
                    f"This host is a control plane without {path}: it has lost more than etcd's data. Turn it into a"
                    " bare machine (reset.yml), which is restored as one. Nothing was changed."
                )
            if wanted and os.path.exists(path) and read_text(path).strip() != wanted.strip():
                raise SlipwayError(
                    f"The snapshot is of another cluster: its CA is not the one in {path} on this host. Nothing was"
                    " changed."
                )
        version, here = self._params["version"], upgrade.kube_version(upgrade.static_pods()).get("kube-apiserver", "")
        if member and version and here and not same_minor(version, here):
            raise SlipwayError(
                f"The snapshot is of Kubernetes {version}, and the control plane of this host of {here}. Restore one of"
                " the same minor version. Nothing was changed."
            )

    def _pod(self) -> _etcd.Pod:
        return _etcd.read_pod(self._params["manifest"])

    def _in_use(self, pod: _etcd.Pod) -> bool:
        """When etcd cannot be asked, the API server of this host knows whether it works."""
        if not static_pods.ETCD.pid():
            return False
        etcd = _etcd.Etcd(self._runner, pod, self._params["cri_socket"])
        try:
            if _etcd.quorum(etcd.members())["holds"]:
                return _PROOF in etcd.ctl("get", _PROOF, "--keys-only").stdout
        except SlipwayError:
            pass
        return api_server.is_ready()

    # --- control planes

    def _checked(self) -> t.Dict[str, t.Any]:
        """On all hosts before the first is stopped: one that cannot be restored must not cost the others."""
        if not self._check_mode:
            pod = self._pod()
            self._expect_tools(pod)
            if os.path.isdir(pod.data):
                etcd_restore.expect_room(pod.data, self._params["snapshot"])
        return {"changed": False}

    def _stopped(self) -> t.Dict[str, t.Any]:
        """Nothing starts processes again when the kubelet does not run, so manifests stay where they are."""
        if not self._check_mode:
            # From here on it is unfinished work. What an earlier try has put in place is not data of before, unless it
            # has been in use since.
            marker = _records.KUBEADM.read()
            if marker is None or marker.get("completed"):
                _records.KUBEADM.begin("restore")
            self._systemctl("stop")
            for component in _COMPONENTS:
                component.end()
            if not static_pods.within(_PATIENCE, lambda: not self._running()):
                for component in self._running():
                    component.end(signal.SIGKILL)
                if not static_pods.within(_PATIENCE, lambda: not self._running()):
                    names = ", ".join(component.program for component in self._running())
                    raise SlipwayError(f"{names} cannot be ended on this host. Restart the machine and run again.")
        return {"changed": True}

    def _expect_tools(self, pod: _etcd.Pod) -> None:
        if not _etcd.Tools(self._runner, pod.image, self._params["cri_socket"]).has_image():
            raise SlipwayError(
                f"The container runtime has no image {pod.image} any more, in which etcdutl is. Pull it through the CRI"
                " (`crictl pull`, or `kubeadm config images pull`) and run again."
            )

    @staticmethod
    def _running() -> t.List[static_pods.Component]:
        return [component for component in _COMPONENTS if component.pid()]

    def _systemctl(self, verb: str) -> None:
        self._runner.run([self._runner.path("systemctl"), verb, "kubelet.service"])

    def _restored(self) -> t.Dict[str, t.Any]:
        pod = self._pod()
        cluster: t.Dict[str, str] = self._params["initial_cluster"] or {pod.name: pod.peer_url}
        if cluster.get(pod.name) != pod.peer_url:
            raise SlipwayError(f"initial_cluster must have {pod.name}: {pod.peer_url}, the member of this host.")
        if not self._check_mode:
            if static_pods.ETCD.pid():
                raise SlipwayError("etcd runs on this host; the step `stopped` comes first.")
            marker = _records.KUBEADM.read() or {}
            etcd_restore.restore(
                _etcd.Tools(self._runner, pod.image, self._params["cri_socket"]),
                pod,
                self._params["snapshot"],
                cluster,
                self._params["revision"],
                again=bool(marker.get("restored")),
                kept=lambda: _records.KUBEADM.begin("restore", restored=True),
            )
        return {"changed": True}

    def _started(self) -> t.Dict[str, t.Any]:
        if not self._check_mode:
            self._systemctl("restart")
        return {"changed": True}

    def _completed(self) -> t.Dict[str, t.Any]:
        if not self._check_mode:
            deadline = time.monotonic() + self._params["timeout"]
            etcd = _etcd.Etcd(self._runner, self._pod(), self._params["cri_socket"])
            static_pods.until("the API server", api_server.is_ready, self._params["timeout"])
            static_pods.until("etcd", lambda: self._is_whole(etcd), max(deadline - time.monotonic(), 1))
            _records.KUBEADM.begin("restore", completed=True, checksum=self._params["checksum"])
        return {"changed": False}

    @staticmethod
    def _is_whole(etcd: _etcd.Etcd) -> bool:
        try:
            return all(member.healthy for member in etcd.members())
        except SlipwayError:
            return False

    def _settled(self) -> t.Dict[str, t.Any]:
        """A Node may look Ready since the snapshot was taken: what counts is what its kubelet does now."""
        if self._check_mode:
            return {"changed": True, "forgotten": []}
        # By the cluster's endpoint, whose load balancers may need a moment.
        static_pods.until("the cluster's endpoint", self._answers, self._params["timeout"])
        gone = [name for name in etcd_restore.node_names(self._kubectl) if name in self._params["forget_nodes"]]
        etcd_restore.forget_nodes(self._kubectl, gone)
        etcd_restore.restart_agents(self._kubectl)
        first = etcd_restore.heartbeats(self._kubectl)
        silent: t.List[str] = []

        def all_report() -> bool:
            now = etcd_restore.heartbeats(self._kubectl)
            silent[:] = [name for name in self._params["nodes"] if now.get(name) in (None, first.get(name))]
            return not silent

        if not static_pods.within(self._params["timeout"], all_report):
            raise SlipwayError(
                f"The cluster is restored, and after {self._params['timeout']} seconds the kubelets of"
                f" {', '.join(silent)} do not report. See what they say (`journalctl -u kubelet`), then run"
                " etcd_restore.yml again with the same archive, which goes on from here and replaces no data."
            )
        return {"changed": True, "forgotten": gone}

    def _answers(self) -> bool:
        return self._kubectl.run("get", "--raw=/readyz", check=False).rc == 0

    def _finished(self) -> t.Dict[str, t.Any]:
        if not self._check_mode:
            if os.path.exists(self._params["snapshot"]):
                os.unlink(self._params["snapshot"])
            shutil.rmtree(etcd_restore.STATE, ignore_errors=True)
            _records.KUBEADM.end()
        return {"changed": True}

    # --- bare machines

    def _seeded(self) -> t.Dict[str, t.Any]:
        if not self._check_mode:
            kubeadm.wait_for_running(self._params["timeout"])
            begun = _records.KUBEADM.read() or {}
            if not begun and any(os.path.exists(path) for path in _TRACES):
                raise SlipwayError(
                    "A control plane has come up on this host meanwhile, by an earlier run that was killed. Run"
                    " site.yml, which completes the cluster."
                )
            # What a killed `kubeadm init` has left is cleaned up by the next, which begins with this snapshot again.
            _records.KUBEADM.begin("restore")
            self._write_authorities()
            os.replace(self._params["snapshot"], etcd_restore.PENDING)
            if begun.get("operation") == "init":
                _records.KUBEADM.begin("init", token_id=begun.get("token_id", ""))
            else:
                _records.KUBEADM.end()
        return {"changed": True}

    def _write_authorities(self) -> None:
        """Write those of the archive; of what somebody else has put there a copy stays beside it."""
        paths = {name: os.path.join(_PKI, name) for name in sorted(self._params["authorities"])}
        made = []
        for name, path in paths.items():
            file = TextFile(path, self._params["authorities"][name], 0o600 if name.endswith(".key") else 0o644)
            if os.path.exists(path) and not file.differs():
                continue
            if os.path.exists(path) and read_text(path) != file.content:
                _marks.keep(path)
            file.write()
            made.append(path)
        # kubeadm init finds them there, and they are not the user's.
        kubeadm_files.KubeadmFiles().record_made(made)


ARGUMENTS: t.Dict[str, t.Any] = {
    **_etcd.ETCD_ARGUMENTS,
    "step": {
        "type": "str",
        "choices": [
            "inspected",
            "checked",
            "stopped",
            "restored",
            "started",
            "completed",
            "settled",
            "finished",
            "seeded",
        ],
        "required": True,
    },
    "snapshot": {"type": "path", "default": etcd_restore.SNAPSHOT},
    "checksum": {"type": "str", "default": ""},
    "authority": {"type": "str"},
    "etcd_authority": {"type": "str"},
    "version": {"type": "str"},
    "authorities": {"type": "dict", "default": {}, "no_log": True},
    "initial_cluster": {"type": "dict", "default": {}},
    "revision": {"type": "int"},
    "forget_nodes": {"type": "list", "elements": "str", "default": []},
    "nodes": {"type": "list", "elements": "str", "default": []},
    "kubeconfig": {"type": "path", "default": KUBEADM.admin},
    "timeout": {"type": "int", "default": 300},
}


def run(context: Context) -> t.Dict[str, t.Any]:
    """What the module returns."""
    return EtcdRestore(context.params, context.runner, context.check_mode).run()


def main() -> None:
    run_module(ARGUMENTS, run, required_if=[("step", "restored", ["revision"])])


if __name__ == "__main__":
    main()
