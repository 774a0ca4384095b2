#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kubeadm_init
short_description: Initialises a control plane by kubeadm
version_added: 0.1.0
description:
  - Runs C(kubeadm init) on a machine that has no control plane, with a configuration that kubeadm has validated.
  - Looks at the machine and the API server, never at a record alone. A control plane that works, or that was not made
    by an unfinished call of this module, is never reset; neither is a machine that is a worker.
  - A call that was killed is finished by the next one. It waits for a kubeadm that is still running; when that has come
    to its end nothing is done again, otherwise what it has left is cleaned up and the machine is initialised anew.
  - The kubelet is enabled, so that it starts at boot.
  - Where M(slipway.kubernetes.etcd_restore) has left a snapshot of etcd, the cluster begins with that, and forgets all
    other nodes in it.
  - No bootstrap token is left in the cluster. kubeadm insists on making one, which is revoked at once.
author: slipway.kubernetes contributors (@slipway)
extends_documentation_fragment:
  - slipway.kubernetes.attributes
attributes:
  check_mode:
    support: full
    details: Validates the configuration when kubeadm is there.
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  config:
    description:
      - kubeadm's configuration documents, such as C(InitConfiguration), C(ClusterConfiguration),
        C(KubeletConfiguration) and C(KubeProxyConfiguration); see the filter
        P(slipway.kubernetes.kubeadm_init_config#filter).
    type: list
    elements: dict
    required: true
  skip_phases:
    description: Phases of C(kubeadm init) that are left out.
    type: list
    elements: str
    default: []
  timeout:
    description: Seconds that a kubeadm left running by an earlier call, or an existing control plane, may take.
    type: int
    default: 300
  kubeconfig:
    description: The administrator's kubeconfig, which C(kubeadm init) writes.
    type: path
    default: /etc/kubernetes/admin.conf
requirements:
  - kubeadm, kubelet and kubectl
  - a container runtime that runs
"""

EXAMPLES = r"""
- name: Initialise a control plane
  slipway.kubernetes.kubeadm_init:
    config:
      - apiVersion: kubeadm.k8s.io/v1beta4
        kind: ClusterConfiguration
        kubernetesVersion: v1.37.1
        networking:
          podSubnet: 10.244.0.0/16
"""

RETURN = r"""
action:
  description:
    - What was done, or would be in check mode.
    - V(finished) means that an earlier call had been killed when kubeadm itself had come to its end, V(reinitialised)
      that what it had left was cleaned up first. A cluster in which C(kubeadm init) had come as far as its addons is
      finished, whatever else is missing.
  type: str
  choices: [none, initialised, finished, reinitialised]
  returned: success
  sample: initialised
"""

import os
import shutil
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils import _records, _runtimes, _waiting
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._etcd import etcd, etcd_restore
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import read_text
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.kubectl import Kubectl
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm import kubeadm as _kubeadm
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm.kubeadm import Kubeadm
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm.kubeadm_files import (
    KubeadmFiles,
    make_etcd_data,
)
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubelet import kubelet
from ansible_collections.slipway.kubernetes.plugins.module_utils._layout import KUBEADM
from ansible_collections.slipway.kubernetes.plugins.module_utils._module import Context, run_module

#: Files that only a control plane, or the beginning of one, has.
TRACES = (
    KUBEADM.admin,
    KUBEADM.manifest("kube-apiserver"),
    KUBEADM.manifest("etcd"),
    f"{KUBEADM.etcd_data}/member",
)
#: The kubelet's kubeconfig; when all but the addons is done, kubeadm points it to the certificate that is rotated.
_KUBELET_KUBECONFIG = KUBEADM.kubelet
_ROTATED = "kubelet-client-current.pem"
#: Seconds that the API server of an unfinished control plane has to come up before it is judged.
_GRACE = 60
#: The same in check mode, for a busy machine on which one answer comes late.
_MOMENTS = 10
_ADDONS = {"coredns": "deployment/coredns", "kube-proxy": "daemonset/kube-proxy"}


def with_token(documents: t.Sequence[t.Mapping[str, t.Any]], token: str) -> t.List[t.Mapping[str, t.Any]]:
    """``documents`` in which InitConfiguration has only our own short-lived bootstrap token."""
    init = dict(_kubeadm.find_document(documents, "InitConfiguration"))
    init.update(
        apiVersion=_kubeadm.API_VERSION,
        kind="InitConfiguration",
        bootstrapTokens=[
            {
                "token": token,
                "ttl": "10m0s",
                "description": _kubeadm.INIT_DESCRIPTION,
                "usages": ["signing", "authentication"],
                "groups": ["system:bootstrappers:kubeadm:default-node-token"],
            }
        ],
    )
    return [init] + [document for document in documents if document.get("kind") != "InitConfiguration"]


def wanted_addons(skip_phases: t.Iterable[str]) -> t.List[str]:
    """The addons that ``kubeadm init`` installs, by the names of their phases."""
    skipped = set(skip_phases)
    if skipped & {"addon", "addon/all"}:
        return []
    return [name for name in _ADDONS if f"addon/{name}" not in skipped]


class KubeadmInit:
    """This machine as a control plane that ``kubeadm init`` makes, or an earlier call has begun."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._documents: t.List[t.Dict[str, t.Any]] = context.params["config"]
        self._skip_phases: t.List[str] = context.params["skip_phases"]
        self._timeout: int = context.params["timeout"]
        self._runner = context.runner
        # Questions are asked again and again; what has to be done is done once, and a new API server may be slow.
        self._asking = Kubectl(self._runner, context.params["kubeconfig"], request_timeout=5)
        self._kubectl = Kubectl(self._runner, context.params["kubeconfig"])

    def run(self) -> t.Dict[str, t.Any]:
        """Initialise, finish, or leave alone.

        :raises SlipwayError: when kubeadm fails, when the machine is a worker, or when there are traces of a control
            plane that does not answer.
        """
        check = self._context.check_mode
        if not check:
            _kubeadm.wait_for_running(self._timeout)
        marker = _kubeadm.unfinished("init")
        if marker is None and any(os.path.exists(path) for path in TRACES):
            self._expect_ready()
            return {"changed": False, "action": "none"}
        if marker is None and os.path.exists(_KUBELET_KUBECONFIG):
            raise SlipwayError(
                f"This host is a node of a cluster already ({_KUBELET_KUBECONFIG}) and has no control plane: it is left"
                " as it is. If it shall become a control plane, drain it, remove the node and run `kubeadm reset`."
            )
        if marker is not None and self._was_complete():
            if not check:
                self._install_missing_addons()
                self._finish(str(marker.get("token_id", "")))
            return {"changed": True, "action": "finished"}
        if not check:
            self._initialise(again=marker is not None)
        elif self._runner.which("kubeadm", required=False):
            Kubeadm(self._runner).validate(with_token(self._documents, _kubeadm.new_token()))
        return {"changed": True, "action": "reinitialised" if marker is not None else "initialised"}

    def _initialise(self, again: bool) -> None:
        kubeadm = Kubeadm(self._runner)
        token = _kubeadm.new_token()
        documents = with_token(self._documents, token)
        kubeadm.validate(documents)
        cri_socket = str(self._registration().get("criSocket", ""))
        if again:
            kubeadm.reset(cri_socket, authorities=True)
        if "preflight" not in self._skip_phases:
            kubeadm.run(documents, "init", "phase", "preflight")
        kubeadm.enable_kubelet()
        token_id = _kubeadm.token_id(token)
        if not again:
            KubeadmFiles().record_given()
        _records.KUBEADM.begin("init", token_id=token_id)
        make_etcd_data(self._etcd_data())
        if os.path.exists(etcd_restore.PENDING):
            self._restore(kubeadm, documents, cri_socket)
        skipped = ",".join(["preflight", *(phase for phase in self._skip_phases if phase != "preflight")])
        kubeadm.run(documents, "init", "--skip-token-print", f"--skip-phases={skipped}")
        kubelet.record_running(self._runner)
        self._finish(token_id)

    def _registration(self) -> t.Mapping[str, t.Any]:
        registration = _kubeadm.find_document(self._documents, "InitConfiguration").get("nodeRegistration")
        return t.cast(t.Mapping[str, t.Any], registration or {})

    def _etcd_data(self) -> str:
        """The folder of etcd's data; empty when etcd runs elsewhere."""
        own = _kubeadm.find_document(self._documents, "ClusterConfiguration").get("etcd") or {}
        return "" if "external" in own else str((own.get("local") or {}).get("dataDir") or KUBEADM.etcd_data)

    def _restore(self, kubeadm: Kubeadm, documents: t.Sequence[t.Mapping[str, t.Any]], cri_socket: str) -> None:
        """Make etcd's data out of the snapshot, for the member that kubeadm will start."""
        kubeadm.run(documents, "init", "phase", "etcd", "local")
        pod = etcd.read_pod(etcd.MANIFEST)
        # For its own configuration only; kubeadm writes it again when it is its turn.
        os.unlink(etcd.MANIFEST)
        tools = etcd.Tools(self._runner, pod.image, cri_socket or _runtimes.CRI_SOCKET["default"])
        if not tools.has_image():
            kubeadm.run(documents, "config", "images", "pull")
        revision = etcd_restore.revision_now()
        etcd_restore.restore(tools, pod, etcd_restore.PENDING, {pod.name: pod.peer_url}, revision)

    def _finish(self, token_id: str) -> None:
        """Revoke kubeadm's token, then forget that something was unfinished."""
        if os.path.exists(etcd_restore.PENDING):
            own = str(self._registration().get("name") or kubelet.untold_name())
            others = [name for name in etcd_restore.node_names(self._kubectl) if name != own]
            etcd_restore.forget_nodes(self._kubectl, others)
            shutil.rmtree(etcd_restore.STATE)
        if token_id:
            self._kubectl.run(
                "delete", "secret", f"bootstrap-token-{token_id}", "--namespace=kube-system", "--ignore-not-found"
            )
        _records.KUBEADM.end()

    def _is_ready(self) -> bool:
        if not self._asking.configured:
            return False
        return self._asking.run("get", "--raw=/readyz", check=False).rc == 0

    def _install_missing_addons(self) -> None:
        for name in wanted_addons(self._skip_phases):
            if not self._has(_ADDONS[name]):
                Kubeadm(self._runner).run(self._documents, "init", "phase", "addon", name)

    def _has(self, kind_and_name: str, namespace: str = "kube-system") -> bool:
        # Forbidden, too, is an answer: an early phase of kubeadm gives the administrator his rights.
        return self._asking.run("get", kind_and_name, f"--namespace={namespace}", "-o=name", check=False).rc == 0

    def _was_complete(self) -> bool:
        """Whether kubeadm had come to its end, though nobody saw it, or so far that others may use the cluster.

        :raises SlipwayError: when it had, and the API server does not answer now.
        """
        if os.path.exists(_KUBELET_KUBECONFIG) and _ROTATED in read_text(_KUBELET_KUBECONFIG):
            self._expect_ready()
            return True
        # What a snapshot has says nothing about how far kubeadm has come.
        if os.path.exists(etcd_restore.PENDING):
            return False
        # A kubelet that rotates no certificate leaves no such trace; a control plane that has just begun comes up soon.
        if not all(os.path.exists(path) for path in TRACES) or not self._wait_until_ready(_GRACE):
            return False
        return self._has("configmap/cluster-info", "kube-public") and all(
            self._has(_ADDONS[name]) for name in wanted_addons(self._skip_phases)
        )

    def _wait_until_ready(self, timeout: float) -> bool:
        """Whether the control plane answers within ``timeout`` seconds; in check mode it gets some moments only."""
        patience = min(timeout, self._timeout, *([_MOMENTS] if self._context.check_mode else []))
        return _waiting.until(self._is_ready, patience, pause=1)

    def _expect_ready(self) -> None:
        """Wait until the control plane that is here answers.

        :raises SlipwayError: when it does not in time.
        """
        if not self._wait_until_ready(self._timeout):
            found = ", ".join(path for path in TRACES if os.path.exists(path))
            raise SlipwayError(
                f"There is a control plane on this host ({found}) whose API server does not answer, and it may be in"
                " use: it is left as it is. See whether the kubelet runs (`systemctl status kubelet`) and what the"
                " static pods say (/var/log/pods). If the machine shall become another one, reset it first with"
                " `kubeadm reset`."
            )


ARGUMENTS: t.Dict[str, t.Any] = {
    "config": {"type": "list", "elements": "dict", "required": True},
    "skip_phases": {"type": "list", "elements": "str", "default": []},
    "timeout": {"type": "int", "default": 300},
    "kubeconfig": {"type": "path", "default": KUBEADM.admin},
}


def main() -> None:
    run_module(ARGUMENTS, lambda context: KubeadmInit(context).run(), quiet=True)


if __name__ == "__main__":
    main()
