# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host will fetch, from where, and the report on it."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight import sources
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.checks.sources import (
    check_addresses,
    check_sources,
)
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import Host

VARIABLES: t.Dict[str, t.Any] = {
    "cluster_version": "1.37.1",
    "cluster_image_repository": "registry.k8s.io",
    "cluster_cni": "flannel",
    "cluster_control_plane_hosts": ["cp1", "cp2"],
    "cni_flannel_chart": "flannel",
    "cni_flannel_chart_repository": "https://charts.example.com",
    "cni_flannel_chart_version": "v0.28.4",
    "cni_flannel_values": {"flannel": {"image": {"repository": "mirror.example.com/flannel"}}},
    "metrics_server_enabled": True,
    "metrics_server_chart": "oci://r/metrics-server",
    "metrics_server_chart_version": "3.13.1",
    "metrics_server_version": "0.9.0",
    "metallb_enabled": "no",
    "metallb_values": {},
    "container_runtime_provider": "containerd",
    "container_runtime_source": "distribution",
    "container_runtime_registry_mirrors": {
        "registry.k8s.io": [
            {"url": "https://mirror.example.com:5000"},
            {"url": "http://mirror.example.com/v2/k8s/", "ca": "/ca.crt", "username": "bob", "password": "s3cret"},
            {"url": "http://other.example.com/v2", "capabilities": ["pull"]},
            {"url": "http://odd.example.com/path", "override_path": False},
            "broken",
        ],
        "_default": [{"url": "https://all.example.com"}],
    },
    "helm_version": "3.22.0",
    "helm_archive_url": "https://get.helm.sh/helm.tgz",
    "helm_archive_checksum": "sha256:https://get.helm.sh/helm.tgz.sha256sum",
    "__api_endpoint_packages": ["haproxy", "keepalived", "curl"],
    "__node_prep_platform": {"time_sync": {"package": "systemd-timesyncd"}},
    "__node_prep_packages": [],
}


def node(completed: bool = False, kubelet: str = "", helm: str = "", containerd: bool = False) -> t.Dict[str, t.Any]:
    return {
        "os": {"codename": "bookworm"},
        "kubernetes": {"completed": completed, "kubelet_version": kubelet},
        "helm_version": helm,
        "runtime": {"containerd": {"installed": containerd}},
    }


def asked(name: str, facts: t.Dict[str, t.Any], **given: t.Any) -> t.List[str]:
    found = sources.sources({**VARIABLES, **given}, facts, name)
    return [str(item.get("image") or item.get("chart") or item.get("url") or item.get("packages")) for item in found]


KUBE = "registry.k8s.io/kube-{}:v1.37.1"
FLANNEL = "mirror.example.com/flannel:v0.28.4"
METRICS = "registry.k8s.io/metrics-server/metrics-server:v0.9.0"


def test_a_bare_control_plane_and_a_bare_worker() -> None:
    first = [KUBE.format("apiserver"), FLANNEL, METRICS, "flannel", "oci://r/metrics-server"]
    helm, containerd = "https://get.helm.sh/helm.tgz", "['containerd']"
    assert asked("cp1", node()) == [*first, helm, containerd]
    assert asked("cp2", node()) == [*first[:3], helm, containerd]
    assert asked("worker1", node(containerd=True)) == [KUBE.format("proxy"), FLANNEL, METRICS]


def test_a_pod_network_that_is_a_manifest() -> None:
    given: t.Dict[str, t.Any] = {
        "cluster_cni": "calico",
        "cni_calico_version": "3.28.5",
        "cni_calico_image_repository": "docker.io/calico",
        "cni_calico_manifest_url": "https://m/calico.yaml",
        "cni_calico_manifest_checksum": "sha256:1",
        "cni_calico_calicoctl": True,
        "cni_calico_calicoctl_url": "https://m/calicoctl",
        "cni_calico_calicoctl_checksum": "sha256:2",
    }
    assert {"https://m/calico.yaml", "https://m/calicoctl", "docker.io/calico/node:v3.28.5"} <= set(
        asked("cp1", node(), **given)
    )
    assert "https://m/calico.yaml" not in asked("cp2", node(), **given)
    given.update(cni_calico_calicoctl="false", cni_calico_manifest_checksum="")
    assert not [text for text in asked("cp1", node(), **given) if text.startswith("https://m/")]


