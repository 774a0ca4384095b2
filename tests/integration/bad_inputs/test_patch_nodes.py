# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""patch_nodes.yml with modules that only note that they were called: what is refused, and that nothing is drained."""

from __future__ import annotations

import json
import typing as t

import pytest
from test_bad_inputs import machine, merged
from test_remove_node import Site

LIBC = {"name": "libc6", "before": "1", "after": "2", "security": True}
NODES = ("cp1", "cp2", "cp3", "w1", "w2")


def node(number: int, name: str, **state: t.Any) -> dict[str, t.Any]:
    is_control_plane = name.startswith("cp")
    kubernetes = {
        "installer": "kubeadm",
        "joined": True,
        "completed": True,
        "control_plane": is_control_plane,
        "api_ready": is_control_plane,
        "kubeadm_version": "1.37.1",
        "kubelet_version": "1.37.1",
        "upgrading": None,
        "static_pods": {"etcd": "3.6.8"} if is_control_plane else {},
        **state,
    }
    return merged(machine(number), {"kubernetes": kubernetes, "boot_id": "b", "package_sources": []})


def plan(*updates: t.Any) -> dict[str, t.Any]:
    return {
        "changed": False,
        "updates": list(updates),
        "reboot_required": [],
        "repaired": False,
        "held": ["kubelet"],
        "excluded": [],
    }


def facts(**changed: t.Any) -> dict[str, t.Any]:
    """What the looks at all machines answer; other states of a node by its name."""
    return {
        f"node_facts:{name}": {
            "changed": False,
            "ansible_facts": {"slipway_node": node(11 + place, name, **changed.get(name, {}))},
        }
        for place, name in enumerate(NODES)
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site(tmp_path_factory.mktemp("patch_nodes"))


@pytest.fixture
def site(made: Site) -> t.Iterator[Site]:
    with made.for_one_test() as kept:
        kept.answers.update(
            {
                **facts(),
                "package_updates": plan(LIBC),
                "package_updates:w2": plan(),
                "kubeadm_upgrade_info": {
                    "changed": False,
                    "cluster": {"nodes": [{"name": name, "problem": ""} for name in NODES]},
                },
                "etcd_member_info": {"changed": False, "members": [{"name": "cp1", "healthy": True}]},
                "kube_wait": {"changed": False, "missing": [], "crowded": []},
            }
        )
        yield kept


def drained(site: Site) -> list[str]:
    """The nodes that were drained, in their order."""
    log = [json.loads(line) for line in (site.folder / "log").read_text().splitlines()]
    return [
        arguments["name"]
        for _host, module, arguments in log
        if module == "kube_drain" and arguments["state"] == "drained"
    ]


def said(output: str) -> str:
    return " ".join(output.split())


def test_all_that_have_updates(site: Site) -> None:
    output = site.play("patch_nodes")
    assert drained(site) == ["cp1", "cp2", "cp3", "w1"]
    assert "w2 nothing to do (kept: kubelet)" in said(output)
    # Each is asked before anything is done, and those that have updates once more when it is their turn.
    assert sorted(host for host, _module, _name in site.calls("package_updates")) == sorted(
        [*NODES, "cp1", "cp2", "cp3", "w1"]
    )
    assert not site.calls("package_set", "kubeadm_reset")


def test_a_worker_that_is_down(site: Site) -> None:
    site.dead = {"w1"}
    site.answers["package_updates:w2"] = plan(LIBC)
    output = said(site.play("patch_nodes", rc=2))
    assert drained(site) == ["cp1", "cp2", "cp3", "w2"]
    assert "w1 could not be updated or did not answer, and the others have been." in output
    assert "[WARNING]: w1: connection: the host is unreachable" in output


@pytest.mark.parametrize(
    ("dead", "answers", "arguments", "message"),
    [
        ({"cp2"}, {}, (), "cp2: connection: the host is unreachable"),
        (set(), {}, ("-e", "patch_serial=many"), "patch_serial: many is neither a number of nodes nor a percentage"),
        (set(), {}, ("-e", "patch_reboot=maybe"), "all hosts: patch_reboot: maybe is none of required, never."),
        (set(), {}, ("--limit", "w1"), "control planes: are left out of this run by --limit"),
        (
            set(),
            {"package_updates:w1": {"failed": True, "msg": "The package index could not be fetched"}},
            (),
            "The package index could not be fetched",
        ),
        (
            set(),
            {"kubeadm_upgrade_info": {"cluster": {"nodes": [{"name": "w2", "problem": "NotReady"}]}}},
            (),
            "w2: node: is NotReady",
        ),
        (set(), facts(w1={"installer": "RKE2"}), (), "w1: kubernetes: is a node of a cluster of RKE2."),
    ],
)
def test_what_is_refused(
    dead: set[str], answers: dict[str, t.Any], arguments: tuple[str, ...], message: str, site: Site
) -> None:
    site.dead = dead
    site.answers.update(answers)
    output = said(site.play("patch_nodes", *arguments, rc=2))
    assert message in output, output
    assert drained(site) == []
    assert len(site.calls("package_updates")) <= len(NODES)


def test_one_worker_alone(site: Site) -> None:
    site.play("patch_nodes", "--limit", "kube_control_plane,w1", "-e", "patch_control_planes=false")
    assert drained(site) == ["w1"]
