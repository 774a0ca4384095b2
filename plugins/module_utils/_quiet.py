# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules whose arguments may have secrets in them, such as manifests, values of charts and configuration files.

Private to this collection.
"""

from __future__ import annotations

import typing as t

from ansible.module_utils.basic import AnsibleModule


class QuietModule(AnsibleModule):
    """A module whose arguments do not get into the machine's log.

    Ansible writes them there as Python's ``repr()`` has them and masks the texts of ``no_log`` options in that. A text
    of several lines, which has ``\\n`` there, inside of a list is not masked.
    """

    def log(self, msg: str, log_args: t.Optional[t.Mapping[str, t.Any]] = None) -> None:
        """Write to the machine's log, but for arguments: of those only the names."""
        super().log(f"Invoked with {', '.join(sorted(log_args))} (values are not logged)" if log_args else msg)