def test_what_is_installed_is_not_asked_for() -> None:
    assert asked("cp1", node(True, "1.37.1", "3.22.0", True)) == []
    assert asked("worker1", node(True, "1.37.1")) == []


def test_an_upgrade_asks_for_the_new_version() -> None:
    assert asked("cp1", node(True, "1.36.4", "3.22.0", True)) == [KUBE.format("apiserver")]


def test_a_leading_v_makes_no_difference_to_images() -> None:
    given = {"cni_flannel_chart_version": "0.28.4", "metallb_enabled": True, "metallb_chart_version": "v0.16.1"}
    images = asked("cp1", node(), **given)
    assert {"mirror.example.com/flannel:v0.28.4", "quay.io/metallb/speaker:v0.16.1"} <= set(images)


def test_what_is_not_wanted_is_not_asked_for() -> None:
    given = {"cluster_cni": "none", "metrics_server_enabled": False, "metallb_enabled": True}
    given.update(metallb_chart_version="0.16.1", metallb_chart="metallb", api_endpoint_provider="keepalived")
    assert asked("cp1", node(helm="3.22.0", containerd=True), **given) == [
        KUBE.format("apiserver"),
        "quay.io/metallb/speaker:v0.16.1",
        "metallb",
        "['haproxy', 'keepalived', 'curl']",
    ]
    more = {"kubeconfig_bash_completion": True, "node_prep_time_sync": "install"}
    known = {**node(containerd=True), "time_sync": ""}
    assert asked("worker1", known, **more)[-1] == "['systemd-timesyncd']"
    assert asked("cp2", known, **more)[-1] == "['bash-completion', 'systemd-timesyncd']"
    assert asked("worker1", {**known, "time_sync": "chrony"}, **more) == asked("worker1", known)


def test_packages_of_another_family() -> None:
    given = {
        **VARIABLES,
        "node_prep_time_sync": "install",
        "api_endpoint_provider": "keepalived",
        "__api_endpoint_packages": ["haproxy"],
        "__node_prep_platform": {"time_sync": {"package": "chrony"}},
        "__node_prep_packages": [{"name": "iproute-tc"}, {"name": "kernel-modules-extra", "version": "6.12.0-55.el10"}],
        # Its distributions have no package of the runtime.
        "__container_runtime_platform": {"packages": {"docker": "containerd.io"}},
    }
    (packages,) = [
        found for found in sources.sources(given, {**node(), "time_sync": ""}, "cp1") if found["subject"] == "packages"
    ]
    assert packages["packages"] == ["haproxy", "iproute-tc", "kernel-modules-extra", "chrony"]
    assert packages["versions"] == {"kernel-modules-extra": "6.12.0-55.el10"}


def test_sources_of_addons() -> None:
    """Where entries of the list come from, but not what is on the controller, and nothing that lacks a version."""
    digest = "sha256:" + 64 * "0"
    entries = [
        {"name": "a", "chart": "oci://r.example/a", "version": "1.0.0", "plain_http": True, "ca_file": "/ca.crt"},
        {"name": "b", "chart": "b", "repository": "https://c.example", "version": "2.0.0"},
        {"name": "c", "chart": "https://c.example/c.tgz", "version": "3.0.0"},
        {"name": "d", "url": "https://c.example/d.yaml", "checksum": digest},
        {"name": "e", "chart": "charts/e"},
        {"name": "f", "definition": {}},
        {"name": "g", "chart": "g", "repository": "https://c.example"},
        {"name": "h", "url": "https://c.example/h.yaml"},
        {"name": "i", "chart": "i", "repository": "https://u:p@c.example", "version": "1.0.0"},
        "broken",
    ]
    found = sources.sources({**VARIABLES, "addons_list": entries}, node(), "cp1")
    asked_for = [item for item in found if item["subject"].startswith("addons_list")]
    chart = {"kind": "chart", "repository": "", "plain_http": False, "ca_file": ""}
    assert asked_for == [
        {
            **chart,
            "subject": "addons_list[a]",
            "chart": "oci://r.example/a",
            "version": "1.0.0",
            "plain_http": True,
            "ca_file": "/ca.crt",
        },
        {**chart, "subject": "addons_list[b]", "chart": "b", "version": "2.0.0", "repository": "https://c.example"},
        {**chart, "subject": "addons_list[c]", "chart": "https://c.example/c.tgz", "version": "3.0.0"},
        {
            "subject": "addons_list[d]",
            "kind": "archive",
            "name": "addon-d",
            "url": "https://c.example/d.yaml",
            "checksum": digest,
        },
    ]
    for name, facts in (("cp2", node()), ("worker1", node()), ("cp1", node(True, "1.37.1"))):
        asked_by = sources.sources({**VARIABLES, "addons_list": entries}, facts, name)
        assert not [item for item in asked_by if item["subject"].startswith("addons_list")]


