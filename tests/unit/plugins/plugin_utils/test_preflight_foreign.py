# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of somebody else where roles would write theirs."""

from __future__ import annotations

import fnmatch
import typing as t

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils import _marks
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.checks import foreign as checks
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import Host

HAPROXY = "/etc/haproxy/haproxy.cfg"
COMPLETION = "/usr/local/share/zsh/site-functions/_kubectl"


def host(*foreign: str, control_plane: bool = True, **variables: t.Any) -> Host:
    return Host("node1", control_plane, not control_plane, variables, facts={"foreign_files": list(foreign)})


@pytest.mark.parametrize("path", [HAPROXY, "/etc/keepalived/keepalived.conf"])
def test_another_load_balancer_is_not_replaced(path: str) -> None:
    [problem] = checks.check_foreign_files([host(path, api_endpoint_provider="keepalived")])
    assert (problem.host, problem.subject, problem.severity) == ("node1", path, "error")
    assert "api_endpoint_provider: external" in problem.remedy


def test_completion_of_somebody_else_is_not_replaced() -> None:
    [problem] = checks.check_foreign_files([host(COMPLETION, kubeconfig_completion=True)])
    assert "kubeconfig_completion: false" in problem.remedy
    [problem] = checks.check_foreign_files([host("/usr/local/bin/k", kubeconfig_k_alias=True)])
    assert "kubeconfig_k_alias: false" in problem.remedy


@pytest.mark.parametrize(
    "harmless",
    [
        host(api_endpoint_provider="keepalived"),
        host(HAPROXY, api_endpoint_provider="external"),
        host(HAPROXY, control_plane=False, api_endpoint_provider="keepalived"),
        host(COMPLETION, kubeconfig_completion=False),
        Host("node1", True, False, {"api_endpoint_provider": "keepalived"}),
    ],
)
def test_what_no_role_writes_there_does_not_matter(harmless: Host) -> None:
    assert list(checks.check_foreign_files([harmless])) == []


def test_each_file_that_is_looked_at_has_a_remedy() -> None:
    for pattern in _marks.WRITTEN:
        assert any(fnmatch.fnmatchcase(pattern.replace("*", "x"), file.pattern) for file in checks.FILES), pattern


def member(name: str, *authorities: str, control_plane: bool = True, **state: t.Any) -> Host:
    kubernetes = {"ca_cert_hashes": list(authorities), "completed": False, "unfinished": None, **state}
    return Host(name, control_plane, not control_plane, {}, facts={"kubernetes": kubernetes})


@pytest.mark.parametrize("first", [member("cp1", "ours", completed=True), member("cp1", "ours"), member("cp1")])
def test_a_ca_that_joining_would_replace_is_refused(first: Host) -> None:
    [problem] = checks.check_authorities([first, member("cp2", "theirs"), member("cp3")])
    assert (problem.host, problem.subject) == ("cp2", "/etc/kubernetes/pki/ca.crt")
    assert "another CA than that of cp1" in problem.message


@pytest.mark.parametrize(
    "hosts",
    [
        [],
        [member("cp1", "theirs")],
        [member("cp1", "ours"), member("cp2", "ours")],
        [member("cp1"), member("cp2", "ours", completed=True)],
        [member("cp1", "ours"), member("cp2", "half done", unfinished={"operation": "join"})],
        [member("cp1", "ours"), member("w1", "theirs", control_plane=False)],
        [Host("cp1", True, False), member("cp2", "ours")],
    ],
)
def test_a_ca_that_nobody_replaces_does_not_matter(hosts: t.List[Host]) -> None:
    assert list(checks.check_authorities(hosts)) == []
