# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks on CRI-O."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.checks import runtime as checks
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import Host, run_checks

DROP_IN = "/etc/crio/crio.conf.d/99-old.conf"
SITE = "/etc/containers/registries.conf.d/50-site.conf"
MIRROR = {"url": "https://m.example.com:5000/v2/x"}
OLD = {"crun": {"path": "/usr/bin/crun", "version": "1.8.1"}, "runc": {"path": "/usr/sbin/runc", "version": "1.1.5"}}
NEW = {"crun": {"path": "/usr/libexec/crio/crun", "version": "1.26"}}
COPY = {"container_runtime_foreign_files": "copy"}
ABSENT = {"installed": False, "version": "", "path": "", "package": ""}


def said(crio: t.Optional[t.Dict[str, t.Any]] = None, control_plane: bool = False, **given: t.Any) -> t.List[str]:
    runtime = {
        **{"installed": True, "version": "1.36.3", "path": "/usr/bin/crio", "package": "cri-o"},
        **{"registries": {}, "cgroup_manager": ["", ""], "default_runtime": "crun", "oci_runtimes": NEW},
    }
    facts = {"os": {"family": "debian"}, "runtime": {"crio": {**runtime, **(crio or {})}}}
    variables = {
        "cluster_version": "1.37.1",
        "cluster_cri_socket": "unix:///var/run/crio/crio.sock",
        "container_runtime_provider": "crio",
        "container_runtime_source": "crio",
        "container_runtime_foreign_files": "refuse",
        **given,
    }
    hosts = [Host("w1", control_plane, not control_plane, variables, facts=facts), Host("w2", False, True, {})]
    problems = run_checks(checks.CHECKS, hosts)
    return [f"{problem.severity}: {problem.subject}: {problem.message} {problem.remedy}" for problem in problems]


def runtime(**settings: t.Any) -> t.Dict[str, t.Any]:
    return {"container_runtime_config": {"crio": {"runtime": settings}}}


def mirrors(upstream: str, *entries: t.Any) -> t.Dict[str, t.Any]:
    return {"container_runtime_registry_mirrors": {upstream: list(entries)}}


@pytest.mark.parametrize(
    ("facts", "given"),
    [
        ({}, {}),
        (ABSENT, {}),
        ({"version": "1.37.0"}, {}),
        (ABSENT, {"container_runtime_version": "1.36.3"}),
        (ABSENT, {"container_runtime_version": "1.37.*"}),
        ({"version": "1.35.1"}, {"container_runtime_version": "1.37.*", "upgrade_container_runtime": True}),
        ({"version": ""}, {}),
        ({"version": "1.30.1"}, {"cluster_version": "latest"}),
        ({"default_runtime": "runc", "oci_runtimes": OLD}, {}),
        ({"oci_runtimes": {"crun": {"path": "/usr/bin/crun", "version": "1.14.3"}}}, {}),
        ({"oci_runtimes": {"crun": {"path": "/usr/bin/crun", "version": ""}}}, {}),
        ({"oci_runtimes": OLD}, runtime(default_runtime="runc")),
        ({"oci_runtimes": OLD}, runtime(runtimes={"crun": {"runtime_path": "/opt/crun"}})),
        ({}, runtime(cgroup_manager="systemd", pids_limit=4096)),
        ({"cgroup_manager": ["cgroupfs", "/etc/crio/crio.conf"]}, {}),
        ({"cgroup_manager": ["systemd", DROP_IN]}, {}),
        ({"registries": {SITE: ["ghcr.io"]}}, mirrors("quay.io", MIRROR)),
        (
            {"registries": {SITE: ["quay.io"]}},
            {**mirrors("quay.io", MIRROR), "container_runtime_foreign_files": "copy"},
        ),
        ({}, mirrors("quay.io", MIRROR, {"url": "http://m.example.com"})),
        ({}, mirrors("quay.io", "no dictionary")),
        ({}, {"container_runtime_registry_mirrors": {"quay.io": "no list"}}),
        ({}, {"cluster_cri_socket": "unix:///run/somewhere.sock"}),
        ({}, {"container_runtime_config": "text"}),
    ],
)
def test_what_is_all_right(facts: t.Dict[str, t.Any], given: t.Dict[str, t.Any]) -> None:
    assert said(facts, **given) == []


