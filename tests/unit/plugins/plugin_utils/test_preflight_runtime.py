# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks on the container runtime."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils._runtimes.containerd import meaning
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.checks import runtime as checks
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import Host, run_checks

CONFIG = "/etc/containerd/config.toml"
QUAY = "/etc/containerd/certs.d/quay.io/hosts.toml"
PEM = "-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----"
MIRROR = {"url": "https://m.example.com:5000/v2/x"}
LOGIN = {**MIRROR, "username": "u", "password": "hunter2"}
#: What somebody wrote by hand, in other words than we would.
SAME = meaning(
    """\
server = "https://quay.io"
# ours
[host."https://m.example.com:5000/v2/x"]
  capabilities = ["pull", "resolve"]

  override_path = true
"""
)


def said(containerd: t.Optional[t.Dict[str, t.Any]] = None, **given: t.Any) -> t.List[str]:
    runtime = {"installed": True, "version": "1.7.24", "path": "/usr/bin/containerd", "package": "containerd"}
    facts = {"os": {"family": "debian"}, "runtime": {"containerd": {**runtime, **(containerd or {})}}}
    variables = {
        "container_runtime_provider": "containerd",
        "container_runtime_source": "distribution",
        "container_runtime_foreign_files": "refuse",
        **given,
    }
    hosts = [Host("cp1", True, False, variables, facts=facts), Host("cp2", True, False, {})]
    problems = run_checks(checks.CHECKS, hosts)
    return [f"{problem.severity}: {problem.subject}: {problem.message} {problem.remedy}" for problem in problems]


def mirrors(upstream: str, *entries: t.Any) -> t.Dict[str, t.Any]:
    return {"container_runtime_registry_mirrors": {upstream: list(entries)}}


def drop_in(**more: t.Any) -> t.Dict[str, t.Any]:
    says = {"version": 2, "cri": True, "systemd_cgroup": False, "registries": False}
    return {"drop_ins": [{"path": "/etc/containerd/conf.d/99-nvidia.toml", **says, **more}]}


def test_a_distribution_without_its_package() -> None:
    both = {"distribution": "containerd", "docker": "containerd.io"}
    packages = {"redhat": {"docker": "containerd.io"}, "debian": {}, "fedora": both, "amzn": {"distribution": "x"}}
    platforms = {"containerd": {name: {"packages": sources} for name, sources in packages.items()}}

    def problems(family: str, source: str, name: str = "rocky", title: str = "Rocky Linux 9.6") -> t.List[str]:
        facts = {"os": {"id": name, "family": family, "pretty_name": title}}
        variables = {
            "container_runtime_provider": "containerd",
            "container_runtime_source": source,
            "__container_runtime_platforms": platforms,
        }
        found = checks.check_runtime([Host("cp1", True, False, variables, facts=facts)])
        return [f"{problem.subject} {problem.message} {problem.remedy}" for problem in found]

    assert problems("redhat", "distribution") == [
        "container_runtime_source is distribution, and Rocky Linux 9.6 has no containerd from there. Set it to docker."
    ]
    assert problems("redhat", "docker") == problems("debian", "distribution") == problems("suse", "distribution") == []
    # What a distribution has by its own name is not that of its family.
    assert problems("redhat", "distribution", "fedora") == problems("redhat", "docker", "fedora") == []
    assert problems("redhat", "distribution", "amzn") == []
    assert problems("redhat", "docker", "amzn", "Amazon Linux 2023.9.20250929") == [
        "container_runtime_source is docker, and Amazon Linux 2023.9.20250929 has no containerd from there. "
        "Set it to distribution."
    ]


@pytest.mark.parametrize(
    ("facts", "given"),
    [
        ({}, {}),
        ({"installed": False, "package": "", "path": ""}, {}),
        ({"package": "containerd.io"}, {"container_runtime_source": "docker"}),
        ({"package": "containerd-app"}, {}),
        ({"package": "", "release": "2.4.2", "packages": {}}, {"container_runtime_source": "release"}),
        ({"installed": False, "package": "", "path": "", "packages": {}}, {"container_runtime_source": "release"}),
        # The machine's package manager is not known.
        ({"package": None}, {}),
        # A registry without a mirror in the inventory keeps what somebody wrote for it.
        ({"foreign_files": [QUAY]}, mirrors("docker.io", MIRROR)),
        ({"foreign_files": [CONFIG, QUAY]}, {**mirrors("quay.io", MIRROR), "container_runtime_foreign_files": "copy"}),
        # What says the same is replaced without loss.
        ({"foreign_files": [QUAY], "foreign_hosts": {QUAY: SAME}}, mirrors("quay.io", MIRROR)),
        ({**drop_in(), "version": "2.4.2"}, {}),
        (drop_in(systemd_cgroup=True), {}),
        (drop_in(systemd_cgroup=True, registries=True), mirrors("docker.io", MIRROR)),
        (drop_in(cri=False, version=0), {}),
        ({}, mirrors("docker.io", LOGIN, {**LOGIN, "override_path": False, "ca": PEM})),
        ({}, mirrors("docker.io", "no dictionary")),
        ({}, {"container_runtime_registry_mirrors": {"docker.io": "no list"}}),
    ],
)
def test_what_is_all_right(facts: t.Dict[str, t.Any], given: t.Dict[str, t.Any]) -> None:
    assert said(facts, **given) == []


