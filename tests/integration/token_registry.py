# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A registry as Docker Hub, GHCR, Quay and Harbor are: TLS by an authority of its own, pulls with a token only.

It hands the lab's own registry on. Everybody gets a token, also without a login, but only that of the user is good for
pulling; a password where a token is wanted is answered like nothing at all.
"""

from __future__ import annotations

import base64
import dataclasses
import functools
import http.client
import http.server
import json
import pathlib
import secrets
import ssl
import subprocess
import threading
import typing as t
import urllib.parse

#: Headers of a request and of an answer that are handed on.
_ASKED = ("Accept", "Range", "If-None-Match")
_ANSWERED = ("Content-Type", "Content-Length", "Content-Range", "Docker-Content-Digest", "Etag", "Accept-Ranges")


def make_authority(folder: pathlib.Path, address: str) -> tuple[pathlib.Path, pathlib.Path]:
    """An authority, and a server's certificate with its key in one file; returns the paths of both."""
    authority, server = folder / "ca.crt", folder / "server.pem"
    key, request, extensions = folder / "ca.key", folder / "server.csr", folder / "extensions"
    made = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    commands = (
        ["req", "-x509", *made, "-keyout", key, "-out", authority, "-days", "2", "-subj", "/CN=site authority"],
        ["req", *made, "-keyout", server, "-out", request, "-subj", "/CN=registry"],
        ["x509", "-req", "-in", request, "-CA", authority, "-CAkey", key, "-CAcreateserial", "-days", "2"],
    )
    extensions.write_text(f"subjectAltName=IP:{address}\n")
    for command in commands:
        more = ["-extfile", extensions] if command[0] == "x509" else []
        done = subprocess.run(["openssl", *command, *more], check=True, capture_output=True, text=True)
    with server.open("a") as stream:
        stream.write(done.stdout)
    return authority, server


@dataclasses.dataclass(frozen=True)
class Pull:
    """A request for something of a repository that was answered with it."""

    client: str
    repository: str


class TokenRegistry:
    """The registry; it listens on a free port of ``address`` until it is closed."""

    def __init__(self, address: str, backend: str, folder: pathlib.Path, rewrites: t.Mapping[str, str]) -> None:
        """
        :param backend: host and port of the registry that has the images.
        :param rewrites: the beginning of a repository's name there by that of its name here.
        """
        self.user, self.password = "puller", f"pass-{secrets.token_hex(8)}"
        self._token = secrets.token_hex(16)
        self._backend, self._rewrites = backend, rewrites
        self.pulls: list[Pull] = []
        self.authority, certificate = make_authority(folder, address)
        self._server = http.server.ThreadingHTTPServer((address, 0), functools.partial(_Handler, self))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.address = f"{address}:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    @property
    def mirror(self) -> dict[str, str]:
        """What each mirror on this registry has, but for its url."""
        return {"ca": str(self.authority), "username": self.user, "password": self.password}

    def token(self, authorization: str, form: str) -> str | None:
        """A token for whoever asks; none for a wrong password."""
        fields = dict(urllib.parse.parse_qsl(form))
        if authorization.startswith("Basic "):
            user, _colon, password = base64.b64decode(authorization[6:]).decode().partition(":")
        else:
            user, password = fields.get("username", ""), fields.get("password", "")
        if not user and not password:
            return "anonymous"
        return self._token if (user, password) == (self.user, self.password) else None

    def allows(self, authorization: str) -> bool:
        """Whether somebody may pull."""
        return authorization == f"Bearer {self._token}"

    def fetch(self, method: str, path: str, headers: t.Mapping[str, str]) -> http.client.HTTPResponse:
        """The answer of the registry that has the images."""
        for here, there in self._rewrites.items():
            if path.startswith(f"/v2/{here}"):
                path = f"/v2/{there}{path[len(here) + 4 :]}"
                break
        connection = http.client.HTTPConnection(self._backend, timeout=60)
        connection.request(method, path, headers=dict(headers))
        return connection.getresponse()


class _Handler(http.server.BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"

    def __init__(self, registry: TokenRegistry, *arguments: t.Any) -> None:
        self._registry = registry
        super().__init__(*arguments)

    def log_message(self, *_arguments: t.Any) -> None:
        """Print nothing."""

    def do_POST(self) -> None:
        """Hand a token out."""
        form = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        self._hand_out(form)

    def do_HEAD(self) -> None:
        """Answer as to GET, without what was asked for."""
        self.do_GET()

    def do_GET(self) -> None:
        """Hand a token out, or something of a repository."""
        path = urllib.parse.urlsplit(self.path).path
        if path == "/token":
            self._hand_out("")
        elif not self._registry.allows(self.headers.get("Authorization", "")):
            realm = f'Bearer realm="https://{self._registry.address}/token",service="lab"'
            self._say(401, {"errors": [{"code": "UNAUTHORIZED"}]}, {"WWW-Authenticate": realm})
        else:
            self._pull()

    def _hand_out(self, form: str) -> None:
        token = self._registry.token(self.headers.get("Authorization", ""), form)
        if token is None:
            self._say(401, {"errors": [{"code": "UNAUTHORIZED"}]})
        else:
            self._say(200, {"token": token, "access_token": token, "expires_in": 300})

    def _say(self, status: int, document: t.Any, headers: t.Mapping[str, str] | None = None) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": len(body), **(headers or {})}.items():
            self.send_header(name, str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _pull(self) -> None:
        asked = {name: self.headers[name] for name in _ASKED if name in self.headers}
        answer = self._registry.fetch(self.command, self.path, asked)
        if answer.status < 400 and "/manifests/" in self.path:
            repository = self.path.removeprefix("/v2/").partition("/manifests/")[0]
            self._registry.pulls.append(Pull(self.client_address[0], repository))
        self.send_response(answer.status)
        for name in _ANSWERED:
            if answer.getheader(name) is not None:
                self.send_header(name, str(answer.getheader(name)))
        self.end_headers()
        while block := answer.read(1 << 20):
            self.wfile.write(block)
