# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks on what no package brings."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight import facts as preflight_facts
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight import sources
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.checks import foreign, releases
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import Host, run_checks

Values = t.Dict[str, t.Any]
PACKAGED = {"kubernetes": {"packaged": ["/usr/bin/kubeadm", "/usr/bin/kubelet"]}}
RELEASED = {"kubernetes": {"packaged": []}, "releases": {"kubeadm": "1.37.1", "kubelet": "1.37.1", "runc": "1.5.2"}}
OURS = {
    "kube_packages_source": "release",
    "kube_packages_names": ["kubeadm", "kubelet", "kubectl"],
    "kube_packages_crictl_version": "1.37.0",
    "kube_packages_cni_plugins_version": "1.9.1",
    "__kube_packages_downloads": [{"name": name} for name in ("kubeadm", "kubelet", "cni-plugins")],
}
RUNTIME = {
    "container_runtime_source": "release",
    "container_runtime_version": "2.4.2",
    "container_runtime_runc_version": "1.5.2",
    "__container_runtime_downloads": [{"name": "containerd"}, {"name": "runc"}],
}


def said(facts: t.Optional[Values] = None, **given: t.Any) -> t.List[str]:
    hosts = [Host("cp1", True, False, {"kube_packages_source": "packages", **given}, facts=facts or {})]
    problems = run_checks((*releases.CHECKS, foreign.check_foreign_files), [*hosts, Host("cp2", True, False, {})])
    return [f"{problem.severity}: {problem.subject}: {problem.message} {problem.remedy}" for problem in problems]


@pytest.mark.parametrize(
    ("facts", "given"),
    [
        ({}, {}),
        ({}, OURS),
        (RELEASED, {**OURS, **RUNTIME}),
        (PACKAGED, {}),
        # Of the runtime alone.
        ({"kubernetes": {}, "releases": {"containerd": "2.4.2"}}, {}),
        ({}, {**RUNTIME, "container_runtime_version": "2.5.0-rc.1"}),
        ({}, {"container_runtime_source": "distribution", "container_runtime_version": ""}),
        ({}, {**OURS, "kube_packages_checksums": {"cni-plugins": "sha256:https://m.example.com/x"}}),
        ({}, {"kube_packages_checksums": {"x": "y"}, "kube_packages_names": ["kubeadm", "kubelet", "cri-tools"]}),
        ({"foreign_files": ["/etc/crictl.yaml"]}, {}),
    ],
)
def test_what_is_all_right(facts: Values, given: Values) -> None:
    assert said(facts, **given) == []


@pytest.mark.parametrize(
    ("facts", "given", "expected"),
    [
        (
            PACKAGED,
            OURS,
            "error: kube_packages_source: is release, but packages have brought /usr/bin/kubeadm, /usr/bin/kubelet, and"
            " both would be there. Set it to packages; or remove the node",
        ),
        (
            RELEASED,
            {},
            "error: kube_packages_source: is packages, but kubeadm and kubelet of a release are there, and found before"
            " those of packages. Set it to release; or remove the node",
        ),
        ({"releases": {"kubelet": "1"}}, {}, "is packages, but kubelet of a release is there, and found"),
        (
            {},
            {**RUNTIME, "container_runtime_version": ""},
            "error: container_runtime_version: (empty) is not the version of a release. Name one with all three",
        ),
        ({}, {**RUNTIME, "container_runtime_version": "2.4.*"}, "2.4.* is not the version of a release."),
        ({}, {**RUNTIME, "container_runtime_runc_version": "1.5"}, "container_runtime_runc_version: 1.5 is not"),
        ({}, {**OURS, "kube_packages_crictl_version": "v1.37.0"}, "kube_packages_crictl_version: v1.37.0 is not"),
        (
            {},
            {**OURS, "kube_packages_names": ["kubeadm", "kubelet", "cri-tools"]},
            "error: kube_packages_names: has cri-tools, of which there is no release. Leave it out",
        ),
        (
            {},
            {**OURS, "kube_packages_checksums": {"kubelet": "1234"}},
            "error: kube_packages_checksums[kubelet]: 1234 is neither a SHA-256 nor the address of a file with one.",
        ),
        ({}, {**OURS, "kube_packages_checksums": {"kubelet": ""}}, "kube_packages_checksums[kubelet]: (empty) is"),
        (
            {},
            {**RUNTIME, "container_runtime_checksums": {"kontainerd": "sha256:" + "0" * 64}},
            "container_runtime_checksums[kontainerd]: is of nothing that is downloaded. There are containerd, runc.",
        ),
        (
            {"foreign_files": ["/usr/local/lib/systemd/system/kubelet.service"]},
            OURS,
            "kubelet.service: would be replaced, and somebody else has written it. Move it away",
        ),
    ],
)
def test_one_thing_wrong(facts: Values, given: Values, expected: str) -> None:
    (text,) = said(facts, **given)
    assert expected in text


def test_sources_of_what_is_not_there_yet() -> None:
    def entry(name: str, version: str, checksum: str = "sha256:https://m/x") -> Values:
        return {"name": name, "version": version, "url": f"https://m/{name}-{version}", "checksum": checksum}

    variables = {
        "__kube_packages_releases": [entry("kubeadm", "1.37.1"), entry("kubelet", "1.38.0")],
        "__container_runtime_releases": [entry("containerd", "2.4.2"), entry("runc", "1.5.2", "md5:x")],
    }
    node = {"kubernetes": {"completed": True, "kubelet_version": ""}, "releases": {"kubeadm": "1.37.1"}}
    assert sources.sources(variables, node, "w1") == [
        {
            **{"subject": "kube_packages_download_url", "kind": "archive", "name": "kubelet"},
            **{"url": "https://m/kubelet-1.38.0", "checksum": "sha256:https://m/x"},
        },
        {
            **{"subject": "container_runtime_download_url", "kind": "archive", "name": "containerd"},
            **{"url": "https://m/containerd-2.4.2", "checksum": "sha256:https://m/x"},
        },
    ]


@pytest.mark.parametrize(("wanted", "expected"), [("2.4.2", []), ("", []), ("2.5.0", ["containerd 2.4.2"])])
def test_another_release_of_the_runtime_on_a_node(wanted: str, expected: t.Sequence[str]) -> None:
    facts = {
        "kubernetes": {"joined": True},
        "configuration": {"kubelet": "x"},
        "runtime": {"containerd": {"release": "2.4.2", "packages": {}}},
    }
    variables = {**RUNTIME, "container_runtime_provider": "containerd", "container_runtime_version": wanted}
    host = Host("w1", False, True, variables, facts=facts)
    assert [present for _host, present in preflight_facts.other_runtimes([host])] == expected
