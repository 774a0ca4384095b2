# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetch a secret file to the controller, piece by piece."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import tempfile
import typing as t

from ansible.plugins.action import ActionBase
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import make_folder
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._vault_writer import PlainWriter, VaultWriter

ARGUMENTS = {
    "src": {"type": "str", "required": True},
    "dest": {"type": "str", "required": True},
    "sha256": {"type": "str", "required": True},
    "vault_password": {"type": "str", "default": "", "no_log": True},
}
#: Bytes of a piece: a multiple of three, so that pieces of base64 can be put together.
PIECE = 6 * 1024 * 1024
#: Bytes that stay free on the controller, whatever the host sends.
RESERVE = 64 * 1024 * 1024


class FetchError(Exception):
    """Why the file could not be fetched."""


class ActionModule(ActionBase):
    """Asks the module file_piece for one piece after the other."""

    TRANSFERS_FILES = False

    def run(self, tmp: t.Any = None, task_vars: t.Optional[t.Dict[str, t.Any]] = None) -> t.Dict[str, t.Any]:
        """Failed with the reason when it does not arrive whole; nothing of it is left then."""
        result = super().run(tmp, task_vars)
        _validation, arguments = self.validate_argument_spec(argument_spec=ARGUMENTS)
        dest = os.path.abspath(os.path.expanduser(arguments["dest"]))
        result.update(changed=True, dest=dest)
        try:
            there = _sha256(dest)
            if there and (arguments["vault_password"] or there != arguments["sha256"]):
                # The host may have chosen the name: it says nothing about what the controller keeps there.
                raise FetchError(
                    f"{dest} is on the controller already and is left as it is:"
                    + (
                        " what it has cannot be compared, since it would be encrypted."
                        if arguments["vault_password"]
                        else f" its checksum is {there}, not {arguments['sha256']}."
                    )
                    + " Move it away, or name another file."
                )
            if there:
                result["changed"] = bool(os.stat(dest).st_mode & 0o077)
                if result["changed"] and not self._task.check_mode:
                    os.chmod(dest, 0o600)
            elif not self._task.check_mode:
                self._fetch(arguments, dest, task_vars or {})
        except FetchError as error:
            result.update(failed=True, changed=False, msg=str(error))
        except OSError as error:
            result.update(failed=True, changed=False, msg=f"{dest} on the controller cannot be written: {error}.")
        return result

    def _fetch(self, arguments: t.Mapping[str, t.Any], dest: str, task_vars: t.Dict[str, t.Any]) -> None:
        """:raises FetchError: when the file cannot be read, or is another one than was asked for."""
        folder = os.path.dirname(dest)
        make_folder(folder, 0o700)
        # With mode 0600; a call that is killed leaves it, and it has no name that anybody takes for the file.
        handle, partial = tempfile.mkstemp(prefix=".slipway-", dir=folder)
        try:
            with open(handle, "wb") as stream:
                password = arguments["vault_password"]
                writer = VaultWriter(stream, folder, password) if password else PlainWriter(stream)
                with writer:
                    digest = hashlib.sha256()
                    free = shutil.disk_usage(folder).free - RESERVE
                    for content in self._pieces(arguments["src"], task_vars, free // writer.GROWTH):
                        digest.update(content)
                        writer.write(content)
                    if digest.hexdigest() != arguments["sha256"]:
                        raise FetchError(
                            f"{arguments['src']} has another checksum ({digest.hexdigest()}) than the one that was"
                            f" asked for ({arguments['sha256']}): it has changed, or was damaged on its way. Fetch it"
                            " again."
                        )
                    writer.finish()
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(partial, dest)
        finally:
            if os.path.exists(partial):
                os.unlink(partial)

    def _pieces(self, src: str, task_vars: t.Dict[str, t.Any], room: int) -> t.Iterator[bytes]:
        """:param room: how many bytes the controller's disk takes.

        :raises FetchError: when the host does not give them, or they are too many.
        """
        offset, size = 0, -1
        while True:
            found = self._execute_module(
                module_name="slipway.kubernetes.file_piece",
                module_args={"path": src, "offset": offset, "length": PIECE},
                task_vars=task_vars,
            )
            if found.get("failed") or found.get("unreachable") or "content" not in found:
                raise FetchError(f"{src} could not be fetched: {found.get('msg', 'the host does not answer')}")
            content = base64.b64decode(found["content"])
            size = int(found["size"]) if size < 0 else size
            if size > room:
                raise FetchError(
                    f"{src} could not be fetched: it has {size >> 20} MB, and the disk of the controller has room for"
                    f" {max(room, 0) >> 20} MB of it."
                )
            offset += len(content)
            if offset > size:
                raise FetchError(f"{src} could not be fetched: more bytes came than the {size} that were said first.")
            yield content
            if not content or offset == size:
                return


def _sha256(path: str) -> str:
    """The checksum of a file; empty when there is none.

    :raises OSError: when there is something that cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as stream:
            for chunk in iter(lambda: stream.read(1 << 20), b""):
                digest.update(chunk)
    except FileNotFoundError:
        return ""
    return digest.hexdigest()
