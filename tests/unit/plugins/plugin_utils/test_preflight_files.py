# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks on files of control planes."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.plugin_utils import _preflight_files as checks
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight import Host

FOLDER = "/etc/kubernetes/slipway"
AUDIT = {"name": "audit.yaml", "content": "rules: []\n"}


def said(*hosts: Host) -> str:
    return "\n".join(
        f"{p.severity} {p.host or 'cluster'}: {p.subject}: {p.message} {p.remedy}"
        for check in checks.CHECKS
        for p in check(hosts)
    )


def host(*files: t.Any, api_server: t.Any = None, name: str = "cp1", joined: bool = False, **variables: t.Any) -> Host:
    given = {
        "control_plane_files": list(files),
        "control_plane_cluster_configuration": {"apiServer": api_server} if api_server else {},
        "inventory_dir": "/nonexistent",
        **variables,
    }
    return Host(name, control_plane=True, variables=given, facts={"kubernetes": {"joined": joined}})


def argument(name: str, value: str, *volumes: str) -> t.Dict[str, t.Any]:
    return {
        "extraArgs": [{"name": name, "value": value}],
        "extraVolumes": [{"name": "v", "mountPath": path} for path in volumes],
    }


def test_what_is_right_is_not_mentioned(tmp_path: Path) -> None:
    (tmp_path / "keys.yaml").write_text("x")
    keys = {"name": "keys.yaml", "source": "keys.yaml", "secret": True, "mode": "0600"}
    patch = {"name": "patches/etcd+merge.yaml", "content": "{}"}
    good = host(
        AUDIT,
        keys,
        patch,
        api_server=argument("audit-policy-file", f"{FOLDER}/audit.yaml"),
        inventory_dir=str(tmp_path),
        control_plane_init_configuration={"patches": {"directory": f"{FOLDER}/patches"}},
    )
    assert said(good, Host("worker1", variables={"control_plane_files": [{"name": "/"}]})) == ""
    assert said(host(api_server=argument("audit-log-path", "/var/log/audit/a.log", "/var/log/audit"))) == ""
    assert said(host(api_server=argument("audit-policy-file", "/etc/kubernetes/pki/audit.yaml"))) == ""
    # What a running cluster does well with is not questioned.
    assert said(host(api_server=argument("audit-policy-file", "/srv/audit.yaml"), joined=True)) == ""


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        (host(AUDIT, AUDIT), "cp1: control_plane_files: audit.yaml stands there twice."),
        (host({"name": "../a", "content": ""}), "'../a' is no name of a file below /etc/kubernetes/slipway."),
        (host({"name": "a"}), "a has neither content nor source."),
        (host({**AUDIT, "source": "a"}), "audit.yaml has both content and source."),
        (host({"name": "a", "source": "b"}), "the source of a, /nonexistent/b, does not exist on the controller."),
        (host({**AUDIT, "mode": "384"}), "the mode of audit.yaml is wrong: '384' is no mode"),
        (host({**AUDIT, "secret": True, "mode": "0644"}), "others than root could read the secret with the mode 0644."),
        (
            host(AUDIT, api_server=argument("audit-policy-file", f"{FOLDER}/policy.yaml")),
            "apiServer has the argument audit-policy-file=/etc/kubernetes/slipway/policy.yaml, which is not among",
        ),
        (
            host(api_server=argument("encryption-provider-config", "/srv/keys.yaml", "/srv/key")),
            "apiServer has the argument encryption-provider-config=/srv/keys.yaml, a file that its static pod does not",
        ),
        (
            host(api_server=argument("audit-log-path", "/var/log/audit.log")),
            "warning cp1: control_plane_cluster_configuration: apiServer writes its audit log to /var/log/audit.log",
        ),
        (
            host(AUDIT, control_plane_init_configuration={"patches": {"directory": f"{FOLDER}/patches/"}}),
            "patches.directory is /etc/kubernetes/slipway/patches, and control_plane_files has no file there.",
        ),
    ],
)
def test_mistakes(wrong: Host, expected: str) -> None:
    assert expected in said(wrong)
    assert len(said(wrong).splitlines()) == 1


def test_control_planes_that_differ() -> None:
    assert "cluster: control_plane_files: differs between control planes (cp1 and cp2)." in said(
        host(AUDIT), host(name="cp2")
    )