@pytest.mark.parametrize(
    ("facts", "given", "expected"),
    [
        (ABSENT, {"container_runtime_source": "docker"}, "is docker, from which there is no crio. Set it to crio."),
        ({"package": ""}, {}, "error: CRI-O: /usr/bin/crio is part of no package, and cri-o would be installed"),
        (
            ABSENT,
            {"container_runtime_version": "1.35.*"},
            "error: container_runtime_version: is 1.35.*, and CRI-O has to be 1.37 or 1.36 with Kubernetes 1.37.1."
            " Set it to 1.37.* or 1.36.*",
        ),
        (ABSENT, {"container_runtime_version": "1.38.0"}, "error: container_runtime_version: is 1.38.0, and CRI-O has"),
        ({"version": "1.35.1"}, {}, "error: CRI-O: 1.35.1 is installed and stays, and CRI-O has to be 1.37 or 1.36"),
        ({"version": "1.35.1"}, {"container_runtime_version": "1.37.*"}, "-e upgrade_container_runtime=true"),
        ({"oci_runtimes": OLD}, {}, "error: crun: /usr/bin/crun is of version 1.8.1, and each container would fail"),
        (
            {"default_runtime": "runc", "oci_runtimes": OLD},
            runtime(default_runtime="crun"),
            "error: crun: /usr/bin/crun",
        ),
        (
            {"oci_runtimes": OLD},
            runtime(default_runtime="mine", runtimes={"mine": {"runtime_path": "/usr/bin/crun"}}),
            "CRI-O needs 1.14.3 or newer. Install a newer one",
        ),
        (
            {},
            runtime(cgroup_manager="cgroupfs"),
            "error: container_runtime_config: has cgroupfs as crio.runtime.cgroup",
        ),
        ({}, runtime(pids_limit=None), "error: container_runtime_config: crio.runtime.pids_limit is null, which TOML"),
        ({}, {"container_runtime_config": {"runtime": {"a": 1}}}, "has runtime, and all settings of CRI-O are below"),
        ({"cgroup_manager": ["cgroupfs", DROP_IN]}, {}, f"error: {DROP_IN}: says cgroup_manager = cgroupfs after ours"),
        (
            {"registries": {SITE: ["docker.io", "quay.io"]}},
            mirrors("quay.io", MIRROR),
            f"error: {SITE}: was not written by this collection and says how quay.io is asked, which the mirrors",
        ),
        ({}, mirrors("_default", MIRROR), "error: cluster_registry_mirrors[_default]: _default means any registry"),
        ({}, mirrors("quay.io", {"url": "https://m/q"}), "[quay.io]: the mirror https://m/q of quay.io has a path"),
        (
            {},
            {"cluster_cri_socket": "unix:///run/containerd/containerd.sock"},
            "cluster_cri_socket: is unix:///run/containerd/containerd.sock, and container_runtime_provider is crio",
        ),
    ],
)
def test_one_thing_wrong(facts: t.Dict[str, t.Any], given: t.Dict[str, t.Any], expected: str) -> None:
    (text,) = said(facts, **given)
    assert expected in text


def test_an_authority_that_is_a_file_of_nodes() -> None:
    warning, error = sorted(said(**mirrors("quay.io", {**MIRROR, "ca": "/no/such.crt"})), reverse=True)
    assert warning.startswith("warning: cluster_registry_mirrors[quay.io]: has a mirror whose ca /no/such.crt")
    assert "error: cluster_registry_mirrors[quay.io]: the ca /no/such.crt of the mirror" in error
