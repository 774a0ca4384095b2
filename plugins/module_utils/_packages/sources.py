# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks sources whether they have what will be fetched from them, and fetches none of it.

Registries are asked as container runtimes and Helm ask them, by the OCI distribution specification: mirrors in their
order, then the registry itself, with a bearer token where one is demanded. Private to this collection.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import socket
import ssl
import typing as t
import urllib.error
import urllib.parse
import urllib.request

from ansible_collections.slipway.kubernetes.plugins.module_utils import _tls
from ansible_collections.slipway.kubernetes.plugins.module_utils._archive import find_checksum
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._proxies import (
    Exceptions,
    parse_address,
    variable,
)
from ansible_collections.slipway.kubernetes.plugins.module_utils._shown import url_shown
from ansible_collections.slipway.kubernetes.plugins.module_utils._urls import is_web, split_url

#: Where the API of a registry lives when not at the name that images have.
SERVERS = {"docker.io": "registry-1.docker.io"}
MANIFESTS = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
#: Bytes that are read of an answer: the index of a large chart repository has some megabytes.
LIMIT = 64 * 1024 * 1024

Source = t.Mapping[str, t.Any]
Headers = t.Mapping[str, str]


def shown(url: str) -> str:
    """The URL without user, password and query, for messages."""
    return url_shown(url)


def reason(error: BaseException, timeout: float) -> str:
    """Why a server could not be asked, in a few words."""
    cause = getattr(error, "reason", None) or error
    if isinstance(cause, ssl.SSLError):
        return (
            f"its certificate or TLS is not accepted: {getattr(cause, 'verify_message', '') or cause.reason or cause}"
        )
    if isinstance(cause, (socket.timeout, TimeoutError)):
        return f"no answer in {timeout:g} s"
    return str(getattr(cause, "strerror", None) or cause or type(cause).__name__).lower()


def _server(url: str) -> t.Tuple[str, str]:
    parts = urllib.parse.urlsplit(url)
    return parts.scheme, parts.netloc.lower()


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, with a login to the same server only: Python takes it along to any other."""

    def redirect_request(
        self, req: urllib.request.Request, fp: t.Any, code: int, msg: str, headers: t.Any, newurl: str
    ) -> t.Optional[urllib.request.Request]:
        found = super().redirect_request(req, fp, code, msg, headers, newurl)
        if found is not None and _server(found.full_url) != _server(req.full_url):
            found.remove_header("Authorization")
        return found


class Client:
    """Sends requests.

    :param environment: that of the program in whose place it asks: the proxies in it, and what goes past them.
    """

    def __init__(self, timeout: float, environment: t.Mapping[str, str]) -> None:
        self.timeout = timeout
        values = {name: variable(environment, f"{name}_proxy") for name in ("http", "https", "no")}
        self._proxies = {name: value for name, value in values.items() if value and name != "no"}
        self._exceptions = Exceptions(values["no"])

    def _opener(self, url: str, ca_file: str, ca_content: str) -> urllib.request.OpenerDirector:
        parts = split_url(url)
        host, port = parts.hostname or "", str(parts.port or {"http": 80}.get(parts.scheme, 443))
        path = ca_file if ca_file and os.path.exists(ca_file) else ""
        context = _tls.verified_by_system(path, "" if path else ca_content)
        address = parse_address(host)
        direct = host == "localhost" or (address and address.is_loopback) or self._exceptions.has(host, port)
        proxy = urllib.request.ProxyHandler({} if direct else self._proxies)
        return urllib.request.build_opener(proxy, urllib.request.HTTPSHandler(context=context), _Redirects())

    def ask(
        self,
        url: str,
        method: str = "GET",
        headers: t.Optional[Headers] = None,
        ca_file: str = "",
        ca_content: str = "",
    ) -> bytes:
        """The body of the answer.

        :raises urllib.error.HTTPError: when the server refuses.
        :raises SlipwayError: when it cannot be asked.
        """
        try:
            opener = self._opener(url, ca_file, ca_content)
            request = urllib.request.Request(url, method=method, headers=dict(headers or {}))
            with opener.open(request, timeout=self.timeout) as answer:
                return bytes(answer.read(LIMIT)) if method == "GET" else b""
        except urllib.error.HTTPError:
            raise
        except (http.client.InvalidURL, ValueError) as error:
            # What is said of it quotes the URL, with the password that is in a wrong place.
            raise SlipwayError("its URL is malformed") from error
        except (OSError, http.client.HTTPException) as error:
            raise SlipwayError(reason(error, self.timeout)) from error

    def exists(self, url: str, ca_file: str = "") -> None:
        """Whether there is something to be fetched; not all servers know HEAD.

        :raises SlipwayError: when there is not.
        """
        try:
            self.ask(url, "HEAD", ca_file=ca_file)
        except urllib.error.HTTPError as error:
            if error.code not in (403, 405, 501):
                raise SlipwayError(f"HTTP {error.code}") from error
            self.text(url, ca_file)

    def text(self, url: str, ca_file: str = "") -> str:
        """A document.

        :raises SlipwayError: when there is none.
        """
        try:
            return self.ask(url, ca_file=ca_file).decode("utf-8", "replace")
        except urllib.error.HTTPError as error:
            raise SlipwayError(f"HTTP {error.code}") from error


# Registries


class Image(t.NamedTuple):
    """The name of an image: registry, repository, and tag or digest."""

    registry: str
    repository: str
    reference: str


def parse_image(text: str) -> Image:
    """The parts of an image's name, as Docker and container runtimes read it.

    :raises SlipwayError: when it has no tag.
    """
    name, at, digest = text.partition("@")
    head, slash, rest = name.partition("/")
    if not slash or not re.search(r"[.:]|^localhost$", head):
        head, rest = "docker.io", name
    if head in ("docker.io", "index.docker.io"):
        head, rest = "docker.io", rest if "/" in rest else f"library/{rest}"
    repository, _colon, tag = rest.partition(":")
    if not (digest if at else tag):
        raise SlipwayError(f"{text} has no tag")
    return Image(head, repository, digest if at else tag)


def challenge(*headers: str) -> t.Tuple[str, t.Dict[str, str]]:
    """Scheme and parameters of the headers WWW-Authenticate: of the one with a token, as runtimes prefer it."""
    found = []
    for header in headers:
        scheme, _blank, rest = header.strip().partition(" ")
        pairs = re.findall(r'(\w+)\s*=\s*(?:"([^"]*)"|([^\s",]+))', rest)
        found.append((scheme.lower(), {name.lower(): quoted or bare for name, quoted, bare in pairs}))
    return next((entry for entry in found if entry[0] == "bearer"), found[0] if found else ("", {}))


def _login(endpoint: Source) -> t.Dict[str, str]:
    """The header for the endpoint's user name and password; none without them."""
    if not endpoint.get("username"):
        return {}
    text = f"{endpoint['username']}:{endpoint.get('password') or ''}"
    return {"Authorization": "Basic " + base64.b64encode(text.encode()).decode()}


