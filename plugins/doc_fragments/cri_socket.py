# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """The option of modules that ask the container runtime."""

    DOCUMENTATION = r"""
options:
  cri_socket:
    description: Socket of the container runtime, whose name is part of its path.
    type: str
    default: unix:///run/containerd/containerd.sock
"""
