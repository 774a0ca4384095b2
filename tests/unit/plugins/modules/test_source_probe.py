# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sources that are asked for what will be fetched; a server answers as registries and chart repositories do."""

from __future__ import annotations

import base64
import http.server
import json
import threading
import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import CommandResult, SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._packages import sources as _sources
from ansible_collections.slipway.kubernetes.plugins.module_utils._packages.apt import Apt
from ansible_collections.slipway.kubernetes.plugins.modules import source_probe
from ansible_collections.slipway.kubernetes.tests.unit.plugins.utils import ModuleRunner

INDEX = """\
apiVersion: v1
entries:
  # a comment
  flannel:
  - apiVersion: v2
    name: flannel
    dependencies:
    - name: tigera-operator
      version: 7.7.7
    - version: 8.8.8
    urls:
    - https://example.com/flannel.tgz
    version: v0.28.4
  - name: flannel
    version: "0.28.3"
  other:
    - version: 9.9.9
generated: "2026-01-01"
"""
LOGIN = "Basic " + base64.b64encode(b"bob:s3cret").decode()


class Registry(http.server.BaseHTTPRequestHandler):
    """Answers by path; below /locked it wants a token, which needs a login, below /basic that, below /both either."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: t.Any) -> None:
        self.server.asked.append(args[0])  # type: ignore[attr-defined]

    def _answer(self) -> None:
        path = self.path.partition("?")[0]
        given = self.headers.get("Authorization", "")
        base = f"http://127.0.0.1:{self.server.server_address[1]}"
        if path.startswith("/locked/") and given != "Bearer t0ken":
            self._send(401, "", {"WWW-Authenticate": f'Bearer realm="{base}/token",service="r"'})
        elif path.startswith("/both/") and given != "Bearer t0ken":
            self._send(
                401, "", {"www-authenticate": 'Basic realm="r"', "WWW-Authenticate": f"Bearer realm={base}/token"}
            )
        elif path.startswith("/basic/") and given != LOGIN:
            self._send(401, "", {"WWW-Authenticate": 'Basic realm="r"'})
        elif path == "/token":
            good = given == LOGIN and "scope=repository%3Aflannel%3Apull" in self.path
            self._send(200 if good else 403, json.dumps({"token": "t0ken"}), {})
        elif path.startswith("/basic/elsewhere"):
            self._send(307, "", {"Location": base.replace("127.0.0.1", "localhost") + "/logins/v2"})
        elif path.startswith("/basic/moved"):
            self._send(307, "", {"Location": f"{base}/basic/flannel/manifests/v1"})
        elif path.startswith("/logins/"):
            self._send(403 if given else 200, "", {})
        elif path == "/get-only.tgz":
            self._send(405 if self.command == "HEAD" else 200, "x", {})
        else:
            pages = {
                "/charts/index.yaml": INDEX,
                "/broken/index.yaml": "{",
                "/helm.tgz": "x",
                "/helm.tgz.sha256sum": "0" * 64 + "  helm.tgz\n",
                "/debian/dists/x/InRelease": "x",
                "/old/dists/x/Release": "x",
                "/flat/./Packages.gz": "x",
            }
            manifests = ("/v2/flannel", "/locked/flannel", "/both/flannel", "/basic/flannel", "/v2/charts/flannel")
            known = pages.get(path, "" if path.startswith(tuple(f"{m}/manifests/v1" for m in manifests)) else None)
            self._send(404 if known is None else 200, known or "", {})

    def _send(self, code: int, body: str, headers: t.Mapping[str, str]) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body.encode())


@pytest.fixture(name="server")
def fixture_server() -> t.Iterator[http.server.ThreadingHTTPServer]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Registry)
    server.asked = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(name="base")
def fixture_base(server: http.server.ThreadingHTTPServer) -> str:
    return f"http://127.0.0.1:{server.server_address[1]}"


CLIENT = _sources.Client(5, {})


def said(probe: t.Callable[..., None], source: t.Mapping[str, t.Any], client: _sources.Client = CLIENT) -> str:
    """What the probe complains about; empty when nothing."""
    try:
        probe(client, source)
    except SlipwayError as error:
        return error.msg
    return ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nginx:1", ("docker.io", "library/nginx", "1")),
        ("slipway/probe:1.0", ("docker.io", "slipway/probe", "1.0")),
        ("docker.io/nginx:1", ("docker.io", "library/nginx", "1")),
        ("index.docker.io/slipway/probe:1.0", ("docker.io", "slipway/probe", "1.0")),
        ("localhost/a:1", ("localhost", "a", "1")),
        ("r.example.com:5000/a/b:1", ("r.example.com:5000", "a/b", "1")),
        ("ghcr.io/a/b:1@sha256:ff", ("ghcr.io", "a/b", "sha256:ff")),
    ],
)
def test_names_of_images(text: str, expected: t.Tuple[str, str, str]) -> None:
    assert tuple(_sources.parse_image(text)) == expected


def test_an_image_without_a_tag() -> None:
    with pytest.raises(SlipwayError, match="has no tag"):
        _sources.parse_image("ghcr.io/a/b")


def image(*endpoints: t.Dict[str, t.Any], name: str = "127.0.0.1:1/flannel:v1") -> t.Dict[str, t.Any]:
    return {"image": name, "endpoints": list(endpoints)}


def test_an_image_of_a_mirror(base: str, server: t.Any) -> None:
    assert said(_sources.probe_image, image({"url": f"{base}/v2", "mirror": True})) == ""
    assert server.asked == ["HEAD /v2/flannel/manifests/v1?ns=127.0.0.1:1 HTTP/1.1"]


def test_mirrors_are_asked_in_their_order_and_then_the_registry(base: str) -> None:
    assert said(_sources.probe_image, image({"url": f"{base}/nothing"}, {"url": f"{base}/v2"})) == ""
    text = said(_sources.probe_image, image({"url": f"{base}/nothing"}))
    assert text.startswith(f"127.0.0.1:1/flannel:v1 cannot be had: {base}/nothing: it is not there (HTTP 404);")
    assert "https://127.0.0.1:1/v2: connection refused." in text


@pytest.mark.parametrize("place", ["locked", "basic", "both"])
def test_a_mirror_with_a_login(base: str, place: str) -> None:
    endpoint = {"url": f"{base}/{place}", "username": "bob", "password": "s3cret"}
    assert said(_sources.probe_image, image(endpoint)) == ""
    wrong = said(_sources.probe_image, image({**endpoint, "password": "wr0ng"}))
    assert "HTTP 403" in wrong or "HTTP 401" in wrong
    assert "wr0ng" not in wrong and "bob" not in wrong
    nobody = said(_sources.probe_image, image({"url": f"{base}/{place}"}))
    assert "HTTP 403" in nobody or "asks for a user name and a password" in nobody


@pytest.mark.parametrize("name", ["elsewhere", "moved"])
def test_a_login_is_not_taken_to_another_server(base: str, name: str) -> None:
    mirror = {"url": f"{base}/basic", "mirror": True, "username": "bob", "password": "s3cret"}
    assert said(_sources.probe_image, image(mirror, name=f"127.0.0.1:1/{name}:v1")) == ""


@pytest.mark.parametrize("url", ["http://127.0.0.1/a b", "http://127.0.0.1\n/", " http://127.0.0.1", "http://h:x/"])
def test_malformed_urls(url: str) -> None:
    assert "its URL is malformed" in said(_sources.probe_archive, {"url": url, "checksum": "sha256:" + "0" * 64})


def test_a_password_in_a_url_is_not_shown() -> None:
    text = said(_sources.probe_image, image({"url": "http://bob:s3cret@127.0.0.1:1/v2"}))
    assert "s3cret" not in text and "http://***@127.0.0.1:1/v2: " in text


@pytest.mark.parametrize("content", ["no certificate", ""])
def test_certificates_of_a_mirror(base: str, tmp_path: Path, content: str) -> None:
    """Over TLS where the server speaks none: refused, and said so."""
    endpoint = {"url": base.replace("http:", "https:") + "/v2", "ca_file": str(tmp_path / "x"), "ca_content": content}
    text = said(_sources.probe_image, image(endpoint))
    assert text.count("cannot be had") == 1 and "TLS is not accepted" in text


def test_proxies_of_the_program_that_will_fetch(base: str) -> None:
    proxied = _sources.Client(5, {"HTTP_PROXY": "http://127.0.0.1:1", "NO_PROXY": "192.0.2.0/24"})
    assert "connection refused" in said(_sources.probe_chart, chart("http://192.0.3.1/x.tgz"), proxied)
    assert said(_sources.probe_chart, chart(f"{base}/helm.tgz"), proxied) == ""
    # The server as a proxy has the page, whatever host it is asked for.
    through = _sources.Client(5, {"http_proxy": base})
    assert "HTTP 404" in said(_sources.probe_chart, chart("http://chart.invalid/x.tgz"), through)


def test_variables_in_capitals_come_first(base: str) -> None:
    # As Go reads them, whichever stands last.
    for names in (("HTTP_PROXY", "http_proxy"), ("http_proxy", "HTTP_PROXY")):
        proxies = {name: base if name.isupper() else "http://127.0.0.1:1" for name in names}
        through = _sources.Client(5, proxies)
        assert "HTTP 404" in said(_sources.probe_chart, chart("http://chart.invalid/x.tgz"), through)
        exceptions = {name: "192.0.2.7" if name.isupper() else "*" for name in ("NO_PROXY", "no_proxy")}
        excepted = _sources.Client(5, {**proxies, **exceptions})
        assert "HTTP 404" in said(_sources.probe_chart, chart("http://chart.invalid/x.tgz"), excepted)
    only_there = _sources.Client(5, {"http_proxy": "http://127.0.0.1:1", "no_proxy": "chart.invalid:8080"})
    assert "connection refused" in said(_sources.probe_chart, chart("http://chart.invalid/x.tgz"), only_there)
    assert "connection refused" not in said(_sources.probe_chart, chart("http://chart.invalid:8080/x"), only_there)


def chart(name: str, repository: str = "", version: str = "v0.28.4", **more: t.Any) -> t.Dict[str, t.Any]:
    return {"chart": name, "repository": repository, "version": version, **more}


@pytest.mark.parametrize(
    ("name", "repository", "version", "expected"),
    [
        ("flannel", "BASE/charts/", "v0.28.4", ""),
        ("flannel", "BASE/charts", "0.28.3", ""),
        (
            "flannel",
            "BASE/charts",
            "9.9.9",
            "flannel 9.9.9 of BASE/charts cannot be had: its index has no such version.",
        ),
        ("nothing", "BASE/charts", "1.0.0", "its index has no such chart."),
        ("flannel", "BASE/lost", "1.0.0", "cannot be had: HTTP 404."),
        ("flannel", "BASE/broken", "1.0.0", "cannot be had: its index cannot be read."),
        ("oci://HOST/charts/flannel", "", "v1.0.0+1", ""),
        (
            "oci://HOST/charts/other",
            "",
            "v1",
            "oci://HOST/charts/other v1 cannot be had: it is not there (HTTP 404).",
        ),
        ("BASE/helm.tgz", "", "1", ""),
        ("BASE/get-only.tgz", "", "1", ""),
        ("BASE/lost.tgz", "", "1", "BASE/lost.tgz 1 cannot be had: HTTP 404."),
        ("/nonexistent/flannel.tgz", "", "1", "there is no such file on the host."),
    ],
)
def test_charts(base: str, name: str, repository: str, version: str, expected: str) -> None:
    def filled(text: str) -> str:
        return text.replace("BASE", base).replace("HOST", base[len("http://") :])

    text = said(_sources.probe_chart, chart(filled(name), filled(repository), version, plain_http=True))
    assert filled(expected) in text and bool(text) == bool(expected)


def test_an_authority_of_a_chart(base: str, tmp_path: Path) -> None:
    """Before its file is there nothing is asked; then it counts."""
    file = tmp_path / "ca.crt"
    secure = base.replace("http:", "https:")
    for name, repository in ((f"{secure}/helm.tgz", ""), ("flannel", f"{secure}/charts"), ("oci://r/a", "")):
        assert said(_sources.probe_chart, chart(name, repository, ca_file=str(file))) == ""
    file.write_text("no certificate")
    text = said(_sources.probe_chart, chart(f"{secure}/helm.tgz", ca_file=str(file)))
    assert "certificate" in text.partition("cannot be had: ")[2]


def test_logins_that_helm_may_have(base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logins = tmp_path / "config.json"
    monkeypatch.setattr(source_probe, "LOGINS", (str(logins),))
    probe = source_probe.SourceProbe(Machine(), 5)  # type: ignore[arg-type]
    other = chart(f"oci://{base[len('http://') :]}/charts/other", plain_http=True)
    lost = {"subject": "addons_list[a]", "kind": "chart", **other}
    assert [found["severity"] for found in probe.look(lost)] == ["error"]
    logins.write_text("{}")
    assert [found["severity"] for found in probe.look(lost)] == ["warning"]


def test_versions_of_dependencies_are_not_the_chart_s() -> None:
    assert _sources.chart_versions(INDEX, "flannel") == {"0.28.4", "0.28.3"}
    assert _sources.chart_versions(INDEX, "other") == {"9.9.9"}


def test_challenges() -> None:
    assert _sources.challenge() == ("", {})
    assert _sources.challenge("Basic realm=r") == ("basic", {"realm": "r"})
    several = ('Basic realm="r"', 'Bearer Realm=https://r/token, service="a b"')
    assert _sources.challenge(*several) == ("bearer", {"realm": "https://r/token", "service": "a b"})


def test_an_index_in_json() -> None:
    index = json.dumps({"entries": {"a": [{"version": "v1.0.0"}]}})
    assert _sources.chart_versions(index, "a") == {"1.0.0"}
    assert _sources.chart_versions(index, "b") == set()


def test_archives(base: str, tmp_path: Path) -> None:
    good = {"url": f"{base}/helm.tgz", "checksum": f"sha256:{base}/helm.tgz.sha256sum"}
    assert said(_sources.probe_archive, good) == ""
    assert said(_sources.probe_archive, {**good, "checksum": "sha256:" + "0" * 64}) == ""
    lost = said(_sources.probe_archive, {**good, "url": f"{base}/lost.tgz"})
    assert lost == f"{base}/lost.tgz cannot be had: HTTP 404."
    other = said(_sources.probe_archive, {**good, "url": f"{base}/get-only.tgz"})
    assert other == f"{base}/helm.tgz.sha256sum cannot be had: it has no SHA-256 of get-only.tgz."
    record = tmp_path / "helm.json"
    assert not _sources.is_recorded(str(record), good["url"], good["checksum"])
    record.write_text(json.dumps(good))
    assert _sources.is_recorded(str(record), good["url"], good["checksum"])


# The module


POLICY = """\
containerd:
  Candidate: 1.7
  Version table:
     1.7 500
        500 http://repo.example.com/debian trixie/main amd64 Packages
