# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kubeadm's ClusterConfiguration as the cluster keeps it, which joins and upgrades go by.

Private to this collection.
"""

from __future__ import annotations

import json
import platform
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._command import Runner
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.kubectl import Kubectl
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm import kubeadm
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm.kubeadm import Kubeadm
from ansible_collections.slipway.kubernetes.plugins.module_utils._pki import certificates

_PATH = "/api/v1/namespaces/kube-system/configmaps/kubeadm-config"


def read(kubectl: Kubectl) -> t.Dict[str, t.Any]:
    """What the cluster has; kubectl reads its YAML.

    :raises CommandError: when the API server does not answer or there is none.
    """
    text = json.loads(kubectl.run("get", f"--raw={_PATH}").stdout)["data"]["ClusterConfiguration"]
    argv = ["patch", "--local", "--type=merge", "--patch={}", "--output=json", "--filename=-"]
    return json.loads(kubectl.run(*argv, stdin=text).stdout)


def write(runner: Runner, cluster: t.Mapping[str, t.Any], place: t.Tuple[str, int]) -> None:
    """Let kubeadm write it to the cluster.

    :param place: address and port that this machine's API server advertises.
    :raises CommandError: when kubeadm fails.
    """
    Kubeadm(runner).run([init_configuration(place), cluster], "init", "phase", "upload-config", "kubeadm")


def init_configuration(place: t.Tuple[str, int]) -> t.Dict[str, t.Any]:
    """The document that says which machine this is, so that kubeadm does not have to guess."""
    return {
        "apiVersion": kubeadm.API_VERSION,
        "kind": "InitConfiguration",
        "nodeRegistration": {"name": node_name()},
        "localAPIEndpoint": {"advertiseAddress": place[0], "bindPort": place[1]},
    }


def node_name() -> str:
    """This machine's name in the cluster, as its kubelet has it."""
    return certificates.node_name() or platform.node().lower()
