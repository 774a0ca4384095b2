# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.kubeconfig import as_yaml, plain
from ansible_collections.slipway.kubernetes.plugins.module_utils._shown import LONGEST, shown

_OUTER = frozenset({
    "apiVersion", "kind", "clusters", "contexts", "current-context", "preferences", "users", "extensions",
})  # fmt: skip
#: What kubectl only sends, by kind. `exec` and `auth-provider` are programs that it runs; files are read where it runs,
#: and what is in them sent to the server.
_INNER = {
    "cluster": frozenset({
        "certificate-authority-data", "server", "tls-server-name", "insecure-skip-tls-verify", "proxy-url",
        "disable-compression", "extensions",
    }),
    "context": frozenset({"cluster", "user", "namespace", "extensions"}),
    "user": frozenset({"client-certificate-data", "client-key-data", "token", "username", "password", "extensions"}),
}  # fmt: skip


def _keys(value: t.Any, known: t.Container[str]) -> t.Dict[t.Any, t.Any]:
    """A mapping with known keys only.

    :raises ValueError: when it is none, or has others.
    """
    if not isinstance(value, dict):
        raise ValueError("it has another form")
    # Keys that are no texts are read by kubectl as some.
    others = [key for key in value if not (isinstance(key, str) and key in known)]
    if others:
        raise ValueError(f"it has {', '.join(shown(other, LONGEST) for other in others)}")
    return value


def kubeconfig_data(text: str) -> str:
    """A kubeconfig that a machine has returned, when it is data alone; written anew unless it is kubeadm's."""
    if not text or plain(text):
        return text
    try:
        config = _keys(yaml.safe_load(text), _OUTER)
        for kind, known in _INNER.items():
            for item in config.get(f"{kind}s") or []:
                _keys(_keys(item, ("name", kind)).get(kind), known)
        # As it was read here: what kubectl would have read otherwise is gone.
        return as_yaml(config)
    except yaml.YAMLError:
        reason = "it cannot be read"
    except (TypeError, ValueError) as error:
        reason = str(error)
    raise AnsibleFilterError(
        f"The kubeconfig of the control plane is not kept on the controller: {reason}, and there may be nothing in it"
        " but addresses, certificates and keys, or kubectl would run programs and read files here as the control plane"
        " likes. Look at who has written it; with kubeconfig_fetch: false it stays where it is."
    )


class FilterModule:
    """Kubeconfigs that come from machines."""

    def filters(self) -> t.Dict[str, t.Callable[..., t.Any]]:
        return {"kubeconfig_data": kubeconfig_data}
