#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kubeadm_join_info
short_description: What a machine needs to join a cluster, verified, and its revocation
version_added: 0.1.0
description:
  - Mints a bootstrap token on a control plane, lets kubeadm print the join command for it, computes the hash of the
    cluster's CA from the CA itself and compares both.
  - With O(control_plane=true) the cluster's certificates are uploaded for control planes that join, encrypted with a
    new key, into a Secret that is deleted together with the token.
  - Tokens that an interrupted run has left behind are revoked at the same time.
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
    support: none
    details: With O(state=present), each call mints a new token.
options:
  state:
    description: V(present) mints a token, V(absent) revokes the one with O(token_id), or all that are left.
    type: str
    choices: [present, absent]
    default: present
  token_id:
    description:
      - The token that is revoked, by its part before the dot.
      - Without it all are revoked that runs of this collection have made, also those that an interrupted run has left
        behind. They are known by their whole description, their group and a lifetime of less than a day.
    type: str
  control_plane:
    description: Whether control planes shall join, too.
    type: bool
    default: false
  ttl:
    description: Lifetime, in case that nobody comes back to revoke it.
    type: str
    default: 15m
  ca_file:
    description: The certificate of the cluster's CA on this host.
    type: path
    default: /etc/kubernetes/pki/ca.crt
requirements:
  - kubeadm on the target host
"""

EXAMPLES = r"""
- name: Mint a token and learn what a machine needs to join
  slipway.kubernetes.kubeadm_join_info:
    state: present
  register: example_join_info
  no_log: true

- name: Revoke the token
  slipway.kubernetes.kubeadm_join_info:
    state: absent
    token_id: "{{ example_join_info.token_id }}"
"""

RETURN = r"""
endpoint:
  description: Host and port of the API server.
  type: str
  returned: when O(state=present)
  sample: 172.30.0.11:6443
token:
  description: The bootstrap token, which is secret; put C(no_log) on the task.
  type: str
  returned: when O(state=present)
token_id:
  description: The token's part before the dot.
  type: str
  returned: when O(state=present)
  sample: abcdef
certificate_key:
  description: The key that the uploaded certificates are encrypted with, which is secret; put C(no_log) on the task.
  type: str
  returned: when O(state=present) and O(control_plane=true)
expires:
  description: When the token expires.
  type: str
  returned: when O(state=present)
  sample: "2026-11-21T12:00:00Z"
ca_cert_hashes:
  description: The hash of the CA's public key, as kubeadm wants it.
  type: list
  elements: str
  returned: when O(state=present)
  sample: ["sha256:4f2c..."]
