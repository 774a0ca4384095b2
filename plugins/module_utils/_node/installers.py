# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which other installer has made a Kubernetes node of this machine, by the files that it leaves.

Paths are those that the installers' own documentation and sources name. Private to this collection.
"""

from __future__ import annotations

import os
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils import _releases
from ansible_collections.slipway.kubernetes.plugins.module_utils._layout import KUBEADM, RKE2

#: Programs that no package has brought.
BY_HAND = "by hand"
#: Where packages bring the kubelet.
PACKAGED = "/usr/bin/kubelet"
_PACKAGED = ("/usr/bin/kubeadm", PACKAGED)
#: Installers whose nodes are nodes of kubeadm, too.
WITH_KUBEADM = ("Kubespray", BY_HAND)
#: Name of the installer and what only it leaves. All paths of one tuple have to be there.
_TRACES: t.Tuple[t.Tuple[str, t.Tuple[t.Tuple[str, ...], ...]], ...] = (
    (
        RKE2.name,
        (
            (f"{RKE2.data}/server",),
            (f"{RKE2.data}/agent",),
            (RKE2.admin,),
            ("/usr/local/lib/systemd/system/rke2-server.service",),
            ("/usr/local/lib/systemd/system/rke2-agent.service",),
            ("/usr/lib/systemd/system/rke2-server.service",),
            ("/usr/lib/systemd/system/rke2-agent.service",),
        ),
    ),
    (
        "k3s",
        (
            ("/var/lib/rancher/k3s/server",),
            ("/var/lib/rancher/k3s/agent",),
            ("/etc/rancher/k3s/k3s.yaml",),
            ("/etc/systemd/system/k3s.service",),
            ("/etc/systemd/system/k3s-agent.service",),
        ),
    ),
    ("RKE", ((f"{KUBEADM.folder}/.tmp", "/opt/rke"), ("/opt/rke/etcd-snapshots",))),
    (
        "k0s",
        (
            ("/var/lib/k0s/pki",),
            ("/var/lib/k0s/kubelet",),
            ("/etc/systemd/system/k0scontroller.service",),
            ("/etc/systemd/system/k0sworker.service",),
        ),
    ),
    ("MicroK8s", (("/var/snap/microk8s/current",), ("/snap/bin/microk8s",))),
    ("Canonical Kubernetes (k8s snap)", (("/var/snap/k8s/current",),)),
    (
        "Kubespray",
        (
            (f"{KUBEADM.folder}/kubeadm-config.yaml", f"{KUBEADM.folder}/ssl"),
            (f"{KUBEADM.folder}/kubeadm-client.conf",),
            (f"{KUBEADM.folder}/kubelet.env", "/usr/local/bin/kubelet"),
            (f"{KUBEADM.folder}/manifests/nginx-proxy.yml",),
            (f"{KUBEADM.folder}/manifests/haproxy.yml", "/etc/haproxy/haproxy.cfg"),
            ("/etc/etcd.env", "/etc/ssl/etcd"),
            ("/etc/systemd/system/etcd.service", "/etc/ssl/etcd/ssl"),
        ),
    ),
    ("OpenShift", (("/etc/machine-config-daemon",),)),
    # Packages bring them into /usr/bin. Last, as some of the others put them there, too.
    (BY_HAND, (("/usr/local/bin/kubelet",), ("/usr/local/bin/kubeadm",), ("/opt/bin/kubelet",), ("/opt/bin/kubeadm",))),
)


def found(root: str = "") -> t.Dict[str, str]:
    """``name`` of the installer that has made this machine a node and the ``trace``; empty when there are none.

    What was installed by hand may be ``beside`` the kubelet of a package.

    :param root: a folder that stands for ``/``.
    """
    for name, traces in _TRACES:
        for paths in traces:
            if name == BY_HAND and any(_releases.is_ours(root + path) for path in paths):
                continue
            if _all_there(root, paths):
                packaged = name == BY_HAND and _all_there(root, (PACKAGED,))
                return {"name": name, "trace": paths[0], **({"beside": PACKAGED} if packaged else {})}
    return {}


def packaged(root: str = "") -> t.List[str]:
    """The programs that packages have brought, by their paths."""
    return [path for path in _PACKAGED if _all_there(root, (path,))]


def _all_there(root: str, paths: t.Iterable[str]) -> bool:
    return all(os.path.lexists(root + path) for path in paths)
