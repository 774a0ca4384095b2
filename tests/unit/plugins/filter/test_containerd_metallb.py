# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.slipway.kubernetes.plugins.filter import container_runtime, metallb


def test_errors_name_the_filter():
    filters = container_runtime.FilterModule().filters()
    with pytest.raises(AnsibleFilterError, match="registry_hosts: the mirror"):
        filters["registry_hosts"]({"quay.io": [{"url": "x"}]})
    assert "version = 3" in filters["containerd_config"]("2.4.2")


def test_metallb_pools():
    pools = [{"name": "a", "addresses": ["192.0.2.0/28"], "interfaces": ["eth1"], "auto_assign": False}]
    pool, advertisement = metallb.FilterModule().filters()["metallb_pools"](pools)
    assert (pool["kind"], pool["spec"]) == ("IPAddressPool", {"addresses": ["192.0.2.0/28"], "autoAssign": False})
    assert advertisement["kind"] == "L2Advertisement"
    assert advertisement["spec"] == {"ipAddressPools": ["a"], "interfaces": ["eth1"]}
    assert {item["metadata"]["namespace"] for item in (pool, advertisement)} == {"metallb-system"}


def test_metallb_pools_announce_on_all_interfaces_by_default():
    _pool, advertisement = metallb.metallb_pools([{"name": "a", "addresses": ["192.0.2.0/28"]}])
    assert advertisement["spec"] == {"ipAddressPools": ["a"]}
