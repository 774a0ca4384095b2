# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables of what differs between distributions, by the names of families and of single distributions.

Private to this collection; runs on the controller.
"""

from __future__ import annotations

import typing as t


def platform_name(names: t.Container[str], system: t.Mapping[str, t.Any]) -> str:
    """What a machine's system is called among ``names``: its distribution's id, or else the family of that.

    :param system: ``os`` of what ``node_facts`` found.
    """
    return str(system.get("id") if system.get("id") in names else system.get("family"))
