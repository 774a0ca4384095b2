# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each role as the only role of a play, on a machine of which nothing is known, with modules that only note calls."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.slipway.kubernetes.plugins.modules import node_facts
from test_bad_inputs import machine, merged
from test_remove_node import PROJECT, Site

#: What nobody else could give them.
NEEDED: dict[str, dict[str, t.Any]] = {
    "node_join": {"node_join_info": {"endpoint": "192.0.2.9:6443"}},
    "preflight": {"cluster_control_plane_hosts": ["for-preflight"]},
}
#: What their tasks make of what a module answers.
ANSWERS: dict[str, t.Any] = {
    "kubeadm_certs_info": {"changed": False, "certificates": [], "table": []},
    "cluster_verify": {"changed": False, "checks": [], "table": ["the table"]},
    "etcd_snapshot": {
        "changed": True,
        "archive": "/nonexistent",
        "sha256": "",
        "snapshot": dict.fromkeys(("revision", "total_keys", "size", "hash"), 1),
    },
    "kubeadm_upgrade": {"changed": False, "kubelet_pending": False, "action": "none"},
    "package_updates": {"changed": False, "repaired": False, "updates": [], "reboot_required": []},
    "package_set": {"changed": False, "versions": {"containerd": "1.7.2", "containerd.io": "2.1.1"}},
    "config_files": {"changed": False, "paths": [], "changed_paths": []},
    "kubeconfig_copy": {"changed": False, "content": ""},
    "kubeadm_reconfigure": {"changed": False, "action": "none", "components": []},
    "node_pod_network": {"changed": False, "pods": [], "removed": {}},
    "node_runtime": {"changed": False, "done": {"kubelet": ["started"]}, "stopped": False, "lacking": []},
    "kubeadm_images": {"changed": False, "sandbox_image": "registry.k8s.io/pause:3.10"},
}
#: What is only said about it, and refused, before anything is done.
REFUSED = {"etcd_restore": "Say which archive is to be restored"}
#: A play whose hosts have all failed is the last one.
ROLES = sorted(
    (path.parents[1].name for path in (PROJECT / "roles").glob("*/tasks/main.yml")),
    key=lambda name: (name in REFUSED, name),
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site(tmp_path_factory.mktemp("roles"))


@pytest.mark.parametrize("injected", ["True", "False"])
def test_roles_alone(site: Site, injected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANSIBLE_INJECT_FACT_VARS", injected)
    more = {
        "os": {"id": "ubuntu", "version_id": "24.04", "architecture": "arm64", "codename": "noble"},
        "kubernetes": {"endpoint": "", "node_name": ""},
        "runtime": {"containerd": {"installed": False, "version": "", "active": False}},
    }
    # What a module documents is always there.
    found = yaml.safe_load(node_facts.RETURN)["ansible_facts"]["contains"]["slipway_node"]["contains"]
    documented = {name: part["sample"] for name, part in found.items()}
    node = merged(merged(documented, machine(1)), more)
    site.answers = {
        **site.answers,
        **ANSWERS,
        "node_facts": {"changed": False, "ansible_facts": {"slipway_node": node}},
        # The samples of the documentation need not be a machine that is all right.
        "node_facts:for-preflight": {"changed": False, "ansible_facts": {"slipway_node": machine(1)}},
    }
    # A host for each role: what is seen for one role would be known to the next.
    site.control_planes = [f"for-{role.replace('_', '-')}" for role in ROLES]
    plays = [
        {
            "name": role,
            "hosts": host,
            "gather_facts": False,
            "vars": {
                "etcd_backup_fetch": False,
                "kubeconfig_fetch": False,
                "container_runtime_source": "docker",
                # It is the only one that would be changed by a module of Ansible itself.
                "node_prep_hostname": "",
                "cluster_endpoint": "",
                **NEEDED.get(role, {}),
            },
            "roles": [f"slipway.kubernetes.{role}"],
        }
        for role, host in zip(ROLES, site.control_planes)
    ]
    playbook = site.folder / "collections/ansible_collections/slipway/kubernetes/playbooks/roles_alone.yml"
    playbook.write_text(yaml.safe_dump(plays, sort_keys=False))
    output = site.play("roles_alone", rc=2)
    # The newest ansible-core says what will not be so for ever.
    assert "DEPRECATION" not in output, output
    failed = {line.split()[0] for line in output.splitlines() if " failed=1 " in line}
    assert failed == {f"for-{role.replace('_', '-')}" for role in REFUSED}, output
    for role, text in REFUSED.items():
        assert text in " ".join(output.split()), role
    assert arguments(site, "release_archive")["url"].endswith("-linux-arm64.tar.gz")
    assert arguments(site, "package_source", "for-container-runtime")["url"].endswith("/linux/ubuntu")


def arguments(site: Site, module: str, host: str = "") -> dict[str, t.Any]:
    """Those of the only call of a module."""
    log = [json.loads(line) for line in Path(site.folder / "log").read_text().splitlines()]
    (found,) = [given for name, called, given in log if called == module and host in ("", name)]
    return t.cast(dict[str, t.Any], found)