"""


class Machine:
    """A runner whose apt knows one package."""

    def __init__(self, urls: str = "", config: str = "", apt: bool = True, rc: int = 0) -> None:
        self.answers = {"print-uris": urls, "dump": config, "policy": POLICY}
        self.apt, self.rc = apt, rc

    def which(self, name: str, required: bool = True) -> t.Optional[str]:
        return f"/usr/bin/{name}" if self.apt else None

    def run(self, argv: t.Sequence[str], **_more: t.Any) -> CommandResult:
        words = " ".join(argv)
        said = next((text for key, text in self.answers.items() if key in words), "")
        return CommandResult(list(argv), self.rc, said, "")


def packages(machine: Machine, *names: str, **versions: str) -> t.List[t.Dict[str, str]]:
    probe = source_probe.SourceProbe(machine, 5)  # type: ignore[arg-type]
    source = {"subject": "packages", "kind": "packages", "packages": list(names or ("containerd",))}
    return probe.run([{**source, "versions": versions}])


def test_package_sources(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Apt, "index_age", lambda _self: float("inf"))
    good, lost = (f"'{base}/{name}/dists/x/InRelease' x 0\n" for name in ("debian", "lost"))
    assert packages(Machine(good + "'file:///x' x 0\n")) == []
    assert packages(Machine(good + lost)) == [
        {
            "subject": "packages",
            "message": f"the package source {base}/lost/dists/x/InRelease cannot be reached: HTTP 404.",
            "severity": "warning",
        }
    ]
    assert [found["severity"] for found in packages(Machine(lost))] == ["error"]
    assert packages(Machine(lost, config='Acquire::http::Proxy "http://proxy";\n')) == []
    assert packages(Machine(lost, rc=100)) == []
    # Older repositories have no InRelease, and folders of packages not even a Release.
    for name in ("old/dists/x", "flat/."):
        assert packages(Machine(f"'{base}/{name}/InRelease' x 0\n")) == []
    assert [found["severity"] for found in packages(Machine(f"'{base}/gone/./InRelease' x 0\n"))] == ["error"]


@pytest.mark.parametrize(
    "setting",
    [
        'Acquire::https::CaInfo "/etc/ssl/mirror.pem";',
        'Acquire::https::mirror.example.org::Verify-Peer "false";',
        'Acquire::https::SslCert "/etc/apt/client.pem";',
        'acquire::HTTP::proxy "http://proxy";',
        'Acquire::http::Proxy::deb.example.org "DIRECT";',
    ],
)
def test_ways_of_apt_that_are_not_ours(base: str, setting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Apt, "index_age", lambda _self: float("inf"))
    lost = f"'{base}/lost/dists/x/InRelease' x 0\n"
    assert packages(Machine(lost, config=f"{setting}\n")) == []
    others = 'Acquire::https "";\nAcquire::https::Proxy "";\nAcquire::http::Timeout "10";\n'
    assert [found["severity"] for found in packages(Machine(lost, config=others))] == ["error"]
    assert packages(Machine(lost, apt=False)) == []


def test_a_package_that_no_source_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Apt, "index_age", lambda _self: 60.0)
    (found,) = packages(Machine(), "containerd", "keepalived")
    assert found["message"] == "no package source of the host has keepalived."
    assert packages(Machine(), "containerd") == []


def test_a_version_that_no_source_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Apt, "index_age", lambda _self: 60.0)
    (found,) = packages(Machine(), containerd="2.9.9")
    assert found["message"] == "containerd has no version 2.9.9; available are 1.7."
    assert packages(Machine(), containerd="1.7") == []
    # Of an index that is too old nothing is known.
    monkeypatch.setattr(Apt, "index_age", lambda _self: float("inf"))
    assert packages(Machine(), containerd="2.9.9") == []


def test_all_at_once(run_module: ModuleRunner, base: str) -> None:
    sources = [
        {"subject": "a", "kind": "image", "image": "127.0.0.1:1/flannel:v1", "endpoints": [{"url": f"{base}/v2"}]},
        {"subject": "b", "kind": "chart", "chart": "/nonexistent.tgz", "version": "1"},
        {"subject": "c", "kind": "archive", "name": "x", "url": f"{base}/lost", "checksum": "sha256:" + "0" * 64},
    ]
    result = run_module(source_probe.main, {"sources": sources}, check=True)
    assert not result["changed"]
    assert [(found["subject"], found["severity"]) for found in result["failures"]] == [("b", "error"), ("c", "error")]


def test_a_registry_gets_no_token_out_of_a_file_of_the_machine(tmp_path: Path) -> None:
    """urllib reads files, too, and what stands behind the # is no part of a path."""
    (tmp_path / "credentials.json").write_text('{"access_token": "of-root"}')
    challenge = f'Bearer realm="file://{tmp_path}/credentials.json#"'
    with pytest.raises(SlipwayError, match=r"its token server .* is no http\(s\) URL"):
        _sources._token(_sources.Client(1, {}), [challenge], "a/b", {})


def test_logins_in_addresses_are_hidden(run_module: ModuleRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Arguments are printed with -vvv, and by many callbacks."""
    monkeypatch.setattr(source_probe.SourceProbe, "run", lambda *_: [])
    login = "https://robot:hidden-{}@mirror.example.org"
    mirror = {"url": login.format(5), "password": "hidden-6"}
    sources = [
        {"subject": "s", "kind": "chart", "chart": "a", "repository": login.format(1), "version": "1"},
        {"subject": "s", "kind": "chart", "chart": f"{login.format(2)}/a.tgz", "version": "1"},
        {"subject": "s", "kind": "archive", "url": login.format(3), "checksum": f"sha256:{login.format(4)}/sum"},
        {"subject": "s", "kind": "image", "image": "a:1", "endpoints": [mirror]},
    ]
    result = run_module(source_probe.main, {"sources": sources})
    assert not result["failed"] and "mirror.example.org" in str(result["invocation"])
    assert "hidden" not in str(result)