"""

import secrets
import time
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import read_text
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
#: kubeadm's token that the uploaded certificates belong to.
_OWNER_DESCRIPTION = "Proxy for managing TTL for the kubeadm-certs secret"
_CERTIFICATES = "secret/kubeadm-certs"


def compared(printed: t.Mapping[str, t.Any], token: str, ca_hashes: t.Sequence[str]) -> str:
    """The endpoint that kubeadm printed, when all else is what we know to be true.

    :param ca_hashes: of the CAs in the file. While a CA is replaced both are there, and kubeadm prints them.
    :raises SlipwayError: when kubeadm's CA is not the one in the file, or it printed another token.
    """
    theirs = printed["ca_cert_hashes"]
    if ca_hashes[0] not in theirs or not set(theirs) <= set(ca_hashes):
        raise SlipwayError(
            f"kubeadm's kubeconfig trusts another CA ({', '.join(theirs)}) than the one in ca_file"
            f" ({', '.join(ca_hashes)}). Machines would join another cluster: look at admin.conf and"
            f" {KUBEADM.certificate('ca')}."
        )
    if printed["token"] != token:
        raise SlipwayError("kubeadm printed another token than the one that it was given.")
    return str(printed["endpoint"])


def is_ours(token: t.Mapping[str, t.Any], now: float) -> bool:
    """Whether this collection has made the token, for a run: by its whole description, its groups and its time."""
    expires = parse_time(token["expires"])
    return (
        token["description"] in _DESCRIPTIONS
        and token["groups"] == [GROUP]
        and expires is not None
        and expires <= now + _LONGEST
    )


def to_revoke(
    tokens: t.Sequence[t.Mapping[str, t.Any]], token_id: t.Optional[str] = None, now: t.Optional[float] = None
) -> t.Tuple[t.List[str], bool]:
    """Ids of the tokens to revoke, and whether the uploaded certificates go with them.

    The tokens are the one that is asked for, or else all that this collection has made. Certificates that somebody
    else has uploaded are left alone.
    """
    moment = time.time() if now is None else now
    ours = [token for token in tokens if (token["token_id"] == token_id if token_id else is_ours(token, moment))]
    certificates = any(token["description"] == CONTROL_PLANE_DESCRIPTION for token in ours)
    owners = [token for token in tokens if certificates and token["description"].startswith(_OWNER_DESCRIPTION)]
    return [token["token_id"] for token in [*ours, *owners]], certificates


class JoinInfo:
    """Joining a cluster, seen from one of its control planes."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._runner = context.runner
        self._kubectl = Kubectl.of(context)

    def present(self) -> t.Dict[str, t.Any]:
        """Mint a token.

        :raises SlipwayError: when kubeadm fails or what it prints does not fit the CA.
        """
        seconds = duration_seconds(self._context.params["ttl"])
        if self._context.check_mode:
            return {"changed": True}
        control_plane: bool = self._context.params["control_plane"]
        self._revoke(None)
        ca_hashes = _kubeadm.ca_certificate_hashes(read_text(self._context.params["ca_file"]))
        kubeadm = _kubeadm.Kubeadm(self._runner)
        token = _kubeadm.new_token()
        entry = {
            "token": token,
            "ttl": f"{seconds}s",
            "description": CONTROL_PLANE_DESCRIPTION if control_plane else WORKER_DESCRIPTION,
            "usages": ["signing", "authentication"],
            "groups": [GROUP],
        }
        # Without a version kubeadm would ask the internet for the newest one.
        cluster = {
            "apiVersion": _kubeadm.API_VERSION,
            "kind": "ClusterConfiguration",
            "kubernetesVersion": kubeadm.version(),
        }
        init: t.Dict[str, t.Any] = {"apiVersion": _kubeadm.API_VERSION, "kind": "InitConfiguration"}
        kubeconfig = f"--kubeconfig={self._context.params['kubeconfig']}"
        printed = kubeadm.run(
            [{**init, "bootstrapTokens": [entry]}, cluster], "token", "create", "--print-join-command", kubeconfig
        )
        result: t.Dict[str, t.Any] = {}
        try:
            endpoint = compared(_kubeadm.parse_join_command(printed), token, ca_hashes)
            if control_plane:
                # The token is there already: its description tells a later run that the certificates are ours.
                result["certificate_key"] = key = secrets.token_hex(32)
                upload = ["init", "phase", "upload-certs", "--upload-certs", "--skip-certificate-key-print", kubeconfig]
                kubeadm.run([{**init, "certificateKey": key}, cluster], *upload)
        except SlipwayError:
            self._revoke(_kubeadm.token_id(token))
            raise
        return {
            **result,
            "changed": True,
            "endpoint": endpoint,
            "token": token,
            "token_id": _kubeadm.token_id(token),
            "expires": timestamp(time.time() + seconds),
            "ca_cert_hashes": ca_hashes[:1],
        }

    def absent(self) -> t.Dict[str, t.Any]:
        """Revoke one token, or all of ours."""
        if not self._kubectl.configured and self._context.check_mode:
            return {"changed": False}
        return {"changed": self._revoke(self._context.params["token_id"])}

    def _revoke(self, token_id: t.Optional[str]) -> bool:
        """Revoke one token, or all of ours, with the certificates that were uploaded for it; whether there are any."""
        tokens = BootstrapTokens(self._kubectl)
        found, certificates = to_revoke(tokens.list(), token_id)
        if not self._context.check_mode:
            # The tokens go last: they are what says that the certificates are ours.
            if certificates:
                self._kubectl.run("delete", _CERTIFICATES, "--namespace=kube-system", "--ignore-not-found")
            tokens.delete(found)
        return bool(found)


ARGUMENTS: t.Dict[str, t.Any] = {
    **KUBECTL_ARGUMENTS,
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "token_id": {"type": "str", "no_log": False},
    "control_plane": {"type": "bool", "default": False},
    "ttl": {"type": "str", "default": "15m"},
    "ca_file": {"type": "path", "default": KUBEADM.certificate("ca")},
}


def run(context: Context) -> t.Dict[str, t.Any]:
    """What the module returns."""
    info = JoinInfo(context)
    return info.present() if context.params["state"] == "present" else info.absent()


def main() -> None:
    run_module(ARGUMENTS, run)


if __name__ == "__main__":
    main()