@pytest.mark.parametrize(
    ("facts", "given", "expected"),
    [
        (
            {"package": "containerd.io"},
            {},
            "error: container_runtime_source: is distribution, whose package is containerd, but containerd.io is"
            " installed, and they exclude each other. Set container_runtime_source: docker, or remove containerd.io",
        ),
        ({}, {"container_runtime_source": "docker"}, "Set container_runtime_source: distribution, or remove"),
        ({"package": ""}, {}, "error: containerd: /usr/bin/containerd is part of no package"),
        (
            {"package": ""},
            {"container_runtime_source": "release"},
            "error: containerd: /usr/bin/containerd is part of no package, and a release would be installed beside it.",
        ),
        (
            {"packages": {"containerd": "1.7.24-1"}},
            {"container_runtime_source": "release"},
            "error: container_runtime_source: is release, but the package containerd is installed, and both would be"
            " there. Set container_runtime_source: distribution; or remove the node",
        ),
        (
            {"package": "", "release": "2.4.2"},
            {},
            "error: container_runtime_source: is distribution, whose package is containerd, but /usr/bin/containerd is"
            " of the release 2.4.2, and both would be there. Set container_runtime_source: release",
        ),
        ({"foreign_files": [CONFIG]}, {}, f"error: {CONFIG}: was not written by this collection"),
        ({"foreign_files": [QUAY]}, mirrors("quay.io", MIRROR), f"error: {QUAY}: was not written by this"),
        (
            {"foreign_files": [QUAY], "foreign_hosts": {QUAY: SAME}},
            mirrors("quay.io", {**MIRROR, "url": "https://other.example.com"}),
            f"error: {QUAY}: was not written by this",
        ),
        (
            {"foreign_files": ["/etc/containerd/certs.d/m_5000_/hosts.toml"]},
            mirrors("m:5000", MIRROR),
            "error: /etc/containerd/certs.d/m_5000_/hosts.toml: was not written",
        ),
        (drop_in(), {}, "error: /etc/containerd/conf.d/99-nvidia.toml: replaces all that"),
        (drop_in(systemd_cgroup=True), mirrors("docker.io", MIRROR), "so takes the mirrors of registries away."),
        (drop_in(version=3), {}, "is of version 3, and containerd 1.7.24 reads version 2. Write it"),
        ({}, mirrors("docker.io", {**MIRROR, "override_path": "no"}), "override_path is neither true nor false"),
        ({}, mirrors("docker.io", {**MIRROR, "ca": "missing.crt"}), "error: cluster_registry_mirrors[docker.io]: has"),
        ({}, mirrors("docker.io", {**MIRROR, "ca": "/no/such.crt"}), "warning: cluster_registry_mirrors[docker.io]"),
        ({}, mirrors("docker.io", {**MIRROR, "ca": ["x"]}), "whose ca is no text"),
        ({}, mirrors("docker.io", {**MIRROR, "ca": "-----BEGIN EC PRIVATE KEY-----\nx"}), "unusable ca: the text has"),
        ({}, mirrors("docker.io", LOGIN, {**LOGIN, "password": "x"}), "has another login for m.example.com:5000 than"),
        ({}, mirrors("docker.io", {**LOGIN, "url": "http://m"}), "warning: cluster_registry_mirrors[docker.io]: has a"),
    ],
)
def test_one_thing_wrong(facts: t.Dict[str, t.Any], given: t.Dict[str, t.Any], expected: str) -> None:
    (text,) = said(facts, **given)
    assert expected in text
    assert "hunter2" not in text and "PRIVATE" not in text


def test_settings_that_toml_cannot_say() -> None:
    (text,) = said(container_runtime_config={"plugins": {"a": {"b": None}}})
    assert text.startswith(
        "error: container_runtime_config: plugins.a.b is null, which TOML has not: leave the key out"
    )
    assert said(container_runtime_config={"plugins": {"a": {"b": [1, "x", {"c": 0.5}]}}}) == []
    assert said(container_runtime_config="text") == []
