#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: haproxy_drain
short_description: Let the haproxy of this host send no new requests to a server, for a while
version_added: 0.1.0
description:
  - Tells the running haproxy, by its socket, that a server takes no new connections, or takes them again. Those that
    are open are left alone.
  - An API server whose etcd is restarted answers requests with errors until haproxy's health checks find out. When
    it is drained first, nobody notices.
  - haproxy forgets it when it is reloaded or restarted, and a server that is ready for it still has to be healthy.
  - Where no haproxy runs, or it does not know the server, nothing is done.
author: slipway.kubernetes contributors (@slipway)
extends_documentation_fragment:
  - slipway.kubernetes.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  server:
    description: Name of the server in haproxy's configuration.
    type: str
    required: true
  backend:
    description: Name of the backend that it is in.
    type: str
    default: ready
  state:
    description: Whether it takes no new connections, or does.
    type: str
    choices: [drained, ready]
    required: true
  socket:
    description: haproxy's socket for administrators.
    type: path
    default: /run/haproxy/admin.sock
"""

EXAMPLES = r"""
- name: Send no new requests to an API server
  slipway.kubernetes.haproxy_drain:
    server: cp2
    state: drained

- name: Send requests to it again
  slipway.kubernetes.haproxy_drain:
    server: cp2
    state: ready
"""

RETURN = r"""
msg:
  description: What was done.
  type: str
  returned: success
  sample: "cp2: drained"
"""

import socket
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._module import Context, run_module

#: Bits of srv_admin_state: maintenance or drain that was set by an administrator.
_FORCED = 0x01 | 0x08
_DRAINED = 0x08
#: Seconds that haproxy may take to answer.
_PATIENCE = 10


def admin_state(text: str, server: str) -> t.Optional[int]:
    """The server's administrative state in haproxy's answer to ``show servers state``; ``None`` without that server."""
    names: t.List[str] = []
    for line in text.splitlines():
        if line.startswith("# "):
            names = line[2:].split()
        elif names and len(line.split()) >= len(names):
            fields = dict(zip(names, line.split()))
            if fields.get("srv_name") == server:
                return int(fields["srv_admin_state"])
    return None


def ask(path: str, command: str) -> str:
    """haproxy's answer to a command; empty when none listens there.

    :raises SlipwayError: when it does not answer as it should.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_PATIENCE)
        try:
            try:
                connection.connect(path)
            except (FileNotFoundError, ConnectionRefusedError):
                return ""
            connection.sendall(f"{command}\n".encode())
            parts: t.List[bytes] = []
            while True:
                part = connection.recv(65536)
                if not part:
                    return b"".join(parts).decode("utf-8", "replace")
                parts.append(part)
        except OSError as error:
            raise SlipwayError(f"haproxy does not answer on {path}: {error}") from error


class HaproxyDrain:
    """One server of the running haproxy, which takes new connections or does not."""

    def __init__(self, params: t.Mapping[str, t.Any], check_mode: bool) -> None:
        self._server: str = params["server"]
        self._backend: str = params["backend"]
        self._drained = params["state"] == "drained"
        self._socket: str = params["socket"]
        self._check_mode = check_mode

    def run(self) -> t.Dict[str, t.Any]:
        """Do it, or in check mode say what would be done.

        :raises SlipwayError: when haproxy refuses.
        """
        state = admin_state(ask(self._socket, f"show servers state {self._backend}"), self._server)
        if state is None:
            return {"changed": False, "msg": f"no haproxy on this host knows {self._server}"}
        wanted = "drained" if self._drained else "ready"
        changed = bool(state & _DRAINED) != self._drained if self._drained else bool(state & _FORCED)
        if changed and not self._check_mode:
            word = "drain" if self._drained else "ready"
            said = ask(self._socket, f"set server {self._backend}/{self._server} state {word}").strip()
            if said:
                raise SlipwayError(f"haproxy refuses to set {self._backend}/{self._server} to {word}: {said}")
        return {"changed": changed, "msg": f"{self._server}: {wanted}{'' if changed else ' already'}"}


ARGUMENTS: t.Dict[str, t.Any] = {
    "server": {"type": "str", "required": True},
    "backend": {"type": "str", "default": "ready"},
    "state": {"type": "str", "choices": ["drained", "ready"], "required": True},
    "socket": {"type": "path", "default": "/run/haproxy/admin.sock"},
}


def run(context: Context) -> t.Dict[str, t.Any]:
    """What the module returns."""
    return HaproxyDrain(context.params, context.check_mode).run()


def main() -> None:
    run_module(ARGUMENTS, run)


if __name__ == "__main__":
    main()
