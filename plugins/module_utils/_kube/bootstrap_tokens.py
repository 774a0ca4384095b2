# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bootstrap tokens: Secrets of kube-system, which kubeadm makes, listed and deleted through kubectl.

Source: https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/. Private to this collection.
"""

from __future__ import annotations

import base64
import calendar
import re
import time
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.kubectl import Kubectl

GROUP = "system:bootstrappers:kubeadm:default-node-token"
_TYPE = "bootstrap.kubernetes.io/token"


def duration_seconds(text: str) -> int:
    """Seconds of a duration such as ``15m``, ``1h30m`` or ``90`` (seconds).

    :raises SlipwayError: when it is none, or not longer than zero.
    """
    if re.fullmatch("[0-9]+", text):
        seconds = int(text)
    else:
        match = re.fullmatch(r"(?:([0-9]+)h)?(?:([0-9]+)m)?(?:([0-9]+)s)?", text)
        if not text or match is None:
            raise SlipwayError(f"ttl: {text!r} is no duration; write for example 15m or 1h30m.")
        hours, minutes, rest = (int(part or 0) for part in match.groups())
        seconds = hours * 3600 + minutes * 60 + rest
    if seconds <= 0:
        raise SlipwayError("ttl: a token that never expires is not made; give it a duration such as 15m.")
    return seconds


def timestamp(seconds: float) -> str:
    """A time as the API writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def parse_time(text: str) -> t.Optional[float]:
    """Seconds since 1970 of a time as the API writes it; ``None`` when it is none."""
    try:
        return float(calendar.timegm(time.strptime(text.strip(), "%Y-%m-%dT%H:%M:%SZ")))
    except ValueError:
        return None


def _data(secret: t.Mapping[str, t.Any]) -> t.Dict[str, str]:
    """What is in a Secret, which somebody may have made by hand: bytes that are no text are of no token of ours."""
    data = (secret.get("data") or {}).items()
    return {key: base64.b64decode(value).decode("utf-8", "replace") for key, value in data}


def describe(secret: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
    """What a Secret says about its token, without the secret part."""
    data = _data(secret)
    return {
        "token_id": data.get("token-id", ""),
        "description": data.get("description", ""),
        "expires": data.get("expiration", ""),
        "usages": sorted(
            key[16:] for key, value in data.items() if key.startswith("usage-bootstrap-") and value == "true"
        ),
        "groups": sorted(filter(None, data.get("auth-extra-groups", "").split(","))),
    }


def is_expired(token: t.Mapping[str, t.Any], now: float) -> bool:
    """Whether the token is not valid any more; one without a time of expiry always is."""
    expires = parse_time(token["expires"])
    return expires is not None and expires <= now


class BootstrapTokens:
    """The bootstrap tokens of a cluster."""

    def __init__(self, kubectl: Kubectl) -> None:
        self._kubectl = kubectl

    def list(self) -> t.List[t.Dict[str, t.Any]]:
        """All tokens that are valid, without their secret part, ordered by id."""
        now = time.time()
        tokens = sorted(map(describe, self._secrets()), key=lambda token: token["token_id"])
        return [token for token in tokens if not is_expired(token, now)]

    def has(self, token: str) -> bool:
        """Whether there is this token, with this secret part."""
        parts = token.split(".")
        return any([data.get("token-id"), data.get("token-secret")] == parts for data in map(_data, self._secrets()))

    def _secrets(self) -> t.List[t.Dict[str, t.Any]]:
        found = self._kubectl.get("secrets", "--namespace=kube-system", f"--field-selector=type={_TYPE}")
        return list(found["items"])

    def delete(self, token_ids: t.Iterable[str]) -> None:
        """Revoke tokens; one that does not exist is as good."""
        names = [f"secret/bootstrap-token-{token_id}" for token_id in token_ids]
        if names:
            self._kubectl.run("delete", *names, "--namespace=kube-system", "--ignore-not-found")
