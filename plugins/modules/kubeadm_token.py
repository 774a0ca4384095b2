#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kubeadm_token
short_description: Bootstrap tokens of a cluster, made and revoked
version_added: 0.1.0
description:
  - Makes a bootstrap token on a control plane and returns what a machine needs to join by it. kubeadm prints its join
    command, and the hash of the cluster's CA in it is compared with that of the CA itself.
  - With O(control_plane=true) the cluster's certificates are uploaded for control planes that join, encrypted with a
    new key, into a Secret that is deleted together with the token.
  - A token without O(token) and O(description) is one of a run. Those that interrupted runs have left behind are
    revoked before it is made.
  - Tokens and keys are handed to kubeadm on its standard input, and stand in no file and no argument list.
author: slipway.kubernetes contributors (@slipway)
extends_documentation_fragment:
  - slipway.kubernetes.attributes
  - slipway.kubernetes.kubectl
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: partial
    details: A valid token with the same O(token) or O(description) is left as it is. One of a run is made by each call.
options:
  state:
    description:
      - V(present) makes a token unless a valid one with that O(token) or O(description) exists.
      - V(absent) revokes the one with that O(token), O(token_id) or O(description).
      - Without any of them V(absent) revokes all that runs of this collection have made. They are known by their whole
        description, their group and a lifetime of less than a day.
    type: str
    choices: [present, absent]
    default: present
  token:
    description: The token, C(ID.SECRET) with 6 and 16 lowercase letters and digits. A random one when absent.
    type: str
  token_id:
    description: The part of a token before the dot, which is not secret. Only for O(state=absent).
    type: str
  description:
    description: What the token is for, in words.
    type: str
    default: ""
  control_plane:
    description: Whether control planes shall join, too. Only for a token of a run.
    type: bool
    default: false
  ttl:
    description: Lifetime, for example V(15m) or V(2h), in case that nobody revokes the token.
    type: str
    default: 15m
  usages:
    description: What the token may be used for. kubeadm makes none without V(authentication).
    type: list
    elements: str
    choices: [signing, authentication]
    default: [signing, authentication]
  groups:
    description: Groups that a bearer of the token is a member of. Each begins with C(system:bootstrappers:).
    type: list
    elements: str
    default: ["system:bootstrappers:kubeadm:default-node-token"]
  ca_file:
    description: The certificate of the cluster's CA on this host.
    type: path
    default: /etc/kubernetes/pki/ca.crt
requirements:
  - kubeadm on the target host, for O(state=present)
notes:
  - kubeadm knows only the current context of a kubeconfig. With O(state=present), O(context) has to be that one.
seealso:
  - module: slipway.kubernetes.kubeadm_token_info
  - module: slipway.kubernetes.kubeadm_join
"""

EXAMPLES = r"""
- name: Make a token for a run and learn what a machine needs to join
  slipway.kubernetes.kubeadm_token:
  register: example_token
  no_log: true

- name: Revoke it
  slipway.kubernetes.kubeadm_token:
    state: absent
    token_id: "{{ example_token.token_id }}"
  # A dry run makes none.
  when: example_token.token_id is defined

- name: Have a token with a name, unless there is one
  slipway.kubernetes.kubeadm_token:
    description: example of kubeadm_token
    ttl: 2h
  no_log: true
"""

RETURN = r"""
token:
  description: The bootstrap token, which is secret; put C(no_log) on the task.
  type: str
  returned: when this call made it, of random characters
token_id:
  description: The token's part before the dot.
  type: str
  returned: when O(state=present), but for tokens that check mode would make
  sample: abcdef
expires:
  description: When the token expires.
  type: str
  returned: when O(state=present), but for tokens that check mode would make
  sample: "2026-11-21T12:00:00Z"
endpoint:
  description: Host and port of the API server.
  type: str
  returned: when this call made the token
  sample: 172.30.0.11:6443
