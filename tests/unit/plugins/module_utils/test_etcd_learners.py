# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Members of etcd that have no vote yet, as etcd's own gateway tells them."""

from __future__ import annotations

import http.server
import json
import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import CommandError, CommandResult
from ansible_collections.slipway.kubernetes.plugins.module_utils._etcd import etcd_learners
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.kubectl import Kubectl
from ansible_collections.slipway.kubernetes.tests.unit.plugins.package_fakes import FakeRunner
from ansible_collections.slipway.kubernetes.tests.unit.plugins.tls_fakes import certificate, serving

#: Recorded from etcd 3.7.0, with a member that was added and has not started.
MEMBERS = [
    {
        "ID": "10763286386016175102",
        "name": "flt3",
        "peerURLs": ["https://192.0.2.1:2380"],
        "clientURLs": ["https://192.0.2.1:2379"],
    },
    {"ID": "4228396379285331554", "peerURLs": ["https://192.0.2.2:2380"], "isLearner": True},
]


class Gateway(http.server.BaseHTTPRequestHandler):
    """Answers as etcd does."""

    answer: t.ClassVar[t.Any] = {"header": {"member_id": "1"}, "members": MEMBERS}
    asked: t.ClassVar[t.List[t.Any]] = []

    def do_POST(self) -> None:
        self.asked.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(self.answer).encode())

    def log_message(self, *_arguments: t.Any) -> None:
        """Say nothing."""


@pytest.fixture
def gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> t.Iterator[t.Tuple[str, t.Type[Gateway]]]:
    """An etcd on this machine, with a certificate that is its own CA and the client's, too."""
    crt, key = certificate(tmp_path)
    handler = type("Handler", (Gateway,), {"asked": []})
    monkeypatch.setattr(etcd_learners, "AUTHORITY", str(crt))
    monkeypatch.setattr(etcd_learners, "CLIENT", str(tmp_path / "tls"))
    with serving(handler, crt, key, asks_clients=True) as port:
        yield f"https://127.0.0.1:{port}", handler


def cluster(*urls: str) -> Kubectl:
    pods = [{"metadata": {"annotations": {etcd_learners._CLIENT_URLS: url}}} for url in urls]
    answers = {"get pods": json.dumps({"items": [{"metadata": {}}, *pods]})}
    return Kubectl(FakeRunner(answers, tools=("kubectl",)), "/dev/null")


def test_learners_are_seen(gateway: t.Tuple[str, t.Type[Gateway]]) -> None:
    url, handler = gateway
    # The first member is on a machine that is away.
    found = etcd_learners.learners(cluster("https://127.0.0.1:1", url))
    assert found == [MEMBERS[1]]
    assert handler.asked == [("/v3/cluster/member/list", b"{}")]


@pytest.mark.parametrize("answer", [{"error": "no"}, {"members": None}, [], "x"])
def test_other_answers_tell_nothing(gateway: t.Tuple[str, t.Type[Gateway]], answer: t.Any) -> None:
    url, handler = gateway
    handler.answer = answer
    assert etcd_learners.learners(cluster(url)) == []
    assert handler.asked


def test_etcd_that_cannot_be_asked_has_none_that_are_known(gateway: t.Tuple[str, t.Type[Gateway]]) -> None:
    assert etcd_learners.learners(cluster()) == []
    assert etcd_learners.learners(cluster("https://127.0.0.1:1", "", "no URL")) == []
    refused = CommandError("Forbidden", CommandResult(["kubectl"], 1, "", "Forbidden"))
    away = Kubectl(FakeRunner({"get pods": refused}, tools=("kubectl",)), "/dev/null")
    assert etcd_learners.learners(away) == []
