# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks on Docker Engine with cri-dockerd."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.checks import runtime as checks
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.checks.machines import check_users
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.checks.nodes import check_arguments
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import Host, run_checks

Values = t.Dict[str, t.Any]

CONFIG = "/etc/docker/daemon.json"
UNIT = "/etc/systemd/system/cri-docker.service"
MIRROR = {"url": "https://m.example.com:5000"}
URL = "https://github.com/Mirantis/cri-dockerd/releases/download/v0.4.3/cri-dockerd-0.4.3.amd64.tgz"
ABSENT = {"installed": False, "version": "", "path": "", "package": "", "engine": {}}
OTHERS = {"cgroup_driver": "cgroupfs", "live_restore": False, "others": 2}
VARIABLES = {
    "cluster_version": "1.37.1",
    "cluster_cri_socket": "unix:///var/run/cri-dockerd.sock",
    "container_runtime_provider": "docker",
    "container_runtime_source": "distribution",
    "container_runtime_foreign_files": "refuse",
    "container_runtime_cri_dockerd_url": URL,
    "container_runtime_cri_dockerd_checksum": "sha256:0",
}


def said(docker: t.Optional[Values] = None, control_plane: bool = False, **given: t.Any) -> t.List[str]:
    runtime = {
        **{"installed": True, "version": "20.10.24", "path": "/usr/sbin/dockerd", "package": "docker.io"},
        "configuration": {"error": "", "cgroup_driver": "", "log_driver": "", "user_namespaces": ""},
        "engine": {"cgroup_driver": "systemd", "live_restore": False, "others": 1},
        **{"flags": [], "foreign_files": []},
    }
    facts = {"os": {"family": "debian"}, "runtime": {"docker": {**runtime, **(docker or {})}}}
    variables = {**VARIABLES, **given}
    hosts = [Host("w1", control_plane, not control_plane, variables, facts=facts), Host("w2", False, True, {})]
    problems = run_checks(checks.CHECKS, hosts)
    return [f"{problem.severity}: {problem.subject}: {problem.message} {problem.remedy}" for problem in problems]


def config(**settings: t.Any) -> Values:
    return {"container_runtime_config": settings}


def mirrors(upstream: str, *entries: t.Any) -> Values:
    return {"container_runtime_registry_mirrors": {upstream: list(entries)}}


@pytest.mark.parametrize(
    ("facts", "given"),
    [
        ({}, {}),
        (ABSENT, {}),
        (ABSENT, {"container_runtime_source": "docker"}),
        ({"configuration": {"cgroup_driver": "systemd", "log_driver": "json-file"}}, {}),
        ({"engine": {**OTHERS, "live_restore": True}}, {}),
        ({"engine": {**OTHERS, "others": 0}}, {}),
        ({"engine": {}}, {}),
        ({"foreign_files": [UNIT]}, {"container_runtime_foreign_files": "copy"}),
        ({}, {"container_runtime_cri_dockerd_url": "", "container_runtime_cri_dockerd_checksum": ""}),
        ({}, config(**{"exec-opts": ["native.cgroupdriver=systemd"], "log-opts": {"max-size": "50m"}})),
        ({}, config(**{"exec-opts": "no list"})),
        ({}, {"container_runtime_config": "text"}),
        ({}, mirrors("docker.io", MIRROR, {"url": "http://m.example.com"})),
        ({}, mirrors("quay.io", {"url": "https://quay.io", "username": "u", "password": "p"})),
        ({}, mirrors("172.30.0.1:5000", {"url": "http://172.30.0.1:5000"})),
        ({}, mirrors("quay.io", "no dictionary")),
        ({}, {"container_runtime_registry_mirrors": {"quay.io": "no list"}}),
        ({}, {"cluster_version": "latest"}),
        ({}, {"cluster_version": "1.35.2"}),
    ],
)
def test_what_is_all_right(facts: Values, given: Values) -> None:
    assert said(facts, **given) == []


