# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where an installer of Kubernetes puts the files of a node.

Modules and shared modules take paths of kubeadm from here. Who else has them as text, and what is to do for another
installer, is said in CONTRIBUTING.md (An installer). Private to this collection.
"""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Layout:
    """The places of one installer.

    :param folder: what belongs to Kubernetes alone.
    :param pki: keys and certificates, as kubeadm names them.
    :param manifests: those of static pods.
    :param backups: what the installer has kept of earlier manifests, as a shell pattern of folders.
    :param admin: the administrator's kubeconfig.
    :param super_admin: the kubeconfig that works before there are roles.
    :param controller_manager: the kubeconfig of the controller manager.
    :param scheduler: the kubeconfig of the scheduler.
    :param kubelet: the kubelet's kubeconfig.
    :param bootstrap: the kubelet's kubeconfig until it has its certificate.
    :param kubelet_folder: the kubelet's own.
    :param etcd_data: the default of etcd's data folder.
    :param api_port: the default port of the API server.
    """

    folder: str
    pki: str
    manifests: str
    backups: str
    admin: str
    super_admin: str
    controller_manager: str
    scheduler: str
    kubelet: str
    bootstrap: str
    kubelet_folder: str
    etcd_data: str
    api_port: int

    def manifest(self, component: str) -> str:
        """The path of a static pod's manifest."""
        return f"{self.manifests}/{component}.yaml"

    def key(self, name: str) -> str:
        """The path of a private key, for example of ``ca`` or ``etcd/server``."""
        return f"{self.pki}/{name}.key"

    def certificate(self, name: str) -> str:
        """The path of a certificate."""
        return f"{self.pki}/{name}.crt"

    @property
    def kubelet_certificate(self) -> str:
        """The path of the kubelet's client certificate, with its key."""
        return f"{self.kubelet_folder}/pki/kubelet-client-current.pem"


#: kubeadm's constants: https://pkg.go.dev/k8s.io/kubernetes/cmd/kubeadm/app/constants
KUBEADM = Layout(
    folder="/etc/kubernetes",
    pki="/etc/kubernetes/pki",
    manifests="/etc/kubernetes/manifests",
    backups="/etc/kubernetes/tmp/kubeadm-backup-manifests*",
    admin="/etc/kubernetes/admin.conf",
    super_admin="/etc/kubernetes/super-admin.conf",
    controller_manager="/etc/kubernetes/controller-manager.conf",
    scheduler="/etc/kubernetes/scheduler.conf",
    kubelet="/etc/kubernetes/kubelet.conf",
    bootstrap="/etc/kubernetes/bootstrap-kubelet.conf",
    kubelet_folder="/var/lib/kubelet",
    etcd_data="/var/lib/etcd",
    api_port=6443,
)