def test_sources_of_a_pod_network_from_a_list() -> None:
    entries = [{"name": "a", "url": "https://c.example/a.yaml", "checksum": "sha256:" + 64 * "0"}]
    given = {**VARIABLES, "cluster_cni": "manifest", "cni_provider": "manifest", "cni_manifests": entries}
    found = [item["subject"] for item in sources.sources(given, node(), "cp1")]
    assert "cni_manifests[a]" in found and "addons_list[a]" not in found
    other = sources.sources({**given, "cni_provider": "flannel"}, node(), "cp1")
    assert "cni_manifests[a]" not in [item["subject"] for item in other]


def test_mirrors_as_containerd_asks_them() -> None:
    found = sources.endpoints(VARIABLES["container_runtime_registry_mirrors"], "registry.k8s.io")
    assert [entry["url"] for entry in found] == [
        "https://mirror.example.com:5000/v2",
        "http://mirror.example.com/v2/k8s",
        "http://odd.example.com/path/v2",
    ]
    assert (found[1]["ca_file"], found[1]["ca_content"], found[1]["password"]) == ("/ca.crt", "", "s3cret")
    certificate = "-----BEGIN CERTIFICATE-----\nMII=\n-----END CERTIFICATE-----\n"
    (entry,) = sources.endpoints(
        {"quay.io": [{"url": "https://m", "ca": certificate}, {"url": "https://n", "ca": "-----x"}]}, "quay.io"
    )
    assert (entry["ca_file"], entry["ca_content"]) == ("", certificate)
    other = sources.endpoints(VARIABLES["container_runtime_registry_mirrors"], "quay.io")
    assert [entry["url"] for entry in other] == ["https://all.example.com/v2"]
    assert sources.endpoints("broken", "quay.io") == []


def test_dockers_repository() -> None:
    given = {
        **VARIABLES,
        "container_runtime_source": "docker",
        "container_runtime_repository_url": "https://d",
        "__container_runtime_platform": {"repository": {"suite": "bookworm"}},
    }
    found = sources.runtime_repository(given, node())
    assert found and (found["url"], found["settings"], found["packages"]) == (
        "https://d",
        {"suite": "bookworm"},
        {"containerd.io": "*"},
    )
    assert sources.runtime_repository(given, node(containerd=True)) is None
    by_hand = {
        **node(containerd=True),
        "package_sources": [{"path": "/etc/apt/sources.list.d/d.list", "url": "https://d/"}],
    }
    assert sources.runtime_repository(given, by_hand)
    assert sources.runtime_repository(VARIABLES, node()) is None


def test_the_report() -> None:
    failures = [
        {"subject": "metallb_chart", "message": "no.", "severity": "error"},
        {"subject": "packages", "message": "no.", "severity": "warning"},
        {"subject": "metallb_values", "message": "no."},
        {"subject": "addons_list[a]", "message": "no."},
    ]
    found = list(check_sources([Host("cp1", sources=failures), Host("cp2")]))
    assert [(problem.host, problem.subject, problem.severity) for problem in found] == [
        ("cp1", "metallb_chart", "error"),
        ("cp1", "packages", "warning"),
        ("cp1", "metallb_values", "error"),
        ("cp1", "addons_list[a]", "error"),
    ]
    assert found[-1].remedy.startswith("Check where the entry comes from, and its version or checksum.")
    assert all(problem.remedy.endswith("preflight_sources: false asks no source.") for problem in found)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"kind": "chart", "repository": "https://m.example.com:8443/charts"}, True),
        ({"kind": "chart", "chart": "oci://M.example.com/a"}, True),
        ({"kind": "archive", "url": "https://b.example.com/a", "checksum": "sha256:http://u:p@m.example.com/s"}, True),
        ({"kind": "archive", "url": "https://b.example.com/m.example.com"}, False),
        ({"kind": "image", "image": "m.example.com:5000/a:1", "endpoints": []}, True),
        ({"kind": "image", "image": "quay.io/a:1", "endpoints": [{"url": "http://m.example.com/v2"}]}, True),
        ({"kind": "image", "image": "quay.io/m.example.com:1", "endpoints": []}, False),
        ({"kind": "image", "image": "m.example.com/a", "endpoints": []}, True),
        ({"kind": "image", "image": "m.example.com/a:", "endpoints": []}, True),
        ({"kind": "packages", "packages": ["containerd"]}, False),
    ],
)
def test_where_a_source_is(source: t.Any, expected: bool) -> None:
    assert sources.asks_one_of(source, ["m.example.com"]) is expected


