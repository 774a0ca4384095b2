# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.slipway.kubernetes.plugins.filter.platform import FilterModule

platform_entry = FilterModule().filters()["platform_entry"]
TABLE = {"debian": 1, "redhat": 2, "fedora": 3}


@pytest.mark.parametrize(
    ("system", "entry"),
    [
        ({"id": "debian", "family": "debian"}, 1),
        ({"id": "ubuntu", "family": "debian"}, 1),
        ({"id": "rocky", "family": "redhat"}, 2),
        ({"id": "fedora", "family": "redhat"}, 3),
        # Ansible validates variables of roles before anything was looked at.
        ({}, 1),
    ],
)
def test_by_its_own_name_or_its_family_s(system: t.Dict[str, str], entry: int) -> None:
    assert platform_entry(TABLE, system) == entry


def test_one_that_has_none() -> None:
    with pytest.raises(AnsibleFilterError, match="there is none for suse, but for debian, redhat, fedora"):
        platform_entry(TABLE, {"id": "opensuse-leap", "family": "suse"})