def _token(client: Client, headers: t.Sequence[str], repository: str, endpoint: Source) -> t.Dict[str, str]:
    """The header with which the registry that sent these challenges lets pull.

    :raises SlipwayError: when no token can be had.
    """
    scheme, parameters = challenge(*headers)
    if scheme == "basic" and _login(endpoint):
        return _login(endpoint)
    if scheme != "bearer" or "realm" not in parameters:
        raise SlipwayError("it asks for a user name and a password")
    if not is_web(parameters["realm"]):
        # The registry would have a file of this machine read, and what is taken for a token in it sent there.
        raise SlipwayError(f"its token server {shown(parameters['realm'])} is no http(s) URL")
    query = {"service": parameters.get("service", ""), "scope": f"repository:{repository}:pull"}
    url = f"{parameters['realm']}?{urllib.parse.urlencode({key: value for key, value in query.items() if value})}"
    certificates = {key: str(endpoint.get(key) or "") for key in ("ca_file", "ca_content")}
    try:
        answer = json.loads(client.ask(url, headers=_login(endpoint), **certificates))
    except urllib.error.HTTPError as error:
        raise SlipwayError(f"its token server {shown(url)} answers HTTP {error.code}") from error
    except ValueError as error:
        raise SlipwayError(f"its token server {shown(url)} answers no token") from error
    token = answer.get("token") or answer.get("access_token") if isinstance(answer, dict) else ""
    return {"Authorization": f"Bearer {token}"}


def has_manifest(client: Client, endpoint: Source, image: Image) -> None:
    """Whether an endpoint has an image.

    :param endpoint: url of the API (with ``/v2``), and username, password, ca_file, ca_content when it needs them.
    :raises SlipwayError: when it has not, with the reason.
    """
    url = f"{str(endpoint['url']).rstrip('/')}/{image.repository}/manifests/{image.reference}"
    if endpoint.get("mirror"):
        url += f"?ns={image.registry}"
    certificates = {key: str(endpoint.get(key) or "") for key in ("ca_file", "ca_content")}
    headers = {"Accept": MANIFESTS}
    try:
        client.ask(url, "HEAD", headers, **certificates)
    except urllib.error.HTTPError as error:
        if error.code != 401:
            raise SlipwayError(_refusal(error.code)) from error
        asked = error.headers.get_all("WWW-Authenticate") or []
    else:
        return
    headers.update(_token(client, asked, image.repository, endpoint))
    try:
        client.ask(url, "HEAD", headers, **certificates)
    except urllib.error.HTTPError as error:
        raise SlipwayError(_refusal(error.code)) from error


