# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.slipway.kubernetes.plugins.filter.pod_networks import FilterModule
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.checks import pod_networks, sources
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import Host
from ansible_collections.slipway.kubernetes.tests.unit.plugins.module_utils.test_calico import DEFAULTS


def host(control_plane: bool = True, broken: t.Optional[t.Mapping[str, str]] = None, **given: t.Any) -> Host:
    variables = {"cluster_cni": "calico", **DEFAULTS, **given}
    return Host("cp1", variables=variables, control_plane=control_plane, broken=broken or {})


def said(*hosts: Host) -> t.List[str]:
    return [f"{problem.host} {problem.subject}" for problem in pod_networks.check_pod_network(hosts)]


def test_what_a_pod_network_says() -> None:
    assert said(host()) == []
    assert said(host(cni_calico_block_size=40)) == ["cp1 cni_calico_block_size"]
    # Workers install nothing, and what is of a wrong type or has no value is reported elsewhere.
    assert said(host(control_plane=False, cni_calico_block_size=40)) == []
    assert said(host(cni_calico_block_size="x")) == []
    assert said(host(broken={"cni_calico_version": "undefined"}, cni_calico_version="")) == []
    assert said(host(cluster_cni="none", cni_calico_block_size=40)) == []


@pytest.mark.parametrize(("url", "count"), [("https://a b/c", 1), ("https://example.com/calico.yaml", 0)])
def test_addresses_of_a_manifest(url: str, count: int) -> None:
    found = [problem.subject for problem in sources.check_addresses([host(cni_calico_manifest_url=url)])]
    assert found == count * ["cni_calico_manifest_url"]


def test_what_is_applied_is_computed() -> None:
    of = FilterModule().filters()["pod_network_manifest"]
    assert {item["kind"] for item in of("calico", DEFAULTS)["objects"]} == {"IPPool", "FelixConfiguration"}
    assert of("calico", DEFAULTS)["patches"] and of("flannel", {}) == of("none", {}) == {"objects": [], "patches": []}