ca_cert_hashes:
  description: The hash of the CA's public key, as kubeadm wants it.
  type: list
  elements: str
  returned: when this call made the token
  sample: ["sha256:4f2c..."]
certificate_key:
  description: The key that the uploaded certificates are encrypted with, which is secret; put C(no_log) on the task.
  type: str
  returned: when this call made the token, and O(control_plane=true)
"""

import contextlib
import re
import secrets
import time
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import read_text
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import api_server
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.bootstrap_tokens import (
    GROUP,
    BootstrapTokens,
    duration_seconds,
    parse_time,
    timestamp,
)
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.kubectl import KUBECTL_ARGUMENTS, Kubectl
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm import kubeadm as _kubeadm
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm.kubeadm import (
    INIT_DESCRIPTION,
    TOKEN_DESCRIPTION,
)
from ansible_collections.slipway.kubernetes.plugins.module_utils._layout import KUBEADM
from ansible_collections.slipway.kubernetes.plugins.module_utils._module import Context, run_module

_REVOKED = ", revoked at the end of the run"
#: The descriptions of our tokens, whole: somebody may have made one for an autoscaler that begins like them.
CONTROL_PLANE_DESCRIPTION = TOKEN_DESCRIPTION + "joins control planes" + _REVOKED
WORKER_DESCRIPTION = TOKEN_DESCRIPTION + "joins workers" + _REVOKED
_DESCRIPTIONS = (CONTROL_PLANE_DESCRIPTION, WORKER_DESCRIPTION, INIT_DESCRIPTION)
#: Seconds that a token of ours may live: 15 minutes, and one more for each of many machines.
_LONGEST = 24 * 3600
_USAGES = ["signing", "authentication"]
#: kubeadm's token that the uploaded certificates belong to.
_OWNER_DESCRIPTION = "Proxy for managing TTL for the kubeadm-certs secret"
_CERTIFICATES = "secret/kubeadm-certs"

Token = t.Mapping[str, t.Any]


def compared(printed: t.Mapping[str, t.Any], token: str, ca_hashes: t.Sequence[str], kubeconfig: str) -> str:
    """The endpoint that kubeadm printed, when all else is what we know to be true.

    :param ca_hashes: of the CAs in the file. While a CA is replaced both are there, and kubeadm prints them.
    :raises SlipwayError: when kubeadm's CA is not the one in the file, or it printed another token.
    """
    theirs = printed["ca_cert_hashes"]
    if ca_hashes[0] not in theirs or not set(theirs) <= set(ca_hashes):
        raise SlipwayError(
            f"kubeadm's kubeconfig trusts another CA ({', '.join(theirs)}) than the one in ca_file"
            f" ({', '.join(ca_hashes)}). Machines would join another cluster: look at {kubeconfig} and"
            f" {KUBEADM.certificate('ca')}."
        )
    if printed["token"] != token:
        raise SlipwayError("kubeadm printed another token than the one that it was given.")
    return str(printed["endpoint"])


def is_ours(token: Token, now: float) -> bool:
    """Whether this collection has made the token, for a run: by its whole description, its groups and its time."""
    expires = parse_time(token["expires"])
    return (
        token["description"] in _DESCRIPTIONS
        and token["groups"] == [GROUP]
        and expires is not None
        and expires <= now + _LONGEST
    )


def meant(tokens: t.Iterable[Token], token_id: str, description: str) -> t.List[Token]:
    """Those of ``tokens`` with the id, or else the description, or else all that this collection has made for runs."""
    if token_id:
        return [token for token in tokens if token["token_id"] == token_id]
    if description:
        return [token for token in tokens if token["description"] == description]
    now = time.time()
    return [token for token in tokens if is_ours(token, now)]


def documents(version: str, **init: t.Any) -> t.List[t.Dict[str, t.Any]]:
    """The configuration that kubeadm reads. Without a version it would ask the internet for the newest one.

    Without the address of this machine's API server it would ask at that of the default route of IPv4, which need not
    be in the server's certificate.
    """
    head = {"apiVersion": _kubeadm.API_VERSION}
    place = api_server.own_place()
    if place:
        init["localAPIEndpoint"] = {"advertiseAddress": place[0], "bindPort": place[1]}
    cluster = {"kind": "ClusterConfiguration", "kubernetesVersion": version}
    return [{**head, "kind": "InitConfiguration", **init}, {**head, **cluster}]


class KubeadmToken:
    """A token with an id or a description, or else those of runs, seen from a control plane of their cluster."""

    def __init__(self, context: Context) -> None:
        """:raises SlipwayError: when no such token is made."""
        self._params = context.params
        self._check_mode = context.check_mode
        self._runner = context.runner
        self._kubectl = Kubectl.of(context)
        self._tokens = BootstrapTokens(self._kubectl)
        given: str = self._params["token"] or ""
        if given and not re.fullmatch(r"[a-z0-9]{6}\.[a-z0-9]{16}", given):
            raise SlipwayError("token: it has 6, a dot, and 16 lowercase letters and digits.")
        if "" in (self._params["token"], self._params["token_id"]):
            raise SlipwayError("token, token_id: one that is empty names no token. Leave it out for those of runs.")
        self._id: str = _kubeadm.token_id(given) or self._params["token_id"] or ""
        self._description: str = self._params["description"]
        self._of_a_run = not (self._id or self._description)
        self._seconds = duration_seconds(self._params["ttl"])
        if self._params["state"] == "present":
            self._validate()

    def _validate(self) -> None:
        """:raises SlipwayError: when kubeadm makes no such token, or a later run would not know it as one of a run."""
        now = time.time()
        of_a_run = {**self._entry(""), "expires": timestamp(now + self._seconds)}
        groups = self._params["groups"]
        for wrong, message in (
            (self._params["token_id"], "token_id: it says which token is revoked. Give token when you want to choose."),
            ("authentication" not in self._params["usages"], "usages: kubeadm makes no token without authentication."),
            (
                not groups or any(not group.startswith("system:bootstrappers:") for group in groups),
                "groups: name at least one; each begins with system:bootstrappers:.",
            ),
            (
                self._params["control_plane"] and not self._of_a_run,
                "control_plane: certificates are deleted with a token of a run, which has no token or description of"
                " yours.",
            ),
            (
                self._of_a_run and not is_ours(of_a_run, now),
                "description: a token without one is revoked by the next run, which knows it by its group and a ttl of"
                " less than a day. Describe what a token with others is for.",
            ),
        ):
            if wrong:
                raise SlipwayError(message)

    def run(self) -> t.Dict[str, t.Any]:
        """What the module returns.

        :raises SlipwayError: when kubeadm or the API server refuses, or what kubeadm prints does not fit the CA.
        """
        present: bool = self._params["state"] == "present"
        if self._check_mode and not self._kubectl.configured:
            return {"changed": present}
        if present:
            return self._present()
        given = self._params["token"]
        # One of the same id with another secret is somebody else's.
        is_there = not given or self._tokens.has(given)
        return {"changed": is_there and self._revoke(self._id, self._description)}

    def _present(self) -> t.Dict[str, t.Any]:
        if self._params["context"]:
            self._expect_current(self._params["context"])
        found = [] if self._of_a_run else meant(self._tokens.list(), self._id, self._description)
        given = self._params["token"]
        if found and given and not self._tokens.has(given):
            raise SlipwayError(
                f"token: the cluster has a token with the id {self._id} and another secret, by which nobody joins who"
                " has this one. Give it another id, or revoke the one that is there (state: absent, token_id:"
                f" {self._id}). Nothing was changed."
            )
        if found:
            return {"changed": False, "token_id": found[0]["token_id"], "expires": found[0]["expires"]}
        if self._check_mode:
            return {"changed": True}
        if self._of_a_run:
            self._revoke()
        return {"changed": True, **self._made()}

    def _expect_current(self, context: str) -> None:
        """kubeadm would make the token in one cluster, and kubectl revoke it in another."""
        current = self._kubectl.run("config", "current-context").stdout.strip()
        if current != context:
            raise SlipwayError(f"context: kubeadm knows only the kubeconfig's current one, which is {current}.")

    def _entry(self, token: str) -> t.Dict[str, t.Any]:
        """A token in kubeadm's configuration."""
        of_a_run = CONTROL_PLANE_DESCRIPTION if self._params["control_plane"] else WORKER_DESCRIPTION
        return {
            "token": token,
            "ttl": f"{self._seconds}s",
            "description": of_a_run if self._of_a_run else self._description,
            "usages": self._params["usages"],
            "groups": self._params["groups"],
        }

    def _made(self) -> t.Dict[str, t.Any]:
        """Make the token and return what a machine needs; when it cannot be told, the token is revoked."""
        ca_hashes = _kubeadm.ca_certificate_hashes(read_text(self._params["ca_file"]))
        kubeadm = _kubeadm.Kubeadm(self._runner)
        version = kubeadm.version()
        token: str = self._params["token"] or _kubeadm.new_token()
        token_id = _kubeadm.token_id(token)
        kubeconfig = f"--kubeconfig={self._params['kubeconfig']}"
        create = ["token", "create", "--print-join-command", kubeconfig]
        # Ansible masks a token that was given, everywhere.
        result: t.Dict[str, t.Any] = {} if self._params["token"] else {"token": token}
        try:
            # It may fail after the token is there, for want of a CA in the kubeconfig.
            printed = kubeadm.run(documents(version, bootstrapTokens=[self._entry(token)]), *create)
            endpoint = compared(_kubeadm.parse_join_command(printed), token, ca_hashes, self._params["kubeconfig"])
            if self._params["control_plane"]:
                # The token is there already: its description tells a later run that the certificates are ours.
                result["certificate_key"] = key = secrets.token_hex(32)
                upload = ["init", "phase", "upload-certs", "--upload-certs", "--skip-certificate-key-print", kubeconfig]
                kubeadm.run(documents(version, certificateKey=key), *upload)
        except SlipwayError:
            with contextlib.suppress(SlipwayError):
                self._revoke(token_id)
            raise
        return {
            **result,
            "endpoint": endpoint,
            "token_id": token_id,
            "expires": timestamp(time.time() + self._seconds),
            "ca_cert_hashes": ca_hashes[:1],
        }

    def _revoke(self, token_id: str = "", description: str = "") -> bool:
        """Revoke tokens, with the certificates that were uploaded for one of them; whether there are any.

        Certificates that somebody else has uploaded are left alone.
        """
        tokens = self._tokens.list()
        found = meant(tokens, token_id, description)
        certificates = any(token["description"] == CONTROL_PLANE_DESCRIPTION for token in found)
        owners = [token for token in tokens if certificates and token["description"].startswith(_OWNER_DESCRIPTION)]
        if not self._check_mode:
            # The tokens go last: they are what says that the certificates are ours.
            if certificates:
                self._kubectl.run("delete", _CERTIFICATES, "--namespace=kube-system", "--ignore-not-found")
            self._tokens.delete(token["token_id"] for token in [*found, *owners])
        return bool(found)


ARGUMENTS: t.Dict[str, t.Any] = {
    **KUBECTL_ARGUMENTS,
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "token": {"type": "str", "no_log": True},
    "token_id": {"type": "str", "no_log": False},
    "description": {"type": "str", "default": ""},
    "control_plane": {"type": "bool", "default": False},
    "ttl": {"type": "str", "default": "15m"},
    "usages": {"type": "list", "elements": "str", "choices": _USAGES, "default": _USAGES},
    "groups": {"type": "list", "elements": "str", "default": [GROUP]},
    "ca_file": {"type": "path", "default": KUBEADM.certificate("ca")},
}


def main() -> None:
    run_module(ARGUMENTS, lambda context: KubeadmToken(context).run())


if __name__ == "__main__":
    main()
