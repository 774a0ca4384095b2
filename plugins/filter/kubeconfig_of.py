# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._files import read_exactly
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.kubeconfig import plain
from ansible_collections.slipway.kubernetes.plugins.module_utils._pki.x509 import certificate_pins


def _pins(authority: t.Any) -> t.Set[str]:
    """The hashes of the CA in the words of a kubeconfig; none when it is no CA."""
    try:
        return set(certificate_pins(base64.b64decode(str(authority or "")).decode("ascii")))
    except ValueError:
        return set()


def kubeconfig_of(path: str, machines: t.Iterable[t.Mapping[str, t.Any]]) -> bool:
    """Whether a file on the controller is kubeadm's kubeconfig of the cluster of these machines, and nothing else.

    :param machines: control planes that this run has looked at, as of ``machines_seen``.
    """
    known: t.Set[str] = set()
    for machine in machines:
        state = machine["slipway_node"]["kubernetes"]
        # A reset that was killed may have removed the CA, and has written down which it was.
        known |= {*(state.get("ca_cert_hashes") or ()), *_pins((state.get("unfinished") or {}).get("authority"))}
    return bool(known & _pins(plain(read_exactly(path)).get("authority")))


class FilterModule:
    """Whose a kubeconfig is."""

    def filters(self) -> t.Dict[str, t.Callable[..., t.Any]]:
        return {"kubeconfig_of": kubeconfig_of}
