# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine with SELinux: Debian's policy, on a kernel of its own.

It is not the RHEL family's policy: what it refuses or lets through says little of those. What is tried here is what we
do ourselves: the mode, at once and for the next boot, labels of what is written, and that a cluster is built where
SELinux is on. The tests share the machine and come in the order of this file.
"""

from __future__ import annotations

import collections
import re
import subprocess
import sys
import typing as t

import pytest
from lab_support import MACHINES, ROOT, Node, Site

NAME = "selinux1"
#: Where this collection, kubeadm and the kubelet write.
WRITTEN = (
    "/etc/kubernetes /etc/containerd /etc/systemd/system /etc/sysctl.d /etc/modules-load.d /etc/hosts /etc/fstab"
    " /var/lib/slipway /var/lib/etcd /usr/local/bin"
)
INSTALL = """
export DEBIAN_FRONTEND=noninteractive
apt-get update --quiet=2
apt-get install --yes --quiet=2 --no-install-recommends selinux-basics selinux-policy-default policycoreutils auditd
sed -i 's/^SELINUX=.*/SELINUX=permissive/' /etc/selinux/config
"""


def lab(*words: str) -> None:
    subprocess.run([sys.executable, "-m", "lab", *words], cwd=ROOT, check=True)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Site]:
    """One machine whose files have labels, and whose kernel notes what it would refuse."""
    made = Site(
        tmp_path_factory.mktemp("selinux"),
        [NAME],
        [NAME],
        systems={NAME: "debian13,memory=4096"},
        variables={
            **MACHINES,
            "node_prep_selinux": "permissive",
            "metallb_address_pools": [],
            "metrics_server_enabled": False,
        },
        machines=[NAME],
    )
    try:
        machine = made.nodes[NAME]
        machine.shell(INSTALL)
        lab("poweroff", NAME)
        lab("poweron", NAME, "--append", "lsm=yama,selinux")
        machine.shell("fixfiles -F restore >/dev/null 2>&1")
        lab("reboot", NAME)
        yield made
    finally:
        made.close()


def mode(machine: Node) -> str:
    return machine.shell("getenforce").strip()


def denials(machine: Node) -> collections.Counter[str]:
    """What was refused, or would have been, by who did what to what."""
    shown = machine.shell("ausearch --input-logs --message avc --raw; true")
    pattern = r"avc:\s+denied\s+\{ ([^}]+) \}.*?scontext=\w+:\w+:(\w+)\S* tcontext=\w+:\w+:(\w+)\S* tclass=(\w+)"
    return collections.Counter(" ".join(found) for found in re.findall(pattern, shown))


def test_it_is_on(site: Site) -> None:
    machine = site.nodes[NAME]
    assert mode(machine) == "Permissive"
    assert machine.shell("cat /proc/1/attr/current").startswith("system_u:system_r:init_t")


def test_a_cluster_is_built(site: Site, measured: list[str]) -> None:
    site.run().expect()
    site.expect_settled()
    found = denials(site.nodes[NAME])
    measured.append(f"SELinux would have refused {found.total()} times, {len(found)} kinds; the most frequent ones:")
    measured.extend(f"{count:6} {what}" for what, count in found.most_common(25))


def test_labels_are_those_of_their_places(site: Site) -> None:
    assert site.nodes[NAME].shell(f"restorecon -Rnv {WRITTEN} 2>/dev/null; true") == ""


def test_enforcing_is_set_back(site: Site) -> None:
    """At once and for the next boot, by a run that also says so in check mode, and does nothing."""
    machine = site.nodes[NAME]
    machine.shell("setenforce 1; sed -i 's/^SELINUX=.*/SELINUX=enforcing/' /etc/selinux/config")
    looked = site.run("--check", "--tags", "node_prep").expect()
    assert (NAME, "Set the mode of SELinux") in looked.changed
    assert mode(machine) == "Enforcing"
    done = site.run("--tags", "node_prep").expect()
    assert (NAME, "Set the mode of SELinux") in done.changed
    assert mode(machine) == "Permissive"
    assert machine.shell("grep ^SELINUX= /etc/selinux/config").strip() == "SELINUX=permissive"


def test_it_stays_after_a_reboot(site: Site) -> None:
    lab("reboot", NAME)
    machine = site.nodes[NAME]
    assert mode(machine) == "Permissive"
    machine.shell(
        "timeout 300 sh -c 'until kubectl --kubeconfig=/etc/kubernetes/admin.conf get --raw=/readyz; do sleep 2; done'"
    )
    site.expect_settled()
