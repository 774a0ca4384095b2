# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.slipway.kubernetes.plugins.filter.upgrade import FilterModule, upgrade_batches

HOSTS = ["w1", "w2", "w3", "w4", "w5"]
GROUPS = {"odd": ["w5", "w3", "w1", "cp1"], "last": ["w4"], "big": ["w3", "w4", "w5", "w2"], "third": ["w3"]}


@pytest.mark.parametrize(
    ("serial", "pools", "hosts", "sizes"),
    [
        (1, [], HOSTS, [1, 1, 1, 1, 1]),
        ("2", [], HOSTS, [2, 2, 1]),
        (9, [], HOSTS, [5]),
        ("40%", [], HOSTS, [2, 2, 1]),
        ("1%", [], HOSTS, [1, 1, 1, 1, 1]),
        (2, ["odd", "last"], ["w1", "w3", "w5", "w4", "w2"], [2, 1, 1, 1]),
        ("50%", ["big", "third"], ["w2", "w3", "w4", "w5", "w1"], [2, 2, 1]),
    ],
)
def test_batches(serial: t.Any, pools: t.Sequence[str], hosts: t.List[str], sizes: t.List[int]) -> None:
    assert FilterModule().filters()["upgrade_batches"](HOSTS, GROUPS, serial, pools) == {"hosts": hosts, "sizes": sizes}


@pytest.mark.parametrize(
    ("serial", "pools", "present", "hosts", "sizes"),
    [
        ("50%", ["big"], ["w2", "w3", "w4", "w5"], ["w2", "w3", "w4", "w5"], [2, 2]),
        # Half of the pool at a time, whoever of it takes part; the sizes of pools that do not are not there.
        ("50%", ["odd", "big"], ["w2", "w4"], ["w2", "w4"], [1, 1]),
        (3, ["odd"], ["w1", "w2"], ["w1", "w2"], [1, 1]),
        (1, [], [], [], []),
    ],
)
def test_batches_of_some(
    serial: t.Any, pools: t.Sequence[str], present: t.List[str], hosts: t.List[str], sizes: t.List[int]
) -> None:
    assert upgrade_batches(HOSTS, GROUPS, serial, pools, present) == {"hosts": hosts, "sizes": sizes}


def test_no_hosts() -> None:
    assert upgrade_batches([], {}) == {"hosts": [], "sizes": []}


@pytest.mark.parametrize("serial", [0, -1, "0%", "many", "", None, "1.5"])
def test_what_is_no_size(serial: t.Any) -> None:
    with pytest.raises(AnsibleFilterError, match="upgrade_serial"):
        upgrade_batches(HOSTS, GROUPS, serial)
    with pytest.raises(AnsibleFilterError, match="upgrade_serial"):
        upgrade_batches([], GROUPS, serial)


def test_whose_variables_are_wrong() -> None:
    with pytest.raises(AnsibleFilterError, match="patch_serial: half is neither a number"):
        upgrade_batches(HOSTS, GROUPS, "half", role="patch")
    with pytest.raises(AnsibleFilterError, match="patch_pools: the inventory has no group nowhere"):
        upgrade_batches(HOSTS, GROUPS, 1, ["nowhere"], role="patch")


def test_a_pool_that_is_no_group() -> None:
    with pytest.raises(AnsibleFilterError, match="the inventory has no group big2"):
        upgrade_batches(HOSTS, GROUPS, 1, ["big", "big2"])
