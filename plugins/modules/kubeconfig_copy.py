#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kubeconfig_copy
short_description: Copies a kubeconfig on a host to users' C(~/.kube/config)
version_added: 0.1.0
description:
  - Copies a kubeconfig file to the home of each user, owned by that user and readable by nobody else (mode 0600).
  - In check mode a kubeconfig that does not exist yet, as on a bare machine, counts as a change.
author: slipway.kubernetes contributors (@slipway)
extends_documentation_fragment:
  - slipway.kubernetes.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: partial
    details: Names the files only; their contents are secret.
  idempotent:
    support: full
options:
  source:
    description: The kubeconfig file on the host.
    type: path
    default: /etc/kubernetes/admin.conf
  users:
    description: Names of users on the host.
    type: list
    elements: str
    default: [root]
  only_copies:
    description:
      - Whether only users get it who have an earlier copy of it already, as after a renewal of its certificate. That
        is a file that differs by certificate and key alone.
    type: bool
    default: false
  return_content:
    description: Whether the file's content is returned; put C(no_log) on the task then.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Give root the administrator's kubeconfig
  slipway.kubernetes.kubeconfig_copy:
    users: [root]
"""

RETURN = r"""
changed_paths:
  description: Files that were written, or would be in check mode.
  type: list
  elements: str
  returned: success
  sample: [/root/.kube/config]
content:
  description: The kubeconfig itself, which is secret; empty when it does not exist yet (in check mode).
  type: str
  returned: when O(return_content=true)
"""

import os
import pwd
import stat
import tempfile
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import read_exactly


def accounts(names: t.Iterable[str]) -> t.List[pwd.struct_passwd]:
    """The accounts of users.

    :raises SlipwayError: naming all users that do not exist.
    """
    found, missing = [], []
    for name in names:
        try:
            found.append(pwd.getpwnam(name))
        except KeyError:
            missing.append(name)
    if missing:
        raise SlipwayError(f"There is no user {', '.join(missing)} on this host; create it or take it from the list.")
    return found


def is_copied(path: str, content: str, account: pwd.struct_passwd) -> bool:
    """Whether ``path`` holds ``content``, belongs to ``account`` and is readable by nobody else."""
    try:
        status = os.stat(path)
        with open(path, encoding="utf-8") as stream:
            return (
                stream.read() == content
                and stat.S_IMODE(status.st_mode) == 0o600
                and (status.st_uid, status.st_gid) == (account.pw_uid, account.pw_gid)
            )
    except (OSError, UnicodeDecodeError):
        return False


def is_earlier_copy(path: str, content: str) -> bool:
    """Whether ``path`` holds ``content`` but for the client's certificate and key."""
    return without_credentials(read_exactly(path)) == without_credentials(content)


def without_credentials(kubeconfig: str) -> t.List[str]:
    """The lines of a kubeconfig that a renewal leaves as they are."""
    renewed = ("client-certificate-data:", "client-key-data:")
    return [line for line in kubeconfig.splitlines() if not line.strip().startswith(renewed)]


class KubeconfigCopy:
    """The kubeconfig and who gets it."""

    def __init__(self, module: AnsibleModule) -> None:
        self._module = module
        self._source: str = module.params["source"]
        self._accounts = accounts(module.params["users"])

    def run(self) -> t.Dict[str, t.Any]:
        """Copy the file to all users that do not have it.

        :raises SlipwayError: when it does not exist (outside check mode).
        """
        try:
            with open(self._source, encoding="utf-8") as stream:
                content = stream.read()
        except FileNotFoundError as error:
            if not self._module.check_mode:
                raise SlipwayError(f"{self._source} does not exist on this host: is it a control plane?") from error
            content = ""
        changed = []
        for account in self._accounts:
            path = os.path.join(account.pw_dir, ".kube", "config")
            if self._module.params["only_copies"] and not is_earlier_copy(path, content):
                continue
            if not is_copied(path, content, account):
                changed.append(path)
                if not self._module.check_mode:
                    self._write(path, content, account)
        result: t.Dict[str, t.Any] = {
            "changed": bool(changed),
            "changed_paths": changed,
            "diff": [{"header": path, "before": "", "after": "the kubeconfig (secret)\n"} for path in changed],
        }
        if self._module.params["return_content"]:
            result["content"] = content
        return result

    def _write(self, path: str, content: str, account: pwd.struct_passwd) -> None:
        """Write one copy, complete or not at all, never readable by others.

        :raises SlipwayError: when that is not possible, for example when the user has no home.
        """
        folder = os.path.dirname(path)
        temporary = ""
        try:
            if not os.path.isdir(folder):
                os.mkdir(folder, 0o700)
                os.chown(folder, account.pw_uid, account.pw_gid)
            handle, temporary = tempfile.mkstemp(dir=folder)
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                stream.write(content)
            os.chown(temporary, account.pw_uid, account.pw_gid)
            os.replace(temporary, path)
        except OSError as error:
            raise SlipwayError(f"{path} could not be written: {error}") from error
        finally:
            if os.path.exists(temporary):
                os.unlink(temporary)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "source": {"type": "path", "default": "/etc/kubernetes/admin.conf"},
            "users": {"type": "list", "elements": "str", "default": ["root"]},
            "only_copies": {"type": "bool", "default": False},
            "return_content": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    try:
        module.exit_json(**KubeconfigCopy(module).run())
    except SlipwayError as error:
        module.fail_json(msg=error.msg, **error.details)


if __name__ == "__main__":
    main()
