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


def test_releases_without_packages(site: Site) -> None:
    machines = {"os": {"id": "debian", "family": "debian", "architecture": "arm64"}}
    runtime = {"containerd": {"installed": False, "version": "", "active": False}}
    node = merged(machine(1), {**machines, "runtime": runtime})
    versions = {"containerd": "2.4.2", "runc": "1.5.2"}
    lists = ("installed", "upgraded", "downgraded", "repaired", "changed_paths")
    site.answers = {
        **site.answers,
        **ANSWERS,
        "node_facts": {"changed": False, "ansible_facts": {"slipway_node": node}},
        "release_set": {"changed": False, "versions": versions, **{name: [] for name in lists}},
    }
    site.control_planes = ["cp1"]
    sources = ("kube_packages_source", "container_runtime_source")
    given = {
        **dict.fromkeys(sources, "release"),
        "cluster_version": "1.37.1",
        "container_runtime_version": "2.4.2",
        "kube_packages_names": ["kubeadm", "kubelet"],
        "kube_packages_checksums": {"kubelet": "sha256:" + "1" * 64},
    }
    roles = [f"slipway.kubernetes.{role}" for role in ("kube_packages", "container_runtime")]
    compare = {"name": "slipway.kubernetes.container_runtime", "tasks_from": "compare"}
    tasks = [{"name": "Compare", "ansible.builtin.import_role": compare}]
    play = {"name": "Releases", "hosts": "cp1", "gather_facts": False, "vars": given, "roles": roles, "tasks": tasks}
    playbook = site.folder / "collections/ansible_collections/slipway/kubernetes/playbooks/releases.yml"
    playbook.write_text(yaml.safe_dump([play], sort_keys=False))
    site.play("releases")
    log = [json.loads(line) for line in Path(site.folder / "log").read_text().splitlines()]
    assert not [module for _host, module, _given in log if module in ("package_set", "package_source")]
    kube, runtime, compared = [given["releases"] for _host, module, given in log if module == "release_set"]
    assert compared == runtime
    assert [(entry["name"], entry["url"].partition("://")[2], entry["checksum"]) for entry in kube] == [
        (
            "kubeadm",
            "dl.k8s.io/v1.37.1/bin/linux/arm64/kubeadm",
            "sha256:https://dl.k8s.io/v1.37.1/bin/linux/arm64/kubeadm.sha256",
        ),
        ("kubelet", "dl.k8s.io/v1.37.1/bin/linux/arm64/kubelet", "sha256:" + "1" * 64),
        *((entry["name"], entry["url"].partition("://")[2], f"sha256:{entry['url']}.sha256") for entry in kube[2:]),
    ]
    assert [entry["url"].rpartition("/")[2] for entry in kube[2:]] == [
        "crictl-v1.37.0-linux-arm64.tar.gz",
        "cni-plugins-linux-arm64-v1.9.1.tgz",
    ]
    assert [entry.get("copy_to") for entry in kube] == [None, None, None, "/opt/cni/bin"]
    place = "github.com/containerd/containerd/releases/download/v2.4.2/containerd-2.4.2-linux-arm64.tar.gz"
    runc = "github.com/opencontainers/runc/releases/download/v1.5.2"
    assert [(entry["url"], entry["checksum"]) for entry in runtime] == [
        (f"https://{place}", f"sha256:https://{place}.sha256sum"),
        (f"https://{runc}/runc.arm64", f"sha256:https://{runc}/runc.sha256sum"),
    ]
    files = {
        file["path"]: file["content"]
        for _host, module, given in log
        if module == "config_files"
        for file in given["files"]
    }
    units = "/usr/local/lib/systemd/system"
    assert "ExecStart=/usr/local/bin/containerd\n" in files[f"{units}/containerd.service"]
    assert "ExecStart=/usr/local/bin/kubelet\n" in files[f"{units}/kubelet.service"]
    assert "$KUBELET_EXTRA_ARGS\n" in files[f"{units}/kubelet.service.d/10-kubeadm.conf"]
    assert 'runtime-endpoint: "unix:///run/containerd/containerd.sock"\n' in files["/etc/crictl.yaml"]
    assert arguments(site, "systemd_unit")["restart_replaced"] is True


def arguments(site: Site, module: str, host: str = "") -> dict[str, t.Any]:
    """Those of the only call of a module."""
    log = [json.loads(line) for line in Path(site.folder / "log").read_text().splitlines()]
    (found,) = [given for name, called, given in log if called == module and host in ("", name)]
    return t.cast(dict[str, t.Any], found)
