# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks on files of control planes."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.checks import files as checks
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import Host

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


DISCOVERY = "/api/v1/namespaces/kube-public/configmaps/cluster-info"
AUTHENTICATION = argument("authentication-config", f"{FOLDER}/authentication.yaml")


def authentication(text: str, **given: t.Any) -> Host:
    """A control plane with a configuration of authentication."""
    return host({"name": "authentication.yaml", "content": text}, api_server=AUTHENTICATION, **given)


def allowed(*paths: str) -> str:
    conditions = ", ".join(f"{{path: {path}}}" for path in paths)
    return f"anonymous: {{enabled: true, conditions: [{conditions}]}}\n"


@pytest.mark.parametrize(
    ("hosts", "expected"),
    [
        ([host(api_server=argument("anonymous-auth", "false"))], "anonymous-auth=false lets nobody ask for /livez and"),
        ([authentication("anonymous: {enabled: false}\n")], "authentication.yaml lets nobody ask for /livez and"),
        (
            [authentication(allowed("/livez"))],
            "nobody ask for /readyz without saying who it is: so the API",
        ),
        (
            [authentication(allowed("/livez", "/readyz")), Host("worker1", facts={"kubernetes": {"joined": False}})],
            f"lets nobody ask for {DISCOVERY} without saying who it is: so no machine can join.",
        ),
    ],
)
def test_nobody_may_ask(hosts: t.List[Host], expected: str) -> None:
    assert expected in said(*hosts)
    assert len(said(*hosts).splitlines()) == 1
    # A cluster that works is not questioned.
    for item in hosts:
        assert item.facts
        item.facts["kubernetes"]["joined"] = True
    assert said(*hosts) == ""


@pytest.mark.parametrize(
    "text",
    [
        "anonymous: {enabled: true}\n",
        "jwt: []\n",
        "no: [yaml\n",
        "text\n",
        allowed("/livez", "/readyz", DISCOVERY),
    ],
)
def test_somebody_may_ask(text: str, tmp_path: Path) -> None:
    worker = Host("worker1", facts={"kubernetes": {"joined": False}})
    assert said(authentication(text), worker) == ""
    path = tmp_path / "authentication.yaml"
    path.write_text(text)
    entry = {"name": "authentication.yaml", "source": str(path)}
    assert said(host(entry, api_server=AUTHENTICATION), worker) == ""


def test_what_is_not_known_is_not_refused(tmp_path: Path) -> None:
    path = tmp_path / "authentication.yaml"
    path.write_text("$ANSIBLE_VAULT;1.1;AES256\n3030\n")
    assert said(host({"name": "authentication.yaml", "source": str(path)}, api_server=AUTHENTICATION)) == ""
    assert said(host(api_server=argument("anonymous-auth", "true"))) == ""
    worker = Host("worker1", facts={"kubernetes": {"joined": False}})
    discovery = {"discovery": {"file": {"kubeConfigPath": "/root/discovery.conf"}}}
    assert said(authentication(allowed("/livez", "/readyz"), node_join_configuration=discovery), worker) == ""
