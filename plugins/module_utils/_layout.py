# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where installers of Kubernetes put the files of a node.

Paths are taken from here, by a row. What is kubeadm's alone takes ``KUBEADM``. What is about any node takes a row as a
parameter, or looks at all, as a machine may be a node of either. CONTRIBUTING.md (An installer) says who does which.
Private to this collection.
"""

from __future__ import annotations

import dataclasses
import os
import typing as t


@dataclasses.dataclass(frozen=True)
class Layout:
    """The places of one installer. A member is empty where the installer has no such thing.

    :param name: what people call it.
    :param folder: its own folder of configuration.
    :param data: where everything lies that a node keeps.
    :param pki: keys and certificates.
    :param authority: the CA of the API server's certificate, on each node.
    :param api_certificate: the API server's certificate.
    :param manifests: those of static pods.
    :param pods: the static pods that the installer makes.
    :param admin: the administrator's kubeconfig.
    :param controller_manager: the kubeconfig of the controller manager.
    :param scheduler: the kubeconfig of the scheduler.
    :param kubelet: the kubelet's kubeconfig.
    :param kubelet_certificate: the kubelet's client certificate.
    :param kubelet_folder: the kubelet's own.
    :param etcd_data: the default of etcd's data folder.
    :param api_port: the default port of the API server.
    :param join_port: the port by which machines join.
    :param settings: the file in which people configure the installer on a node; beside it is a folder, ``FILE.d``.
    :param api_client: certificate and key by which an API server is asked that answers nobody without.
    :param backups: what the installer has kept of earlier manifests, as a shell pattern of folders.
    :param local: the kubeconfig that leads to this machine's own API server.
    :param super_admin: the kubeconfig that works before there are roles.
    :param bootstrap: the kubelet's kubeconfig until it has its certificate.
    :param programs: paths of those that are not where the system looks for programs.
    """

    name: str
    folder: str
    data: str
    pki: str
    authority: str
    api_certificate: str
    manifests: str
    pods: t.Tuple[str, ...]
    admin: str
    controller_manager: str
    scheduler: str
    kubelet: str
    kubelet_certificate: str
    kubelet_folder: str
    etcd_data: str
    api_port: int
    join_port: int
    settings: str = ""
    api_client: t.Tuple[str, ...] = ()
    backups: str = ""
    local: str = ""
    super_admin: str = ""
    bootstrap: str = ""
    programs: t.Tuple[str, ...] = ()

    def manifest(self, component: str) -> str:
        """The path of a static pod's manifest."""
        return f"{self.manifests}/{component}.yaml"

    def key(self, name: str) -> str:
        """The path of a private key below ``pki``, for example of ``ca`` or ``etcd/server``."""
        return f"{self.pki}/{name}.key"

    def certificate(self, name: str) -> str:
        """The path of a certificate below ``pki``."""
        return f"{self.pki}/{name}.crt"

    @property
    def folders(self) -> t.Tuple[str, ...]:
        """Folders that a node is written to, each of which may be a file system of its own."""
        return self.folder, self.data, self.etcd_data, self.kubelet_folder

    @property
    def joined(self) -> bool:
        """Whether this machine is a node of this installer."""
        return os.path.exists(self.kubelet)

    @property
    def control_plane(self) -> bool:
        """Whether this machine has an API server of this installer."""
        return os.path.exists(self.manifest("kube-apiserver"))


#: kubeadm's constants: https://pkg.go.dev/k8s.io/kubernetes/cmd/kubeadm/app/constants
KUBEADM = Layout(
    name="kubeadm",
    folder="/etc/kubernetes",
    data="/var/lib",
    pki="/etc/kubernetes/pki",
    authority="/etc/kubernetes/pki/ca.crt",
    api_certificate="/etc/kubernetes/pki/apiserver.crt",
    manifests="/etc/kubernetes/manifests",
    pods=("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"),
    backups="/etc/kubernetes/tmp/kubeadm-backup-manifests*",
    admin="/etc/kubernetes/admin.conf",
    super_admin="/etc/kubernetes/super-admin.conf",
    controller_manager="/etc/kubernetes/controller-manager.conf",
    scheduler="/etc/kubernetes/scheduler.conf",
    kubelet="/etc/kubernetes/kubelet.conf",
    bootstrap="/etc/kubernetes/bootstrap-kubelet.conf",
    kubelet_certificate="/var/lib/kubelet/pki/kubelet-client-current.pem",
    kubelet_folder="/var/lib/kubelet",
    etcd_data="/var/lib/etcd",
    api_port=6443,
    join_port=6443,
)
_RKE2 = "/var/lib/rancher/rke2"
#: Files that the release leaves on servers and agents: https://docs.rke2.io. Its API server refuses anonymous requests,
#: and its own probes show it this certificate, too.
RKE2 = Layout(
    name="RKE2",
    folder="/etc/rancher/rke2",
    data=_RKE2,
    settings="/etc/rancher/rke2/config.yaml",
    pki=f"{_RKE2}/server/tls",
    authority=f"{_RKE2}/agent/server-ca.crt",
    api_certificate=f"{_RKE2}/server/tls/serving-kube-apiserver.crt",
    api_client=tuple(f"{_RKE2}/server/tls/client-kube-apiserver.{end}" for end in ("crt", "key")),
    manifests=f"{_RKE2}/agent/pod-manifests",
    pods=(
        "cloud-controller-manager",
        "etcd",
        "kube-apiserver",
        "kube-controller-manager",
        "kube-proxy",
        "kube-scheduler",
    ),
    admin="/etc/rancher/rke2/rke2.yaml",
    local="/etc/rancher/rke2/rke2.yaml",
    controller_manager=f"{_RKE2}/server/cred/controller.kubeconfig",
    scheduler=f"{_RKE2}/server/cred/scheduler.kubeconfig",
    kubelet=f"{_RKE2}/agent/kubelet.kubeconfig",
    kubelet_certificate=f"{_RKE2}/agent/client-kubelet.crt",
    kubelet_folder="/var/lib/kubelet",
    etcd_data=f"{_RKE2}/server/db/etcd",
    programs=tuple(f"{_RKE2}/bin/{name}" for name in ("crictl", "kubectl", "kubelet")),
    api_port=6443,
    join_port=9345,
)
#: All rows. A machine that is a node of two is one of the first.
LAYOUTS = (KUBEADM, RKE2)


def of_this_machine(layouts: t.Sequence[Layout] = LAYOUTS) -> Layout:
    """The row of the installer that has made a node of this machine; the first one where none has."""
    return next((layout for layout in layouts if layout.joined or layout.control_plane), layouts[0])


def program(name: str, layouts: t.Sequence[Layout] = LAYOUTS) -> str:
    """The path of a program that an installer has put where only it looks; empty when there is none."""
    paths = (path for layout in layouts for path in layout.programs if os.path.basename(path) == name)
    return next(filter(os.path.exists, paths), "")
