# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The EXAMPLES of each module are tasks that work: they run here as they stand in its documentation.

They change the machines, so that the other tests do not hold after them.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible.parsing.plugin_docs import read_docstring
from conftest import PROJECT, play

MODULES = {path.stem: path for path in sorted((PROJECT / "plugins" / "modules").glob("*.py"))}
# They look at the machines of a whole inventory: the scenario default runs them.
OF_PLAYBOOKS = {"preflight_gather", "preflight_plan", "preflight_report"}
# They need RKE2, which no scenario has yet.
OF_RKE2 = {"rke2_join_info", "rke2_service"}
# After it there is no cluster any more.
AT_THE_END = {"kubeadm_reset"}
# What is about a machine and not about a cluster.
ON_BUILDER = {
    "config_files",
    "hosts_file",
    "kernel_modules",
    "node_facts",
    "package_set",
    "package_source",
    "peer_listen",
    "peer_probe",
    "release_archive",
    "release_set",
    "source_probe",
    "swap",
    "sysctl_settings",
    "systemd_unit",
}
MIRROR = "http://172.30.0.1:8080"
REGISTRY = "oci://172.30.0.1:5000/charts"
# What the examples leave to their user. The rest comes from the inventory.
VARIABLES = {
    "control_plane": "reuse-cluster",
    "docker_key_fingerprints": [],
    "docker_repository": f"{MIRROR}/linux/debian",
    "example_node_count": 1,
    "example_node_name": "reuse-cluster",
    "example_password": "an example of a password",
    "helm_checksum": f"sha256:{MIRROR}/helm/helm-v3.22.0-linux-amd64.tar.gz.sha256sum",
    "helm_url": f"{MIRROR}/helm/helm-v3.22.0-linux-amd64.tar.gz",
    "kubernetes_key": f"{MIRROR}/core:/stable:/v1.37/deb/Release.key",
    "kubernetes_repository": f"{MIRROR}/core:/stable:/v1.37/deb/",
    "metrics_server_chart": f"{REGISTRY}/metrics-server",
    "metrics_server_chart_version": "3.13.1",
}
# What examples take for granted.
BEFORE: dict[str, list[dict[str, object]]] = {
    "etcd_archive": [
        {
            "name": "Take a backup of etcd",
            "slipway.kubernetes.etcd_snapshot": {"cluster_name": "lab", "keep": 3},
            "register": "example_backup",
        },
        {
            "name": "Keep it on the controller",
            "ansible.builtin.fetch": {
                "src": "{{ example_backup.archive }}",
                "dest": "{{ example_archive_file }}",
                "flat": True,
            },
        },
    ],
    "kube_csr_approve": [
        {
            "name": "Let the kubelet ask for its serving certificate",
            "ansible.builtin.lineinfile": {"path": "/var/lib/kubelet/config.yaml", "line": "serverTLSBootstrap: true"},
        },
        {"name": "Restart it", "ansible.builtin.systemd_service": {"name": "kubelet", "state": "restarted"}},
    ],
    "package_set": [
        {
            "name": "Add the Kubernetes package repository",
            "slipway.kubernetes.package_source": {
                "name": "kubernetes",
                "url": VARIABLES["kubernetes_repository"],
                "suite": "/",
                "key": VARIABLES["kubernetes_key"],
            },
        },
        {
            "name": "Add Docker's package repository",
            "slipway.kubernetes.package_source": {
                "name": "docker",
                "url": VARIABLES["docker_repository"],
                "suite": "trixie",
                "components": ["stable"],
                "key": f"{VARIABLES['docker_repository']}/gpg",
            },
        },
    ],
}


@pytest.mark.last
@pytest.mark.parametrize("name", [*sorted(set(MODULES) - OF_PLAYBOOKS - OF_RKE2 - AT_THE_END), *sorted(AT_THE_END)])
def test_examples(name: str, tmp_path: Path) -> None:
    machine = "reuse-builder" if name in ON_BUILDER else "reuse-cluster"
    tasks = yaml.safe_load(read_docstring(str(MODULES[name]))["plainexamples"])
    look = {"name": "Look at the machine", "slipway.kubernetes.node_facts": None}
    tasks = [look, *BEFORE.get(name, []), *tasks]
    example = {"name": name, "hosts": machine, "become": True, "gather_facts": False, "tasks": tasks}
    address = "{{ slipway_node.default_address }}"
    playbook = tmp_path / "examples.yml"
    playbook.write_text(yaml.safe_dump([example]), encoding="utf-8")
    more = {
        "example_archive_file": str(tmp_path / "etcd-lab.tar.gz"),
        "example_endpoint": f"{address}:6443",
        "example_node_address": address,
    }
    play(playbook, variables={**VARIABLES, **more})
