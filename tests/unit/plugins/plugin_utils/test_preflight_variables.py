# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host's variables over the defaults of all roles, templated by Ansible itself."""

from __future__ import annotations

import typing as t

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.variables import (
    Catalogue,
    Option,
    Variables,
    collection_roles,
    trusted,
)

BASE = {
    "cluster_version": "1.37.1",
    "cluster_list": ["{{ cluster_version }}"],
    "cluster_url": "https://example.com/{{ __cluster_minor }}",
    "__cluster_minor": "{{ cluster_version.split('.')[1] }}",
}
CATALOGUE = Catalogue({name: Option("cluster", {}) for name in BASE}, ("cluster_",), BASE)


def variables(**raw: t.Any) -> Variables:
    return Variables(Templar(loader=DataLoader()), CATALOGUE, trusted(raw))


def test_defaults_follow_what_is_given() -> None:
    host = variables(cluster_version="1.36.4", mine=1)
    assert host["cluster_url"] == "https://example.com/36"
    assert host["cluster_list"] == ["1.36.4"]
    assert host.given == {"cluster_version"}
    assert set(host) == {*BASE, "mine"}
    assert len(host) == 5
    assert host.broken == {}


def test_a_value_that_is_the_default_was_not_given() -> None:
    assert variables(cluster_version="1.37.1", cluster_list=["{{ cluster_version }}"]).given == frozenset()


def test_what_cannot_be_templated_is_noted() -> None:
    host = variables(cluster_version="{{ nowhere }}")
    for _again in range(2):
        with pytest.raises(KeyError):
            host["cluster_version"]
    assert host.get("cluster_version") is None
    assert "'nowhere' is undefined" in host.broken["cluster_version"]
    with pytest.raises(KeyError):
        host["absent"]


def test_the_collections_own_defaults_can_be_templated() -> None:
    host = Variables(Templar(loader=DataLoader()), collection_roles(), {"inventory_hostname": "cp1"})
    assert host["cluster_version"] == host["kube_packages_version"]
    assert host.given == frozenset()
