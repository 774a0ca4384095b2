# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Options of modules that talk to etcd."""

    DOCUMENTATION = r"""
options:
  manifest:
    description: The static pod of etcd, as kubeadm writes it. Image, addresses and certificates are taken from it.
    type: path
    default: /etc/kubernetes/manifests/etcd.yaml
requirements:
  - the container runtime with its own client, which runs C(etcdctl) and C(etcdutl) out of etcd's image
  - a control plane with an etcd of kubeadm
"""
