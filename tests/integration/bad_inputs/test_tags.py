# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""site.yml with ``--tags`` where there is no cluster yet, and where there is one, with modules that only note calls."""

from __future__ import annotations

import json
import typing as t

import pytest
from test_facts import seen
from test_ordinary_user import GIVEN
from test_remove_node import Site

NAMES = ("cp1", "cp2", "cp3", "w1", "w2")
BARE = {"joined": False, "control_plane": False, "completed": False, "api_ready": False, "endpoint": ""}
NO_KUBECTL = {"failed": True, "msg": "kubectl is not installed on this host."}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site(tmp_path_factory.mktemp("tags"))


@pytest.fixture
def site(made: Site) -> t.Iterator[Site]:
    with made.for_one_test() as kept:
        kept.answers["kube_nodes_info"] = NO_KUBECTL
        yield kept


def played(site: Site, *arguments: str, **kubernetes: t.Any) -> str:
    for number, name in enumerate(NAMES, start=1):
        site.answers[f"node_facts:{name}"] = seen(number, name, **kubernetes)
    return site.play("site", "--tags", "helm", "-e", json.dumps(GIVEN), *arguments)


def test_there_is_no_cluster_yet(site: Site) -> None:
    output = played(site, **BARE)
    assert {host for host, _module, _name in site.calls("release_archive")} == set(NAMES[:3])
    assert site.calls("kube_nodes_info", "kubeadm_init", "kubeadm_join") == []
    assert "API server:" not in output


def test_the_nodes_of_a_cluster_are_listed(site: Site) -> None:
    site.answers["kube_nodes_info"] = {"changed": False, "table": ["NAME  ROLES"], "server": "192.0.2.9:8443"}
    output = played(site)
    assert site.calls("kube_nodes_info") == [("cp1", "kube_nodes_info", "")]
    assert "NAME  ROLES" in output and "API server: https://192.0.2.9:8443" in output