@pytest.mark.parametrize(
    ("facts", "given", "expected"),
    [
        ({}, {"container_runtime_source": "crio"}, "is crio, from which there is no docker. Set it to distribution or"),
        ({"package": ""}, {}, "error: Docker Engine: /usr/sbin/dockerd is part of no package, and docker.io would be"),
        (
            {"package": "docker-ce"},
            {},
            "is distribution, whose package is docker.io, but docker-ce is installed, and they exclude each other. Set"
            " container_runtime_source: docker",
        ),
        (
            {"configuration": {"error": f"{CONFIG}, line 2, column 1, is no JSON: Extra data."}},
            {},
            f"error: {CONFIG}: cannot be merged with ours: {CONFIG}, line 2, column 1, is no JSON: Extra data. Mend it",
        ),
        ({"configuration": {"cgroup_driver": "cgroupfs"}}, {}, f"error: {CONFIG}: has native.cgroupdriver=cgroupfs in"),
        ({"configuration": {"log_driver": "journald"}}, {}, f"error: {CONFIG}: has the log-driver journald, and cri-d"),
        (
            {"configuration": {"user_namespaces": "default"}},
            {},
            f"error: {CONFIG}: has userns-remap, with which no pod",
        ),
        ({"flags": ["--log-driver", "--exec-opt"]}, {}, "error: docker.service: is started with --log-driver, --exec-"),
        ({"engine": OTHERS}, {}, "which would end 2 containers of others. Restart it yourself"),
        ({"engine": {**OTHERS, "others": 1}}, {}, "which would end 1 container of others."),
        ({"foreign_files": [UNIT]}, {}, f"error: {UNIT}: was not written by this collection, and the unit of cri-"),
        (
            {},
            {"container_runtime_cri_dockerd_checksum": ""},
            f"error: container_runtime_cri_dockerd_checksum: is empty, and upstream has no file of checksums beside its"
            f" releases. Set it to sha256: and the digest of {URL}, or",
        ),
        (
            {},
            config(**{"exec-opts": ["native.cgroupdriver=cgroupfs"]}),
            "error: container_runtime_config: has native.cgroupdriver=cgroupfs in exec-opts, and the kubelet",
        ),
        ({}, config(**{"log-driver": "local"}), "error: container_runtime_config: has local as log-driver, and cri-"),
        ({}, config(**{"userns-remap": "default"}), "error: container_runtime_config: has userns-remap, with which"),
        ({}, config(hosts=["tcp://0.0.0.0"]), "has hosts, which its unit says on the command line already"),
        ({}, mirrors("quay.io", MIRROR), "error: cluster_registry_mirrors[quay.io]: the mirror https://m.example.com"),
        ({}, mirrors("_default", MIRROR), "error: cluster_registry_mirrors[_default]: _default means any registry"),
        (
            {},
            mirrors("docker.io", {"url": "https://m/v2/x"}),
            "of docker.io has a path, which Docker refuses. Set it so",
        ),
        (
            {},
            {"cluster_cri_socket": "unix:///run/containerd/containerd.sock"},
            "is unix:///run/containerd/containerd.sock, and container_runtime_provider is docker, which does not",
        ),
        (
            {},
            {"cluster_version": "1.38.0"},
            "warning: cluster_version: is 1.38.0, and whether kubectl exec works by cri-dockerd with kubelets of 1.38",
        ),
    ],
)
def test_one_thing_wrong(facts: Values, given: Values, expected: str) -> None:
    (text,) = said(facts, **given)
    assert expected in text


def test_an_authority_that_is_none_is_said_once() -> None:
    (text,) = said(
        **mirrors("docker.io", {**MIRROR, "ca": "-----BEGIN CERTIFICATE-----\nQ\n-----END CERTIFICATE-----"})
    )
    assert "has a mirror with an unusable ca" in text


def test_users_that_the_machine_does_not_know() -> None:
    facts = {"unknown_users": ["alice", "bob"]}
    variables = {"container_runtime_provider": "docker", "container_runtime_docker_users": ["bob"]}
    found = check_users(
        [Host("cp1", True, False, variables, facts=facts), Host("w1", False, True, variables, facts=facts)]
    )
    assert [(problem.host, problem.subject, problem.message) for problem in found] == [
        ("cp1", "kubeconfig_users", "alice is no user of the host."),
        ("cp1", "container_runtime_docker_users", "bob is no user of the host."),
        ("w1", "container_runtime_docker_users", "bob is no user of the host."),
    ]


@pytest.mark.parametrize(("told", "count"), [("ExtendWebSocketsToKubelet=false", 0), ("", 1)])
def test_a_node_that_is_not_told_the_gate(told: str, count: int) -> None:
    """One that joined before 1.36 is not."""
    arguments = {"node-ip": "192.0.2.1", **({"feature-gates": told} if told else {})}
    facts = {"kubernetes": {"joined": True}, "configuration": {"kubelet_arguments": arguments}}
    found = [*check_arguments([Host("w1", False, True, VARIABLES, facts=facts)])]
    assert [problem.subject for problem in found] == ["nodeRegistration.kubeletExtraArgs.feature-gates"] * count
