# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils import _module
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import digest
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm.cluster_state import CONFIG_MAPS
from ansible_collections.slipway.kubernetes.plugins.modules import kubeadm_upload_config
from ansible_collections.slipway.kubernetes.tests.unit.plugins.package_fakes import FakeRunner
from ansible_collections.slipway.kubernetes.tests.unit.plugins.utils import ModuleRunner

CLUSTER, KUBELET, PROXY = CONFIG_MAPS
#: A kubelet that fetches static pods, and may send a password for that.
HEADER = "kind: KubeletConfiguration\nstaticPodURLHeader:\n  Authorization:\n  - Basic c2VjcmV0\nmaxPods: 110\n"


class Cluster:
    """What a cluster keeps, and who has changed it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, run_module: ModuleRunner) -> None:
        self.texts = {kind: f"kind: {kind}\n" for kind in CONFIG_MAPS}
        self.patches: t.Dict[str, t.Any] = {}
        self.proxy_pods = "2026-11-29T10:00:05Z"
        self.annotations: t.Dict[str, str] = {}
        self._run_module = run_module
        self.runner = FakeRunner(
            {
                "--show-managed-fields": self._get,
                "get pods": lambda _argv: json.dumps(
                    {"items": [{"metadata": {"creationTimestamp": self.proxy_pods}}, {"metadata": self._going()}]}
                ),
                "get configmap/": self._get,
                "get daemonset/": lambda _argv: json.dumps(
                    {"spec": {"template": {"metadata": {"annotations": self.annotations}}}}
                ),
                "patch configmap/": self._patch,
                "config validate": "",
                "rollout restart": "",
            },
            tools=("kubeadm", "kubectl"),
        )
        monkeypatch.setattr(_module, "Runner", lambda _module: self.runner)

    @staticmethod
    def _going() -> t.Dict[str, str]:
        return {"creationTimestamp": "2026-11-01T10:00:00Z", "deletionTimestamp": "2026-11-29T10:00:00Z"}

    def _get(self, argv: t.List[str]) -> str:
        line = " ".join(argv)
        kind = next(kind for kind, (name, _key) in CONFIG_MAPS.items() if name in line)
        metadata = {"resourceVersion": "7", "managedFields": [{"time": "2026-11-29T10:00:00Z"}, {}]}
        return json.dumps({"metadata": metadata, "data": {CONFIG_MAPS[kind][1]: self.texts[kind]}})

    def _patch(self, argv: t.List[str]) -> str:
        name = next(word for word in argv if word.startswith("configmap/")).partition("/")[2]
        self.patches[name] = json.loads(self.runner.stdins[-1] or "")
        return ""

    def __call__(self, *documents: t.Mapping[str, t.Any], check: bool = False) -> t.Dict[str, t.Any]:
        given = {"documents": list(documents), "cluster_configuration": "kind: ClusterConfiguration\nas: it is\n"}
        return self._run_module(kubeadm_upload_config.main, given, check=check)

    def wanted(self, kind: str, text: str, **more: t.Any) -> t.Dict[str, t.Any]:
        """A document as the report gives it."""
        return {"kind": kind, "text": text, "seen": digest(self.texts[kind]), **more}


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch, run_module: ModuleRunner) -> Cluster:
    return Cluster(monkeypatch, run_module)


def test_what_differs_is_written(cluster: Cluster) -> None:
    fields = [{"path": "maxPods", "before": "not set", "after": "200"}]
    kubelet = cluster.wanted(KUBELET, "kind: KubeletConfiguration\nmaxPods: 200\n", fields=fields)
    same = cluster.wanted(CLUSTER, cluster.texts[CLUSTER])
    result = cluster(kubelet, same)
    assert (result["changed"], result["written"], result["proxies_pending"]) == (True, ["kubelet-config"], False)
    assert result["diff"][0]["before"] == "maxPods: not set\n" and result["diff"][0]["after"] == "maxPods: 200\n"
    # As it was read, or not at all.
    patch = cluster.patches["kubelet-config"]
    assert patch == {"metadata": {"resourceVersion": "7"}, "data": {"kubelet": kubelet["text"]}}
    assert list(cluster.patches) == ["kubelet-config"]
    assert not any(kubelet["text"] in word for call in cluster.runner.calls for word in call)


def test_nothing_to_do(cluster: Cluster) -> None:
    for check in (True, False):
        result = cluster(cluster.wanted(CLUSTER, cluster.texts[CLUSTER]), check=check)
        assert (result["changed"], result["written"]) == (False, [])
    assert not cluster.runner.called("validate") and cluster.patches == {}


def test_check_mode(cluster: Cluster) -> None:
    result = cluster(cluster.wanted(PROXY, "mode: ipvs\n"), check=True)
    assert (result["changed"], result["written"], result["proxies_pending"]) == (True, ["kube-proxy"], True)
    assert cluster.patches == {} and not cluster.runner.called("rollout")
    assert cluster.runner.called("validate")


def test_kube_proxy_reads_its_configuration_when_it_starts(cluster: Cluster) -> None:
    assert cluster(cluster.wanted(PROXY, "mode: ipvs\n"))["proxies_pending"] is True
    assert len(cluster.runner.called("rollout", "restart")) == 1


def test_a_run_that_was_killed_before_kube_proxy_was_restarted(cluster: Cluster) -> None:
    cluster.proxy_pods = "2026-11-29T09:59:59Z"
    result = cluster()
    assert (result["changed"], result["written"], result["proxies_pending"]) == (True, [], True)
    assert len(cluster.runner.called("rollout", "restart")) == 1


@pytest.mark.parametrize(
    ("began", "again"),
    [("2026-11-29T10:00:01Z", False), ("2026-11-29T12:00:01+02:00", False), ("2026-11-29T09:00:00Z", True)],
)
def test_a_restart_of_many_that_goes_on(cluster: Cluster, began: str, again: bool) -> None:
    """Another one would begin from the first of them."""
    cluster.proxy_pods = "2026-11-29T09:59:59Z"
    cluster.annotations["kubectl.kubernetes.io/restartedAt"] = began
    result = cluster()
    assert (result["changed"], result["proxies_pending"]) == (again, True)
    assert bool(cluster.runner.called("rollout", "restart")) is again


def test_somebody_has_changed_it_since(cluster: Cluster) -> None:
    one = cluster.wanted(KUBELET, "maxPods: 200\n")
    other = {**cluster.wanted(CLUSTER, "clusterName: b\n"), "seen": digest("clusterName: a\n")}
    result = cluster(one, other)
    assert result["failed"] and "kubeadm-config was changed after this run had looked" in result["msg"]
    # All or none.
    assert cluster.patches == {}


def test_a_secret_of_a_kubelet_is_not_lost(cluster: Cluster) -> None:
    cluster.texts[KUBELET] = HEADER
    seen = digest("kind: KubeletConfiguration\nmaxPods: 110\n")
    result = cluster({"kind": KUBELET, "text": "maxPods: 200\n", "seen": seen})
    assert result["failed"] and "has staticPodURLHeader" in result["msg"] and "c2VjcmV0" not in str(result)
    assert cluster.patches == {}


def test_kubeadm_refuses(cluster: Cluster) -> None:
    cluster.runner.answers["config validate"] = (1, "", 'strict decoding error: unknown field "maxPodz"\n--v=5 helps\n')
    for check in (True, False):
        result = cluster(cluster.wanted(KUBELET, "maxPodz: 200\n"), check=check)
        assert result["failed"]
        assert result["msg"].endswith('nothing was changed: strict decoding error: unknown field "maxPodz"')
    assert cluster.patches == {}
    # It would not look into a document of a kubelet alone.
    assert any("kind: ClusterConfiguration\nas: it is\n" in (text or "") for text in cluster.runner.stdins)
    # What it does not know it leaves out, with a warning.
    cluster.runner.answers["config validate"] = (0, "", 'W1201 strict.go:1] unknown field "maxPodz"\n')
    assert 'unknown field "maxPodz"' in cluster(cluster.wanted(KUBELET, "maxPodz: 200\n"))["msg"]
