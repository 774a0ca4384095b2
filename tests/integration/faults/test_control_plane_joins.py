# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Control planes that join a cluster, and runs or machines that die in the middle of it: the next run completes it."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from interruptions import ANSIBLE, MACHINE, RESTART, Point
from lab_support import Site, behind

CONTROL_PLANES = ["flt3", "flt4", "flt5"]
SECOND, THIRD = CONTROL_PLANES[1:]

JOIN = "Join the cluster"
RUNS = "pgrep -f '[k]ubeadm join'"
DOWNLOADED = f"{RUNS} && test -e /etc/kubernetes/pki/ca.key && ! test -e /etc/kubernetes/manifests/etcd.yaml"
# kubeadm has written etcd's manifest, which comes after the new member, and waits until that has become one that votes.
MEMBER = f"{RUNS} && test -e /etc/kubernetes/manifests/etcd.yaml && pgrep -x etcd"
# The API server of the new control plane is there; it is not marked as one yet.
SERVING = f"{RUNS} && pgrep -x kube-apiserver && pgrep -x etcd && grep -q client-current /etc/kubernetes/kubelet.conf"

POINTS = [
    Point("before the second joins", "Mint a bootstrap token", ANSIBLE),
    Point("second: certificates are there", JOIN, MACHINE, DOWNLOADED, SECOND),
    Point("second: kubeadm killed, etcd has one member more", JOIN, "kubeadm", MEMBER, SECOND),
    Point("second: API server starts", JOIN, MACHINE, SERVING, SECOND),
    Point("third: machine restarted", JOIN, RESTART, MEMBER, THIRD),
    # kubeadm goes on and comes to its end, so nothing is left to be killed after that.
    Point("third: only Ansible killed, etcd has one member more", JOIN, ANSIBLE, MEMBER, THIRD),
]


#: Tasks that write files of control planes: on the one that serves the run, and on the others.
FIRST_FILES, OTHER_FILES = (
    "Write the control plane's files",
    "Write the files that the static pods of a control plane read",
)


def audited(level: str) -> dict[str, t.Any]:
    """Variables of a cluster whose API servers log requests by a policy."""
    policy = f"apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{{level: {level}}}]\n"
    arguments = {"audit-policy-file": "/etc/kubernetes/slipway/audit.yaml", "audit-log-path": "-"}
    extra = [{"name": name, "value": value} for name, value in arguments.items()]
    return {
        "control_plane_files": [{"name": "audit.yaml", "content": policy}],
        "control_plane_cluster_configuration": {"apiServer": {"extraArgs": extra}},
        # A static pod that does not start is given up after that.
        "control_plane_timeout": 90,
    }


@pytest.fixture
def site(tmp_path: pathlib.Path) -> t.Iterator[Site]:
    """Three fresh machines that shall be control planes."""
    made = Site(
        tmp_path,
        CONTROL_PLANES,
        [],
        systems={SECOND: "debian13"},
        variables={**behind("172.30.0.233"), **audited("None")},
    )
    yield made
    made.close()


def test_killed_joins_are_finished_by_the_next_run(site: Site) -> None:
    identity = None
    for point in POINTS:
        print(f"--- {point.name}", flush=True)
        point.strike(site, site.start())
        found = site.identity()
        assert identity in (None, found), f"{point.name}: the cluster is another one"
        identity = found
    print("--- left alone", flush=True)
    site.run().expect()
    assert site.identity() == identity, "the cluster is another one"
    assert site.etcd_members() == CONTROL_PLANES
    site.expect_settled()
    print("--- files that static pods read", flush=True)
    expect_files_to_be_taken_up(site)


def api_servers(site: Site) -> dict[str, str]:
    """The process of each API server, with the time at which it began."""
    return {name: site.nodes[name].shell("ps -C kube-apiserver -o pid=,lstart=") for name in CONTROL_PLANES}


def expect_files_to_be_taken_up(site: Site) -> None:
    """A changed file is taken up by all; one that the API server does not live with is put back on the first."""
    everyone = {(name, FIRST_FILES if name == CONTROL_PLANES[0] else OTHER_FILES) for name in CONTROL_PLANES}
    before = api_servers(site)
    site.configure(audited("Metadata"))
    site.run("--check").expect(changed=everyone)
    assert api_servers(site) == before
    site.run().expect(changed=everyone)
    after = api_servers(site)
    assert all(after[name] and after[name] != before[name] for name in CONTROL_PLANES)
    site.run().expect(changed=[])

    site.configure(audited("Nonsense"))
    refused = site.run().expect(rc=2)
    assert "They were put back as they were. With those kube-apiserver is healthy again." in refused.output
    now = api_servers(site)
    assert [name for name in CONTROL_PLANES if now[name] != after[name]] == CONTROL_PLANES[:1]
    site.configure(audited("Metadata"))
    site.expect_settled()
