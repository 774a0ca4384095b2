# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """How a module that talks to the API server reaches it."""

    DOCUMENTATION = r"""
options:
  kubeconfig:
    description:
      - Path of the kubeconfig file on the target host that C(kubectl) is run with.
      - On a control plane made by kubeadm this is its administrator's file.
    type: path
    default: /etc/kubernetes/admin.conf
  context:
    description:
      - Name of the context in the kubeconfig file; the file's current context when absent.
    type: str
requirements:
  - kubectl on the target host
"""
