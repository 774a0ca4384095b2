#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kubeadm_join
short_description: Joins a machine to a cluster by kubeadm
version_added: 0.1.0
description:
  - Runs C(kubeadm join) on a machine that is no node yet, with a configuration that kubeadm has validated.
  - A machine that is a node is left alone, unless an unfinished call of this module has made it; that one is finished,
    or cleaned up and joined again when the cluster does not know it.
  - An unfinished control plane that has come as far as etcd is never cleaned up, as etcd may count on it; kubeadm goes
    through its phases again.
  - The kubelet is enabled, so that it starts at boot, and its node is waited for, which C(kubeadm) does not do.
author: slipway.kubernetes contributors (@slipway)
extends_documentation_fragment:
  - slipway.kubernetes.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  config:
    description:
      - kubeadm's C(JoinConfiguration) without the token; see the filter
        P(slipway.kubernetes.kubeadm_join_config#filter). With C(controlPlane) the machine becomes a control plane.
    type: dict
    required: true
  token:
    description:
      - The bootstrap token, for discovery and for TLS bootstrap. It is only needed when the machine is no node yet.
      - It is handed to kubeadm on its standard input and stands in no file.
    type: str
  certificate_key:
    description:
      - The key of the certificates that M(slipway.kubernetes.kubeadm_token) has uploaded, for a control plane.
      - It is handed to kubeadm on its standard input and stands in no file.
    type: str
  timeout:
    description: Seconds that a kubeadm left running by an earlier call, or the API server's answer, may take.
    type: int
    default: 300
requirements:
  - kubeadm and kubelet; kubectl to finish a call that was killed
  - a container runtime that runs
notes:
  - Let control planes join one at a time, with C(throttle) set to V(1). etcd takes one new member at a time.
"""

EXAMPLES = r"""
- name: Mint a token on a control plane
  slipway.kubernetes.kubeadm_token:
    state: present
  register: example_token
  no_log: true
  delegate_to: "{{ control_plane }}"

- name: Join the cluster
  slipway.kubernetes.kubeadm_join:
    config:
      apiVersion: kubeadm.k8s.io/v1beta4
      kind: JoinConfiguration
      discovery:
        bootstrapToken:
          apiServerEndpoint: "{{ example_token.endpoint }}"
          caCertHashes: "{{ example_token.ca_cert_hashes }}"
    token: "{{ example_token.token }}"

- name: Revoke the token
  slipway.kubernetes.kubeadm_token:
    state: absent
    token_id: "{{ example_token.token_id }}"
  delegate_to: "{{ control_plane }}"
"""

RETURN = r"""
action:
  description: What was done, or would be in check mode; see M(slipway.kubernetes.kubeadm_init).
  type: str
  choices: [none, joined, finished, rejoined]
  returned: success
  sample: joined
"""

import contextlib
import os
import typing as t
import urllib.parse

from ansible_collections.slipway.kubernetes.plugins.module_utils import _records, _waiting
from ansible_collections.slipway.kubernetes.plugins.module_utils._api_endpoints import CONTROL_PLANE
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._etcd import etcd_learners
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import read_text
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import api_server
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.kubectl import Kubectl
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm import kubeadm as _kubeadm
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm.kubeadm import Kubeadm
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm.kubeadm_files import (
    KubeadmFiles,
    etcd_data,
    make_etcd_data,
)
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubelet import kubelet
from ansible_collections.slipway.kubernetes.plugins.module_utils._layout import KUBEADM
from ansible_collections.slipway.kubernetes.plugins.module_utils._module import Context, run_module
from ansible_collections.slipway.kubernetes.plugins.module_utils._pki import certificates

_KUBELET_KUBECONFIG = KUBEADM.kubelet
_KUBELET_CERTIFICATE = KUBEADM.kubelet_certificate
_BOOTSTRAP_KUBECONFIG = KUBEADM.bootstrap
_ADMIN_KUBECONFIG = KUBEADM.admin
#: With one of them the machine may be a member of etcd.
_ETCD = (KUBEADM.manifest("etcd"), f"{KUBEADM.etcd_data}/member")
#: Seconds that a kubelet with a certificate has to make its node.
_REGISTRATION = 60


def with_secrets(
    document: t.Mapping[str, t.Any], token: str, certificate_key: t.Optional[str] = None
) -> t.Dict[str, t.Any]:
    """The JoinConfiguration with ``token`` for discovery, and the key of the certificates for a control plane.

    :raises SlipwayError: when it would join a cluster whose CA is not verified, or a control plane has no key.
    """
    discovery = dict(document.get("discovery") or {})
    bootstrap = {**(discovery.get("bootstrapToken") or {}), "token": token}
    if not bootstrap.get("caCertHashes") or bootstrap.get("unsafeSkipCAVerification"):
        raise SlipwayError(
            "config: discovery.bootstrapToken.caCertHashes is missing. A machine only joins a cluster whose CA it can"
            " verify; kubeadm_token returns the hash."
        )
    discovery["bootstrapToken"] = bootstrap
    merged = {**document, "discovery": discovery}
    if "controlPlane" in document:
        if not certificate_key:
            raise SlipwayError("certificate_key: a control plane needs the key that kubeadm_token returns.")
        merged["controlPlane"] = {**(document["controlPlane"] or {}), "certificateKey": certificate_key}
    return merged


class KubeadmJoin:
    """This machine as a node that ``kubeadm join`` makes, or an earlier call has begun."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._document: t.Dict[str, t.Any] = context.params["config"]
        self._token: t.Optional[str] = context.params["token"]
        self._control_plane = "controlPlane" in self._document
        self._operation = "join --control-plane" if self._control_plane else "join"
        self._runner = context.runner

    def run(self) -> t.Dict[str, t.Any]:
        """Join, finish, or leave alone.

        :raises SlipwayError: when kubeadm fails, a secret is needed and missing, or a worker shall be a control plane.
        """
        if not self._context.check_mode:
            _kubeadm.wait_for_running(self._context.params["timeout"])
        marker = _kubeadm.unfinished(self._operation)
        if marker is None and os.path.exists(_KUBELET_KUBECONFIG):
            if self._control_plane and not os.path.exists(api_server.MANIFEST):
                raise SlipwayError(
                    "This host is a worker of a cluster already, and kubeadm cannot make a control plane of it: it is"
                    " left as it is. Remove the node, which drains and resets it, then let it join anew."
                )
            return {"changed": False, "action": "none"}
        if marker is not None and self._is_complete():
            if not self._context.check_mode:
                self._forget_token()
                _records.KUBEADM.end()
            return {"changed": True, "action": "finished"}
        begun = marker is not None and self._control_plane and any(os.path.exists(path) for path in _ETCD)
        if not self._context.check_mode:
            self._join(begun, again=marker is not None)
        return {"changed": True, "action": "finished" if begun else "joined" if marker is None else "rejoined"}

    def _join(self, begun: bool, again: bool) -> None:
        """Let kubeadm join.

        :param begun: whether this is a control plane that etcd may count on: it is not reset.
        :param again: whether there is something half done.
        """
        if not self._token:
            raise SlipwayError("token: this host is no node yet and needs a bootstrap token to become one.")
        kubeadm = Kubeadm(self._runner)
        documents = [with_secrets(self._document, self._token, self._context.params["certificate_key"])]
        kubeadm.validate(documents)
        done = ["preflight"]
        if begun:
            # A kubelet that has its certificate is not started anew: kubeadm would take its node for another one's.
            done += ["kubelet-start"] if os.path.exists(_KUBELET_CERTIFICATE) else []
        else:
            if again:
                kubeadm.reset(str((self._document.get("nodeRegistration") or {}).get("criSocket", "")))
            kubeadm.run(documents, "join", "phase", "preflight")
        kubeadm.enable_kubelet()
        if not again:
            KubeadmFiles().record_given()
        _records.KUBEADM.begin(self._operation)
        try:
            if self._control_plane and not begun:
                kubeadm.run(documents, "join", "phase", "control-plane-prepare", "all")
                done.append("control-plane-prepare")
                make_etcd_data(etcd_data())
                self._expect_room_in_etcd()
            kubeadm.run(documents, "join", f"--skip-phases={','.join(done)}")
        finally:
            self._forget_token()
        self._wait_for_node()
        kubelet.record_running(self._runner)
        _records.KUBEADM.end()

    def _expect_room_in_etcd(self) -> None:
        """Let no other machine's member of etcd be without a vote.

        etcd takes one at a time. kubeadm would ask for minutes, twice a second. Each of its attempts is kept in the log
        of etcd 3.7, and a member that is started anew takes them for members that it tries to reach, all the time.

        :raises SlipwayError: when there is one.
        """
        own = (api_server.advertised(read_text(api_server.MANIFEST)) or ("",))[0]
        kubectl = Kubectl(self._runner, _ADMIN_KUBECONFIG, request_timeout=10)
        waiting = [
            member.get("name") or ", ".join(member.get("peerURLs") or ["?"])
            for member in etcd_learners.learners(kubectl)
            if own not in {urllib.parse.urlsplit(url).hostname for url in member.get("peerURLs") or []}
        ]
        if waiting:
            raise SlipwayError(
                f"etcd has a member that has no vote yet, {', '.join(waiting)}, and takes no other one until it has."
                " The `kubeadm join` of that control plane has not come to its end: run again with both, that one is"
                " finished first; or remove that node, when its machine is lost."
            )

    @staticmethod
    def _wait_for_node() -> None:
        """Wait for what kubeadm does not wait for: its kubelet may end as soon as it has its certificate.

        :raises SlipwayError: when the API server says that there is no such node after all.
        """
        name = certificates.node_name()
        if not _waiting.until(lambda: kubelet.ask_for_node(name) != {}, _REGISTRATION, pause=0.2):
            raise SlipwayError(
                f"`kubeadm join` came to its end, and {_REGISTRATION} seconds later the cluster has no node {name}:"
                " its kubelet has not registered it. See `journalctl --unit kubelet` on this host, then run again."
            )

    @staticmethod
    def _forget_token() -> None:
        """Remove the kubelet's first kubeconfig, which has the token, as kubeadm does unless it is killed."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(_BOOTSTRAP_KUBECONFIG)

    def _is_complete(self) -> bool:
        """Whether kubeadm had come to its end, though nobody saw it."""
        if not self._control_plane:
            return self._is_registered()
        if not api_server.is_ready():
            return False
        kubectl = Kubectl(self._runner, _ADMIN_KUBECONFIG, request_timeout=10)
        wanted = f"--selector={CONTROL_PLANE}"
        marked = kubectl.run("get", "nodes", wanted, "--output=name", check=False).stdout.split()
        return f"node/{self._name}" in marked

    @property
    def _name(self) -> str:
        return str((self._document.get("nodeRegistration") or {}).get("name", "")) or kubelet.untold_name()

    def _is_registered(self) -> bool:
        """Whether the node has its certificate and its object.

        :raises SlipwayError: when there is a certificate, and the API server cannot be asked about the node.
        """
        kubectl = Kubectl(self._runner, _KUBELET_KUBECONFIG, request_timeout=10)
        if not os.path.exists(_KUBELET_CERTIFICATE) or not kubectl.configured:
            return False
        check, timeout = self._context.check_mode, self._context.params["timeout"]
        wait = _waiting.Wait(timeout, pause=1)
        while True:
            result = kubectl.run("get", f"node/{self._name}", "--output=name", check=False)
            if result.rc == 0:
                return True
            # The certificate is one of a cluster that is no more.
            if "Unauthorized" in result.stderr or "x509:" in result.stderr:
                return False
            if "NotFound" in result.stderr and (check or wait.elapsed >= min(timeout, _REGISTRATION)):
                return False
            if check or wait.is_over:
                raise SlipwayError(
                    "An interrupted `kubeadm join` has given this host a certificate, and the API server cannot be"
                    f" asked whether it is a node: it is left as it is. kubectl says: {result.stderr.strip()}"
                )
            wait.sleep()


ARGUMENTS: t.Dict[str, t.Any] = {
    "config": {"type": "dict", "required": True},
    "token": {"type": "str", "no_log": True},
    "certificate_key": {"type": "str", "no_log": True},
    "timeout": {"type": "int", "default": 300},
}


def main() -> None:
    run_module(ARGUMENTS, lambda context: KubeadmJoin(context).run(), quiet=True)


if __name__ == "__main__":
    main()