def _refusal(code: int) -> str:
    known = {
        401: "the login is refused",
        403: "access is denied",
        404: "it is not there",
        429: "too many requests",
    }
    return f"{known.get(code, 'refused')} (HTTP {code})"


def probe_image(client: Client, source: Source) -> None:
    """Whether one of the endpoints has the image.

    :raises SlipwayError: naming all endpoints and why they do not.
    """
    image = parse_image(str(source["image"]))
    server = SERVERS.get(image.registry, image.registry)
    said = []
    for endpoint in [*source.get("endpoints", ()), {"url": f"https://{server}/v2"}]:
        try:
            has_manifest(client, endpoint, image)
        except SlipwayError as error:
            said.append(f"{shown(str(endpoint['url']))}: {error.msg}")
        else:
            return
    raise SlipwayError(f"{source['image']} cannot be had: {'; '.join(said)}.")


# Charts and archives


def chart_versions(index: str, name: str) -> t.Set[str]:
    """The versions of a chart in the index of a repository, without a leading ``v``; no PyYAML is needed."""
    if index.lstrip().startswith("{"):
        entries = json.loads(index).get("entries", {}).get(name, [])
        return {str(entry.get("version", "")).lstrip("v") for entry in entries}
    found: t.Set[str] = set()
    inside, indent, key, item = False, None, "", -1
    inner = 0
    for line in index.splitlines():
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        depth = len(line) - len(line.lstrip())
        if depth == 0 and not text.startswith("-"):
            inside, indent, key = text == "entries:", None, ""
        elif inside and not text.startswith("-") and indent in (None, depth):
            indent, key, item = depth, text.rstrip(":").strip("\"'"), -1
        elif key == name:
            # Items of the list are not indented further than its first one; dependencies have versions, too.
            item = depth if item < 0 else item
            start = re.match(r"-\s+", text) if depth == item else None
            inner = item + len(start[0]) if start else inner
            text, depth = (text[len(start[0]) :], inner) if start else (text, depth)
            match = re.match(r"version:\s*[\"']?([^\"'\s]+)", text)
            if match and depth == inner:
                found.add(match[1].lstrip("v"))
    return found


def probe_chart(client: Client, source: Source) -> None:
    """Whether a chart can be had: of a registry, of a repository, by its URL, or from a file on the host.

    :raises SlipwayError: with the reason when it cannot.
    """
    chart, version = str(source["chart"]), str(source["version"])
    repository, ca_file = str(source.get("repository") or ""), str(source.get("ca_file") or "")
    if ca_file and not os.path.exists(ca_file):
        return  # it may be brought by the run, as control_plane_files are
    try:
        if chart.startswith("oci://"):
            host, _slash, path = chart[len("oci://") :].partition("/")
            url = f"{'http' if source.get('plain_http') else 'https'}://{host}/v2"
            has_manifest(
                client, {"url": url, "ca_file": ca_file}, Image(host, path.rstrip("/"), version.replace("+", "_"))
            )
        elif re.match(r"https?://", chart):
            client.exists(chart, ca_file)
        elif repository:
            url = f"{repository.rstrip('/')}/index.yaml"
            versions = chart_versions(client.text(url, ca_file), chart)
            if version.lstrip("v") not in versions:
                raise SlipwayError(f"its index has {'no such version' if versions else 'no such chart'}")
        elif not os.path.exists(os.path.expanduser(chart)):
            raise SlipwayError("there is no such file on the host")
    except (SlipwayError, ValueError) as error:
        place = f" of {shown(repository)}" if repository and "://" not in chart else ""
        text = error.msg if isinstance(error, SlipwayError) else "its index cannot be read"
        raise SlipwayError(
            f"{shown(chart) if '://' in chart else chart} {version}{place} cannot be had: {text}."
        ) from error


def probe_archive(client: Client, source: Source) -> None:
    """Whether an archive is there, and a checksum file has its checksum.

    :raises SlipwayError: with the reason when not.
    """
    url, checksum = str(source["url"]), str(source["checksum"])
    place = url
    try:
        client.exists(url)
        published = re.fullmatch(r"sha256:((?:https?|file)://.*)", checksum)
        if published:
            place = published[1]
            name = os.path.basename(urllib.parse.unquote(urllib.parse.urlsplit(url).path))
            if find_checksum(client.text(place), name) is None:
                raise SlipwayError(f"it has no SHA-256 of {name}")
    except SlipwayError as error:
        raise SlipwayError(f"{shown(place)} cannot be had: {error.msg}.") from error


def is_recorded(record: str, url: str, checksum: str) -> bool:
    """Whether release_archive has installed this archive: then it will not be fetched again."""
    try:
        with open(record, encoding="utf-8") as stream:
            known = json.load(stream)
        return bool(known["url"] == url and known["checksum"] == checksum)
    except (OSError, ValueError, KeyError, TypeError):
        return False
