# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with machines of the RHEL family, Fedora and Amazon Linux, or said of them; no machine is needed."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from test_bad_inputs import Case, Values, assert_said

DOCKER = {"container_runtime_source": "docker"}


def rocky(version: str = "9.6", name: str = "Rocky Linux", identifier: str = "rocky", **around: t.Any) -> Values:
    """Facts of a machine of the family, with something beside Kubernetes."""
    system = {
        "id": identifier,
        "version_id": version,
        "family": "redhat",
        "pretty_name": f"{name} {version}",
        "kernel": "5.14.0-570.12.1.el9_6.x86_64",
    }
    return {"os": system, "surroundings": around}


def selinux(mode: str, at_boot: str, *unlabelled: str) -> Values:
    return {"selinux": {"mode": mode, "at_boot": at_boot, "unlabelled": list(unlabelled)}}


CASES = [
    Case("rocky-8", ["worker1: os: Rocky Linux 8.10 is not supported"], DOCKER, facts={"worker1": rocky("8.10")}),
    Case(
        "fedora-that-is-too-old",
        ["cp1: os: Fedora Linux 42 is not supported (", "fedora 43, 44, 45", "preflight_allow_unsupported_os: true"],
        facts={"cp1": rocky("42", "Fedora Linux", "fedora")},
    ),
    Case(
        "fedora-that-is-new",
        ["worker1: os: Fedora Linux 46 is not supported"],
        facts={"worker1": rocky("46", "Fedora Linux", "fedora")},
    ),
    Case(
        "amazon-linux-2",
        ["worker2: os: Amazon Linux 2 is not supported (", "amzn 2023"],
        facts={"worker2": rocky("2", "Amazon Linux", "amzn")},
    ),
    Case(
        "opensuse",
        ["worker2: os: openSUSE Leap 15.6 is not supported", "preflight_allow_unsupported_os: true"],
        facts={"worker2": {"os": {**rocky("15.6", "openSUSE Leap", "opensuse-leap")["os"], "family": "suse"}}},
    ),
    Case(
        "docker-on-amazon-linux",
        ["worker1: container_runtime_source: is docker, and Amazon Linux 2023 has no containerd from there. Set it to"
         " distribution."],
        DOCKER,
        facts={"worker1": rocky("2023", "Amazon Linux", "amzn")},
    ),
    Case(
        "routes-of-amazon-ec2-net-utils",
        ["worker1: amazon-ec2-net-utils: policy-routes@ens6.service would set routes", "99-vpc-policy-routes.rules"],
        facts={"worker1": rocky("2023", "Amazon Linux", "amzn", route_setters=["policy-routes@ens6.service"])},
        warning=True,
    ),
    Case(
        "zram-of-fedora-shall-stay",
        ["worker1: node_prep_swap: is absent, but /etc/rc.local brings swap back at every boot"],
        facts={"worker1": rocky("44", "Fedora Linux", "fedora",
                                swap_at_boot=[{"path": "/etc/rc.local", "setting": "swapon /dev/zram0"}])},
    ),
    Case(
        "selinux-of-fedora-enforces",
        ["cp1: selinux: is enforcing, with which this collection was not tried"],
        facts={"cp1": rocky("43", "Fedora Linux", "fedora", **selinux("enforcing", "enforcing"))},
        warning=True,
    ),
    Case(
        "almalinux-without-docker-in-a-mixed-cluster",
        ["worker1: container_runtime_source: is distribution, and AlmaLinux 9.6 has no containerd from there."],
        facts={"worker1": rocky("9.6", "AlmaLinux", "almalinux")},
    ),
    Case(
        "extra-modules-of-version-10-are-not-installed",
        ["worker1: kernel_modules: the kernel 5.14.0-570.12.1.el9_6.x86_64 cannot load", "kernel-modules-extra"],
        DOCKER,
        facts={"worker1": rocky("10.0", modules_missing=["br_netfilter", "vxlan"])},
    ),
    Case(
        "selinux-shall-enforce-without-labels",
        ["cp1: node_prep_selinux: is enforcing, and nobody has given a label to /etc/kubernetes. Run `restorecon -R`"],
        {**DOCKER, "node_prep_selinux": "enforcing"},
        facts={name: rocky(**selinux("permissive", "permissive", *labels))
               for name, labels in (("cp1", ["/etc/kubernetes"]), ("worker1", []), ("worker2", []))},
    ),
    Case(
        "selinux-is-off-and-shall-enforce",
        ["worker1: node_prep_selinux: is enforcing, and SELinux is off on this host.", "selinux=0"],
        DOCKER,
        worker1={"node_prep_selinux": "enforcing"},
        facts={"worker1": rocky(**selinux("", "disabled"))},
    ),
    Case(
        "selinux-in-a-word-that-it-does-not-know",
        ["all hosts: node_prep_selinux: disabled is none of leave, permissive, enforcing."],
        {**DOCKER, "node_prep_selinux": "disabled"},
    ),
    Case(
        "selinux-enforces-after-the-next-boot",
        ["worker1: selinux: is enforcing after the next boot, with which this collection was not tried"],
        DOCKER,
        facts={"worker1": rocky(**selinux("permissive", "enforcing"))},
        warning=True,
    ),
    Case(
        "firewalld-admits-nobody",
        ["worker1: firewall: firewalld", "firewall-cmd --permanent --zone=trusted --add-source=10.244.0.0/16"],
        DOCKER,
        facts={"worker1": rocky(firewalls=[{"by": "firewalld", "admits": []}])},
        warning=True,
    ),
    Case(
        "networkmanager-takes-the-interfaces-of-pods",
        ["worker1: NetworkManager: /etc/NetworkManager/conf.d/all.conf matches the interfaces of pods (veth1)"],
        DOCKER,
        facts={
            "worker1": rocky(
                interfaces_taken=[{"by": "NetworkManager", "path": "/etc/NetworkManager/conf.d/all.conf",
                                   "takes": ["veth1"], "runs": True}]
            )
        },
        warning=True,
    ),
    Case(
        "nm-cloud-setup",
        ["NetworkManager: nm-cloud-setup.timer would set routes", "systemctl disable --now nm-cloud-setup.timer"],
        DOCKER,
        facts={"worker1": rocky(route_setters=["nm-cloud-setup.timer"])},
        warning=True,
    ),
    Case(
        "zram-by-its-generator",
        ["worker1: node_prep_swap: is absent, but /usr/lib/systemd/zram-generator.conf brings swap back at every boot"],
        DOCKER,
        facts={
            "worker1": rocky(
                swap_at_boot=[{"path": "/usr/lib/systemd/zram-generator.conf", "setting": "[zram0]"}]
            )
        },
    ),
    Case(
        "a-repository-of-others-does-not-answer",
        ["worker1: packages: dnf does nothing while the repository epel is not as it should be", "preflight_sources"],
        DOCKER,
        facts={"worker1": rocky()},
        found={
            "worker1": {
                "sources": [
                    {
                        "subject": "packages",
                        "message": "dnf does nothing while the repository epel is not as it should be: its server"
                        " answers with the status 403.",
                        "severity": "error",
                    }
                ]
            }
        },
    ),
    Case(
        "the-index-of-docker-is-not-signed",
        ["worker1: container_runtime_repository: its index is not signed", "Check container_runtime_repository and"],
        DOCKER,
        facts={"worker1": rocky()},
        found={
            "worker1": {
                "sources": [
                    {
                        "subject": "container_runtime_repository",
                        "message": "its index is not signed (there is no repodata/repomd.xml.asc).",
                        "severity": "error",
                    }
                ]
            }
        },
    ),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_is_said_at_once(case: Case, tmp_path: pathlib.Path) -> None:
    assert_said(case, tmp_path)
