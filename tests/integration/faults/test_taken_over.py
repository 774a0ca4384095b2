# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clusters that somebody made with kubeadm by hand, and that site.yml takes over as docs/take-over.md says."""

from __future__ import annotations

import pathlib
import re
import subprocess
import typing as t

import pytest
from lab_support import ROOT, Node, Result, Site

SCRIPT = ROOT / "benchmarks" / "bare_kubeadm.sh"
WITH_ADDONS, BY_KUBECTL = ("tak1", "tak2"), ("tak3", "tak4")
#: What the page tells to set: the name that kubeadm gives to clusters.
NAMED = {"cluster_name": "kubernetes"}


def by_hand(folder: pathlib.Path, names: tuple[str, str], *options: str, **variables: t.Any) -> Site:
    """A cluster of the plain script, and an inventory of its machines."""
    made = Site(folder, names[:1], names[1:], variables={**NAMED, **variables})
    done = subprocess.run([SCRIPT, *options, *names], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return made


def said(result: Result) -> str:
    """What a run printed, as one line: warnings are wrapped."""
    return re.sub(r"\s+", " ", result.output)


def processes(node: Node) -> str:
    """The processes that must not be restarted; CoreDNS is moved, and what charts have made may change."""
    names = "kubelet|etcd|kube-apiserver|kube-controller|kube-scheduler|kube-proxy"
    return node.shell(f"ps -eo pid,lstart,comm | grep -E '({names})' | sort")


def expect_settled(site: Site) -> None:
    """Nothing is left to change, and the cluster works. Tokens of others stay: somebody may join a machine by them."""
    tokens = site.bootstrap_tokens()
    site.run().expect(changed=[])
    assert site.unready_nodes() == []
    site.run(playbook="playbooks/verify.yml").expect()
    assert tokens and set(site.bootstrap_tokens()) == set(tokens)


def take_over(site: Site) -> Result:
    """Check mode says what the run does, and that restarts nothing; the next run has nothing to do."""
    before = {node.name: processes(node) for node in site.nodes.values()}
    source = "cat /etc/apt/sources.list.d/kubernetes.list; ls /etc/apt/sources.list.d"
    sources = {node.name: node.shell(source) for node in site.nodes.values()}
    predicted = site.run("--check").expect()
    assert {node.name: processes(node) for node in site.nodes.values()} == before
    done = site.run().expect()
    assert predicted.changed == done.changed, predicted.output + done.output
    assert {node.name: processes(node) for node in site.nodes.values()} == before
    assert {node.name: node.shell(source) for node in site.nodes.values()} == sources
    expect_settled(site)
    assert {node.name: processes(node) for node in site.nodes.values()} == before
    return done


@pytest.fixture(scope="module")
def with_addons(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Site]:
    """A cluster whose Flannel, metrics-server and MetalLB are releases of Helm."""
    made = by_hand(tmp_path_factory.mktemp("addons"), WITH_ADDONS, "--addons")
    yield made
    made.close()


@pytest.fixture(scope="module")
def without_addons(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Site]:
    """A cluster without addons, whose Flannel was applied as a manifest."""
    without: dict[str, t.Any] = {"metrics_server_enabled": False, "metallb_address_pools": []}
    made = by_hand(tmp_path_factory.mktemp("kubectl"), BY_KUBECTL, **without)
    chart = "oci://172.30.0.1:5000/charts/flannel --version=v0.28.4 --plain-http --set=podCidr=10.244.0.0/16"
    where = "flannel --namespace=kube-flannel"
    made.control_plane.shell(
        f"set -e; export KUBECONFIG=/etc/kubernetes/admin.conf; helm template {where} {chart} > /root/flannel.yaml;"
        f" helm uninstall {where} --wait 2>&1; kubectl apply --filename=/root/flannel.yaml;"
        " kubectl rollout status --namespace=kube-flannel daemonset/kube-flannel-ds --timeout=180s"
    )
    yield made
    made.close()


class TestWithAddons:
    def test_what_could_not_work_is_refused(self, with_addons: Site) -> None:
        """A package source that contradicts ours; kubelets that a metrics-server of ours could not verify."""
        source = "/etc/apt/sources.list.d/kubernetes.list"
        key, other = "/etc/apt/keyrings/kubernetes.asc", "/root/other.asc"
        with_addons.control_plane.execute("sed", "-i", f"s#{key}#{other}#", source)
        try:
            text = said(with_addons.run().expect(rc=2, changed=[]))
        finally:
            with_addons.control_plane.execute("sed", "-i", f"s#{other}#{key}#", source)
        assert "nothing was changed" in text
        assert "metrics_server_enabled: is true, but the kubelets of tak1, tak2 make their serving certificates" in text
        assert f"is set up already with other settings in {source}" in text

    def test_it_is_taken_over(self, with_addons: Site) -> None:
        with_addons.configure({"metrics_server_kubelet_insecure_tls": True})
        result = take_over(with_addons)
        assert "KubeletConfiguration.serverTLSBootstrap: is not set in the cluster and true in the inventory" in said(
            result
        )

    def test_kubelets_get_certificates_of_the_cluster_by_the_recipe_of_the_docs(self, with_addons: Site) -> None:
        config_map = "--namespace=kube-system configmap kubelet-config"
        text = with_addons.control_plane.kubectl("get", *config_map.split(), "--output=jsonpath={.data.kubelet}")
        with_addons.control_plane.execute("tee", "/root/kubelet", stdin=f"{text}serverTLSBootstrap: true\n")
        with_addons.control_plane.shell(
            f"export KUBECONFIG=/etc/kubernetes/admin.conf; kubectl create {config_map} --from-file=/root/kubelet"
            " --dry-run=client --output=yaml | kubectl replace --filename=-"
        )
        for node in with_addons.nodes.values():
            node.shell("set -e; kubeadm upgrade node phase kubelet-config; systemctl restart kubelet")
        with_addons.configure({"metrics_server_kubelet_insecure_tls": False})
        # The timer may have approved what they ask for before the run does.
        assert "serverTLSBootstrap" not in with_addons.run().expect().output
        expect_settled(with_addons)


class TestFlannelByKubectl:
    def test_a_chart_over_it_is_refused(self, without_addons: Site) -> None:
        text = said(without_addons.run().expect(rc=2, changed=[]))
        assert "cluster_cni: is flannel, but the Flannel in the cluster was not installed by the chart" in text

    def test_it_is_taken_over(self, without_addons: Site) -> None:
        without_addons.configure({"cluster_cni": "none"})
        before = without_addons.control_plane.kubectl("get", "pods", "--namespace=kube-flannel", "--output=name")
        take_over(without_addons)
        assert (
            without_addons.control_plane.kubectl("get", "pods", "--namespace=kube-flannel", "--output=name") == before
        )
