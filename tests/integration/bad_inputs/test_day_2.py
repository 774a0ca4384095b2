# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbooks of day 2 with modules that only note that they were called: machines that are down or left out."""

from __future__ import annotations

import json
import typing as t

import pytest
from test_remove_node import Site


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site(tmp_path_factory.mktemp("day_2"))


@pytest.fixture
def site(made: Site) -> t.Iterator[Site]:
    with made.for_one_test() as kept:
        yield kept


def hosts(site: Site, module: str) -> list[str]:
    return sorted(host for host, _module, _name in site.calls(module))


def test_reset_with_a_control_plane_that_is_down(site: Site) -> None:
    site.dead = {"cp2"}
    output = site.play("reset", "-e", "reset_confirm=true", rc=4)
    assert hosts(site, "kubeadm_reset") == ["cp1", "cp3", "w1", "w2"]
    assert "cp2" in [line.split()[0] for line in output.splitlines() if "unreachable=1" in line]
    # It may still trust the kubeconfig on the controller.
    assert hosts(site, "config_files") == []
    site.dead = set()
    site.play("reset", "-e", "reset_confirm=true")
    assert hosts(site, "kubeadm_reset") == ["cp1", "cp2", "cp3", "w1", "w2"]


def test_reset_beside_another_run(site: Site) -> None:
    site.answers["run_lock:cp3"] = {"failed": True, "msg": "another run"}
    site.play("reset", "-e", "reset_confirm=true", rc=2)
    assert hosts(site, "kubeadm_reset") == []


@pytest.mark.parametrize("playbook", ["etcd_backup", "renew_certificates", "verify"])
def test_nobody_to_ask(site: Site, playbook: str) -> None:
    site.dead = {"cp2"}
    output = site.play(playbook, "--limit", "cp2", rc=2)
    assert "No control plane that --limit leaves in (cp2) answers." in " ".join(output.split())


def test_remove_node_with_a_limit(site: Site) -> None:
    output = site.remove("w1", "--limit", "cp1,cp2,w2", rc=2)
    assert "--limit leaves out cp3, w1. Run without --limit" in " ".join(output.split())
    assert (site.folder / "log").read_text() == ""


def test_verify_asks_all_control_planes_about_their_backups(site: Site) -> None:
    site.answers["cluster_verify"] = {"changed": False, "checks": []}
    site.answers["etcd_snapshot_info:cp3"] = {"failed": True, "msg": "The timer's last backup of etcd failed"}
    site.play("verify", "-e", "verify_etcd_backup_max_age=26", rc=2)
    log = [json.loads(line) for line in (site.folder / "log").read_text().splitlines()]
    asked = {host: arguments for host, module, arguments in log if module == "etcd_snapshot_info"}
    # Where the cluster is verified from, a backup that was taken by hand counts, too.
    assert {host: bool(arguments.get("scheduled_only")) for host, arguments in asked.items()} == {
        "cp1": False,
        "cp2": True,
        "cp3": True,
    }
    assert {arguments["cluster_name"] for arguments in asked.values()} == {"kubernetes"}
    site.dead = {"cp3"}
    site.play("verify", "-e", "verify_etcd_backup_max_age=26")
    assert hosts(site, "etcd_snapshot_info") == ["cp1", "cp2"]