@pytest.mark.parametrize(
    "repository", ["flannel", "bob/flannel", "docker.io/bob/flannel", "index.docker.io/bob/flannel"]
)
def test_images_without_a_registry_are_those_of_docker(repository: str) -> None:
    mirrors = {"docker.io": [{"url": "https://hub.example.com"}], "_default": [{"url": "https://all.example.com"}]}
    values = {"flannel": {"image": {"repository": repository}}}
    given = {**VARIABLES, "container_runtime_registry_mirrors": mirrors, "cni_flannel_values": values}
    found = next(item for item in sources.sources(given, node(), "cp1") if item["subject"] == "cni_flannel_values")
    assert [entry["url"] for entry in found["endpoints"]] == ["https://hub.example.com/v2"]
    assert sources.asks_one_of({**found, "endpoints": []}, ["registry-1.docker.io"])
    assert not sources.asks_one_of({**found, "endpoints": []}, ["bob", "flannel"])


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            {"kube_packages_repository": "https://a.example.com/x y"},
            "kube_packages_repository: https://a.example.com/x y",
        ),
        (
            {"kube_packages_repository_key": "https://a\n.example.com/key"},
            "kube_packages_repository_key: https://a\n.e",
        ),
        ({"container_runtime_repository_url": "https://:80/"}, "container_runtime_repository_url: https://:80/ is"),
        (
            {"helm_download_url": "https://a.example.com/\tb"},
            "helm_download_url: https://a.example.com/\tb is malformed.",
        ),
        ({"metallb_chart_repository": "http://[::1/"}, "metallb_chart_repository: http://["),
        ({"metallb_chart": "oci://a b/c"}, "metallb_chart: oci://a b/c is malformed."),
        ({"helm_archive_checksum": "sha256:abc"}, "helm_archive_checksum: is neither a SHA-256 nor the"),
        ({"helm_archive_checksum": "0" * 64}, "is neither a SHA-256 nor the address of a file with one. Write it as"),
        ({"helm_archive_checksum": "sha256:" + "0" * 64}, ""),
        ({"helm_archive_checksum": "sha256:https://a.example.com/x"}, ""),
        ({"kube_packages_repository_key": "-----BEGIN PGP PUBLIC KEY BLOCK-----\n"}, ""),
        ({"metallb_chart": "./charts/my chart", "metallb_chart_repository": ""}, ""),
        ({"kube_packages_repository": "mirror+https://a.example.com/list"}, ""),
    ],
)
def test_addresses(given: t.Dict[str, t.Any], expected: str) -> None:
    found = list(check_addresses([Host("cp1", control_plane=True, variables=given)]))
    text = "".join(f"{problem.subject}: {problem.message} {problem.remedy}" for problem in found)
    assert expected in text and len(found) == bool(expected)


def test_the_version_of_the_distribution_s_containerd() -> None:
    def versions(**given: t.Any) -> t.Any:
        found = sources.sources({**VARIABLES, **given}, node(), "worker1")
        return next(item["versions"] for item in found if item["kind"] == "packages")

    assert versions() == {}
    assert versions(container_runtime_version="2.9.9") == {"containerd": "2.9.9"}
    assert versions(container_runtime_version="2.9.9", container_runtime_keep=True) == {}
    docker = {"container_runtime_source": "docker", "api_endpoint_provider": "keepalived"}
    found = sources.sources({**VARIABLES, **docker, "container_runtime_version": "2.9.9"}, node(), "cp1")
    assert next(item["versions"] for item in found if item["kind"] == "packages") == {}
