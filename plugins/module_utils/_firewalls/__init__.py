# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The firewalls that can be told what Kubernetes needs, each in a file of its own. Private to this collection."""

from __future__ import annotations

import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._command import Runner
from ansible_collections.slipway.kubernetes.plugins.module_utils._firewalls.firewall import Firewall, Opening
from ansible_collections.slipway.kubernetes.plugins.module_utils._firewalls.firewalld import Firewalld
from ansible_collections.slipway.kubernetes.plugins.module_utils._firewalls.nftables import Nftables
from ansible_collections.slipway.kubernetes.plugins.module_utils._firewalls.ufw import Ufw

__all__ = ["FIREWALLS", "Firewall", "Opening", "firewalls"]

#: In this order: the first two have rules of iptables or nftables of their own, which the last would find.
FIREWALLS: t.Tuple[t.Type[Firewall], ...] = (Ufw, Firewalld, Nftables)


def firewalls(runner: Runner, root: str = "") -> t.List[Firewall]:
    """All of them, on this machine."""
    return [kind(runner, root) for kind in FIREWALLS]
