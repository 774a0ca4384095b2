#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: etcd_restore
short_description: Restore etcd from a snapshot, one state after the other
version_added: 0.1.0
description:
  - The role P(slipway.kubernetes.etcd_restore#role) takes the states, each of them on all control planes before the
    next, after M(slipway.kubernetes.etcd_restore_info) has looked. These are V(stopped) and V(restored), then kubelets
    are restarted, V(completed), and on one of them at last V(settled), then V(finished) on all.
  - On a bare machine it is V(seeded), and M(slipway.kubernetes.kubeadm_init) does the rest.
  - Each may be taken again. A restore that was killed is done anew from its first state. Until it has come to its end
    M(slipway.kubernetes.kubeadm_init) and M(slipway.kubernetes.kubeadm_join) refuse the machine.
  - The data that was there is kept as C(member.before-restore) beside the new, one generation of it.
author: slipway.kubernetes contributors (@slipway)
extends_documentation_fragment:
  - slipway.kubernetes.attributes
  - slipway.kubernetes.cri_socket
  - slipway.kubernetes.etcd
attributes:
  check_mode:
    support: full
    details: Changes nothing. Says what it would do after V(stopped), so that V(finished) has something to delete.
  diff_mode:
    support: none
  idempotent:
    support: partial
    details: V(restored), V(settled) and V(seeded) do their work each time that they are called.
options:
  state:
    description:
      - V(stopped) stops the kubelet and the processes of the control plane.
      - V(restored) replaces the data of the member of etcd.
      - V(completed) waits for etcd and the API server. From then on the cluster is in use again, and what is left to be
        done is done without replacing any data.
      - V(settled) deletes Nodes, restarts the agents of the others (DaemonSets in the network of their hosts), and
        waits until kubelets report.
      - V(finished) deletes the snapshot, and forgets that a restore was unfinished.
      - V(seeded) puts the authorities and the snapshot in place with which C(kubeadm init) begins.
    type: str
    choices: [stopped, restored, completed, settled, finished, seeded]
    required: true
  snapshot:
    description: The snapshot on this host, for V(restored), V(finished), V(seeded).
    type: path
    default: /var/lib/slipway/etcd-restore/snapshot.db
  checksum:
    description: Checksum of the snapshot, for V(completed). By it this restore is told from another one.
    type: str
    default: ""
  authorities:
    description: Contents of files below C(/etc/kubernetes/pki) by their names, for V(seeded).
    type: dict
    default: {}
  initial_cluster:
    description: Peer URLs of all members by their names (M(slipway.kubernetes.etcd_restore_info)), for V(restored).
    type: dict
    default: {}
  revision:
    description:
      - The revision that etcd has then, for V(restored); the same on all hosts. It must be higher than any that clients
        have seen. What M(slipway.kubernetes.etcd_archive) returns grows with time.
      - Required if O(state=restored).
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
- name: See whether a restore would stop anything here
  slipway.kubernetes.etcd_restore:
    state: stopped
  check_mode: true

- name: Forget a restore that was given up
  slipway.kubernetes.etcd_restore:
    state: finished
"""

RETURN = r"""
forgotten:
  description: Nodes that were deleted.
  type: list
  elements: str
  returned: when O(state=settled)
  sample: []
"""

import os
import shutil
import signal
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils import _marks, _records, _waiting
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._etcd import etcd as _etcd
from ansible_collections.slipway.kubernetes.plugins.module_utils._etcd import etcd_restore
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import TextFile, read_text
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import api_server
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.kubectl import Kubectl
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm import kubeadm, kubeadm_files, static_pods
from ansible_collections.slipway.kubernetes.plugins.module_utils._layout import KUBEADM
from ansible_collections.slipway.kubernetes.plugins.module_utils._module import Context, expect_timeout, run_module
from ansible_collections.slipway.kubernetes.plugins.module_utils._systemd import Unit

STATES = ["stopped", "restored", "completed", "settled", "finished", "seeded"]
_PKI = KUBEADM.pki
_COMPONENTS = (static_pods.CONTROLLER_MANAGER, static_pods.SCHEDULER, static_pods.API_SERVER, static_pods.ETCD)
#: States of a unit of which nothing runs.
_DOWN = ("inactive", "failed")
#: Seconds that processes have to end by themselves.
_PATIENCE = 30


class EtcdRestore:
    """A restore on one machine."""

    def __init__(self, context: Context) -> None:
        self._params, self._runner, self._check_mode = context.params, context.runner, context.check_mode
        self._kubectl = Kubectl(self._runner, self._params["kubeconfig"], request_timeout=10)

    def run(self) -> t.Dict[str, t.Any]:
        """Bring the machine to the state.

        :raises SlipwayError: when it does not come there.
        """
        expect_timeout(self._params["timeout"])
        state: t.Callable[[], t.Dict[str, t.Any]] = getattr(self, f"_{self._params['state']}")
        return state()

    def _stopped(self) -> t.Dict[str, t.Any]:
        """Nothing starts processes again when the kubelet does not run, so manifests stay where they are."""
        # From here on it is unfinished work. What an earlier try has put in place is not data of before, unless it has
        # been in use since.
        marker = _records.KUBEADM.read()
        begins = marker is None or bool(marker.get("completed"))
        kubelet = Unit(self._runner, "kubelet.service")
        changed = begins or kubelet.properties().get("ActiveState") not in _DOWN or bool(self._running())
        if not self._check_mode:
            if begins:
                _records.KUBEADM.begin("restore")
            # What looks stopped is stopped all the same: it may be about to start.
            kubelet.systemctl("stop", kubelet.name)
            self._end_components()
        return {"changed": changed}

    def _end_components(self) -> None:
        for how in (signal.SIGTERM, signal.SIGKILL):
            for component in self._running():
                component.end(how)
            if _waiting.until(lambda: not self._running(), _PATIENCE):
                return
        names = ", ".join(component.program for component in self._running())
        raise SlipwayError(f"{names} cannot be ended on this host. Restart the machine and run again.")

    @staticmethod
    def _running() -> t.List[static_pods.Component]:
        return [component for component in _COMPONENTS if component.pid()]

    def _restored(self) -> t.Dict[str, t.Any]:
        pod = _etcd.read_pod(self._params["manifest"])
        cluster: t.Dict[str, str] = self._params["initial_cluster"] or {pod.name: pod.peer_url}
        if cluster.get(pod.name) != pod.peer_url:
            raise SlipwayError(f"initial_cluster must have {pod.name}: {pod.peer_url}, the member of this host.")
        if not self._check_mode:
            if static_pods.ETCD.pid():
                raise SlipwayError("etcd runs on this host; the state `stopped` comes first.")
            tools = _etcd.Tools(self._runner, pod.image, self._params["cri_socket"])
            again = bool((_records.KUBEADM.read() or {}).get("restored"))
            data = (self._params["snapshot"], cluster, self._params["revision"])
            etcd_restore.restore(tools, pod, *data, again, lambda: _records.KUBEADM.begin("restore", restored=True))
        return {"changed": True}

    def _completed(self) -> t.Dict[str, t.Any]:
        if not self._check_mode:
            wait = _waiting.Wait(self._params["timeout"])
            etcd = _etcd.Etcd(self._runner, _etcd.read_pod(self._params["manifest"]), self._params["cri_socket"])
            static_pods.until("the API server", api_server.is_ready, self._params["timeout"])
            static_pods.until("etcd", lambda: self._is_whole(etcd), max(wait.left, 1))
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

        if not _waiting.until(all_report, self._params["timeout"]):
            raise SlipwayError(
                f"The cluster is restored, and after {self._params['timeout']} seconds the kubelets of"
                f" {', '.join(silent)} do not report. See what they say (`journalctl -u kubelet`), then run"
                " etcd_restore.yml again with the same archive, which goes on from here and replaces no data."
            )
        return {"changed": True, "forgotten": gone}

    def _answers(self) -> bool:
        return self._kubectl.run("get", "--raw=/readyz", check=False).rc == 0

    def _finished(self) -> t.Dict[str, t.Any]:
        # In a dry run nothing has been handed over, and `stopped` has begun no record.
        snapshot = self._params["snapshot"]
        # An init, join or reset that has not ended is not forgotten with it: the machine would look like a bare one.
        is_ours = (_records.KUBEADM.read() or {}).get("operation", "restore") == "restore"
        paths = (snapshot, etcd_restore.STATE, *([_records.KUBEADM.path] if is_ours else []))
        left = [path for path in paths if os.path.exists(path)]
        if not self._check_mode:
            if snapshot in left:
                os.unlink(snapshot)
            shutil.rmtree(etcd_restore.STATE, ignore_errors=True)
            if is_ours:
                _records.KUBEADM.end()
        return {"changed": self._check_mode or bool(left)}

    def _seeded(self) -> t.Dict[str, t.Any]:
        if not self._check_mode:
            kubeadm.wait_for_running(self._params["timeout"])
            begun = _records.KUBEADM.read() or {}
            if not begun and any(os.path.exists(path) for path in etcd_restore.TRACES):
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
        made = []
        for name, content in sorted(self._params["authorities"].items()):
            path = os.path.join(_PKI, name)
            file = TextFile(path, content, 0o600 if name.endswith(".key") else 0o644)
            if not file.differs():
                continue
            if os.path.exists(path) and read_text(path) != file.content:
                _marks.keep(path)
            file.write()
            made.append(path)
        # kubeadm init finds them there, and they are not the user's.
        kubeadm_files.KubeadmFiles().record_made(made)


ARGUMENTS: t.Dict[str, t.Any] = {
    **_etcd.ETCD_ARGUMENTS,
    "state": {"type": "str", "choices": STATES, "required": True},
    "snapshot": {"type": "path", "default": etcd_restore.SNAPSHOT},
    "checksum": {"type": "str", "default": ""},
    "authorities": {"type": "dict", "default": {}, "no_log": True},
    "initial_cluster": {"type": "dict", "default": {}},
    "revision": {"type": "int"},
    "forget_nodes": {"type": "list", "elements": "str", "default": []},
    "nodes": {"type": "list", "elements": "str", "default": []},
    "kubeconfig": {"type": "path", "default": KUBEADM.admin},
    "timeout": {"type": "int", "default": 300},
}


def main() -> None:
    run_module(ARGUMENTS, lambda context: EtcdRestore(context).run(), required_if=[("state", "restored", ["revision"])])


if __name__ == "__main__":
    main()
