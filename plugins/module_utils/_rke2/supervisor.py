# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What RKE2's supervisor says to machines that want to join, asked before anything is started.

Private to this collection.
"""

from __future__ import annotations

import base64
import dataclasses
import http.client
import ssl
import typing as t
from urllib.parse import urlsplit

from ansible_collections.slipway.kubernetes.plugins.module_utils import _tls
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._layout import RKE2
from ansible_collections.slipway.kubernetes.plugins.module_utils._rke2.tokens import Token, hash_of

#: States of a supervisor, as a machine that joins finds it.
READY, STARTING, ABSENT = "ready", "starting", "absent"
_PREFIX = "/v1-rke2"
#: An answer that is longer is none of a supervisor.
_LONGEST = 1 << 20


@dataclasses.dataclass(frozen=True)
class Answer:
    """How a supervisor is, in a word and in a sentence, and the hash of the cluster's CA."""

    state: str
    message: str
    ca_hash: str = ""


def place(url: str) -> t.Tuple[str, int]:
    """Host and port of a supervisor's URL.

    :raises SlipwayError: when it is none.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme != "https" or not parts.hostname or port is None or parts.path.strip("/") or parts.username:
        raise SlipwayError(
            f"url: {url} is no address of a supervisor. Write it as https://HOST:{RKE2.join_port}, with the port."
        )
    return parts.hostname, port


class Supervisor:
    """The supervisor at an address."""

    def __init__(self, url: str, timeout: float) -> None:
        self._url = url
        self._host, self._port = place(url)
        self._timeout = timeout

    def _ask(self, path: str, context: ssl.SSLContext, token: t.Optional[Token] = None) -> t.Tuple[int, bytes]:
        connection = http.client.HTTPSConnection(self._host, self._port, timeout=self._timeout, context=context)
        headers = {}
        if token:
            login = base64.b64encode(f"{token.user}:{token.password}".encode()).decode()
            headers = {"Authorization": f"Basic {login}"}
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read(_LONGEST)
        finally:
            connection.close()

    def look(self, token: Token) -> Answer:
        """How the supervisor takes a token.

        :raises SlipwayError: when this token will never do there, or nobody can tell.
        """
        try:
            status, authority = self._ask("/cacerts", _tls.unverified())
        except (OSError, http.client.HTTPException) as error:
            return Answer(ABSENT, f"{self._url} does not answer: {error}")
        if status in (401, 403):
            raise SlipwayError(
                f"{self._url} is no supervisor but an API server: it wants to know who asks for its CA. Let the address"
                f" lead to port {RKE2.join_port}."
            )
        if status != 200 or b"BEGIN CERTIFICATE" not in authority:
            return Answer(ABSENT, f"{self._url} is no supervisor, or none yet: {status} for /cacerts")
        return self._with_authority(authority.decode("ascii", "replace"), token)

    def _with_authority(self, authority: str, token: Token) -> Answer:
        found = hash_of(authority)
        if token.ca_hash and token.ca_hash != found:
            raise SlipwayError(
                f"The token is of another cluster than that of {self._url}: the hash of the CA in it is"
                f" {token.ca_hash}, and the CA there has {found}. Take the file node-token of a server of this cluster."
            )
        try:
            status, _text = self._ask(f"{_PREFIX}/readyz", _tls.verified_by(ca_content=authority), token)
        except ssl.SSLCertVerificationError as error:
            raise SlipwayError(
                f"The certificate of {self._url} is not of its cluster's CA, or not for this name:"
                f" {error.verify_message}. Add the name to rke2_tls_san, or look who answers there."
            ) from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            return Answer(ABSENT, f"{self._url} does not answer: {error}", found)
        if status == 401:
            raise SlipwayError(
                f"{self._url} refuses the token (401). Set rke2_token to the one that the cluster was built with; for"
                " agents rke2_agent_token, where the servers have one."
            )
        if status == 200:
            return Answer(READY, f"{self._url} is ready, and takes the token", found)
        return Answer(STARTING, f"{self._url} is not ready yet ({status})", found)
