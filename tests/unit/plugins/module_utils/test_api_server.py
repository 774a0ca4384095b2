# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import http.server
import socket
import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import api_server
from ansible_collections.slipway.kubernetes.plugins.module_utils._layout import KUBEADM
from ansible_collections.slipway.kubernetes.tests.unit.plugins.tls_fakes import certificate, serving

MANIFEST = """\
metadata:
  annotations:
    kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint: {}
  labels:
    component: kube-apiserver
"""


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        ("172.30.0.11:6443", ("172.30.0.11", 6443)),
        ('"172.30.0.11:7443"', ("172.30.0.11", 7443)),
        ("'[fd00::11]:6443'", ("fd00::11", 6443)),
        ("172.30.0.11", None),
    ],
)
def test_advertised(annotation: str, expected: t.Optional[t.Tuple[str, int]]) -> None:
    assert api_server.advertised(MANIFEST.format(annotation)) == expected


def test_a_manifest_without_an_address() -> None:
    assert api_server.advertised("metadata: {}\n") is None


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the certificate, and its key, that the server below has."""
    folder = tmp_path_factory.mktemp("pki")
    certificate(folder)
    return folder


@pytest.fixture
def server(authority: Path, request: pytest.FixtureRequest) -> t.Iterator[int]:
    """The port of a server whose /readyz answers with the status that the test is about."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(request.param if self.path == "/readyz" else 404)
            self.end_headers()

        def log_message(self, *_args: t.Any) -> None:
            """Say nothing."""

    with serving(Handler, authority / "tls.crt", authority / "tls.key") as port:
        yield port


@pytest.mark.parametrize(("server", "ready"), [(200, True), (500, False)], indirect=["server"])
def test_answers_ready(server: int, ready: bool, authority: Path) -> None:
    assert api_server.answers_ready("127.0.0.1", server, str(authority / "tls.crt")) is ready


@pytest.mark.parametrize("server", [200], indirect=True)
def test_another_authority(server: int) -> None:
    other = Path(__file__).parents[1] / "fixtures" / "kubeadm" / "ca.crt"
    assert not api_server.answers_ready("127.0.0.1", server, str(other))


def test_nobody_answers(authority: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    assert not api_server.answers_ready("127.0.0.1", port, str(authority / "tls.crt"))


@pytest.mark.parametrize("server", [200], indirect=True)
@pytest.mark.parametrize("lacking", ["", "manifest", "ca.crt", "address"])
def test_is_ready(server: int, authority: Path, tmp_path: Path, lacking: str) -> None:
    manifest = tmp_path / "kube-apiserver.yaml"
    if lacking != "manifest":
        manifest.write_text("" if lacking == "address" else MANIFEST.format(f"127.0.0.1:{server}"))
    ca = authority / "tls.crt" if lacking != "ca.crt" else tmp_path / "none"
    layout = dataclasses.replace(KUBEADM, manifests=str(tmp_path), authority=str(ca))
    assert api_server.is_ready(layout) is not bool(lacking)
