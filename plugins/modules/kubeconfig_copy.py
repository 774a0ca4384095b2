#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kubeconfig_copy
short_description: Puts the administrator's kubeconfig into users' C(~/.kube/config)
version_added: 0.1.0
description:
  - Copies a kubeconfig file to the home of each user, owned by that user and readable by nobody else (mode 0600).
  - Where a user has other clusters in that file, or anything else, ours is merged in under its own name, as C(NAME)
    with the user C(NAME-admin), and what the user has stays. The current context stays, too, when there is one. Where
    something else has that name, such as another cluster of this collection, a part of the CA's checksum follows it.
  - Before such a file is changed for the first time, a copy of it is kept beside it, C(config.before-slipway).
    Comments, which kubectl does not keep, are in that one only.
  - A file that kubectl cannot read is refused.
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
requirements:
  - kubectl, where users have something else in their file
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
        is a file that differs by certificate and key alone, or into which this cluster was merged.
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
copies:
  description: Where files are kept that were somebody's before; empty in check mode.
  type: list
  elements: str
  returned: success
  sample: [/root/.kube/config.before-slipway]
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
from ansible_collections.slipway.kubernetes.plugins.module_utils import _kubeconfig, _marks
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import Runner, SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import read_exactly
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeconfig import Kubeconfigs


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
        with open(path, encoding="utf-8") as stream:
            return stream.read() == content and _is_private(path, account)
    except (OSError, UnicodeDecodeError):
        return False


class KubeconfigCopy:
    """The kubeconfig and who gets it."""

    def __init__(self, module: AnsibleModule) -> None:
        self._module = module
        self._source: str = module.params["source"]
        self._only_copies: bool = module.params["only_copies"]
        self._accounts = accounts(module.params["users"])
        self._kubeconfigs = Kubeconfigs(Runner(module))

    def run(self) -> t.Dict[str, t.Any]:
        """Give the file to all users that do not have it.

        :raises SlipwayError: when it does not exist (outside check mode), or users have something that cannot be read;
            then nothing has been written.
        """
        content = self._content()
        # All are looked at before the first is changed.
        wishes = [(account, self._wish(account, content)) for account in self._accounts]
        changed, copies = [], []
        for account, wish in wishes:
            path = _config_of(account)
            if wish is not None:
                changed.append(path)
                if not self._module.check_mode:
                    copies += self._give(path, wish, content, account)
        result: t.Dict[str, t.Any] = {
            "changed": bool(changed),
            "changed_paths": changed,
            "copies": copies,
            "diff": [{"header": path, "before": "", "after": "the kubeconfig (secret)\n"} for path in changed],
        }
        if self._module.params["return_content"]:
            result["content"] = content
        return result

    def _content(self) -> str:
        try:
            with open(self._source, encoding="utf-8") as stream:
                return stream.read()
        except FileNotFoundError as error:
            if not self._module.check_mode:
                raise SlipwayError(f"{self._source} does not exist on this host: is it a control plane?") from error
            return ""

    def _wish(self, account: pwd.struct_passwd, content: str) -> t.Optional[_kubeconfig.Config]:
        """What the user's file has to become: merged, or empty for a mere copy; ``None`` when it is as it shall be.

        :raises SlipwayError: when it is somebody's and cannot be read.
        """
        path = _config_of(account)
        before = read_exactly(path)
        _expect_own(path, account)
        if is_copied(path, content, account):
            return None
        if self._only_copies and not before:
            return None
        copied = _kubeconfig.without(before) == _kubeconfig.without(content)
        if self._only_copies and copied:
            return {}
        replaced = _kubeconfig.is_copy(before, content) or _kubeconfig.is_of_rebuilt_cluster(before, content)
        if not self._only_copies and (not before.strip() or replaced):
            return {}
        return self._merged(path, account, content)

    def _merged(self, path: str, account: pwd.struct_passwd, content: str) -> t.Optional[_kubeconfig.Config]:
        """The user's file with our cluster in it; ``None`` when it is as it shall be.

        :raises SlipwayError: when it cannot be read, unless only copies matter.
        """
        if not content:
            return {}  # in check mode, on a machine that is no control plane yet
        try:
            ours, theirs = self._kubeconfigs.read(self._source), self._kubeconfigs.read(path)
            if self._only_copies and not _kubeconfig.has_ours(theirs, ours):
                return None
            wanted = _kubeconfig.merged(theirs, ours)
        except SlipwayError as error:
            if self._only_copies:
                return None
            raise SlipwayError(
                f"{error.msg} It is the file of {account.pw_name}, and is left as it is. Mend it or move it away, or"
                f" take {account.pw_name} out of kubeconfig_users. Nothing was written."
            ) from error
        return None if wanted == theirs and _is_private(path, account) else wanted

    def _give(self, path: str, wish: _kubeconfig.Config, content: str, account: pwd.struct_passwd) -> t.List[str]:
        """Write the user's file; returns where a copy of it is kept that was made before.

        :raises SlipwayError: when that is not possible.
        """
        before = read_exactly(path)
        try:
            kept = []
            if before.strip() and not _kubeconfig.is_copy(before, content):
                # What has our mark was kept when it got it.
                marked = wish and _kubeconfig.is_marked(self._kubeconfigs.read(path))
                kept = [] if marked else [_marks.keep(os.path.realpath(path))]
            if wish:
                self._kubeconfigs.write(path, wish, (account.pw_uid, account.pw_gid))
            else:
                self._write(path, content, account)
        except OSError as error:
            raise SlipwayError(f"{path} could not be written: {error}") from error
        return kept

    def _write(self, path: str, content: str, account: pwd.struct_passwd) -> None:
        """Write one copy, complete or not at all, never readable by others.

        :raises SlipwayError: when that is not possible, for example when the user has no home.
        """
        path = os.path.realpath(path)
        folder = os.path.dirname(path)
        temporary = ""
        try:
            if not os.path.isdir(folder):
                os.mkdir(folder, 0o700)
                os.chown(folder, account.pw_uid, account.pw_gid)
            handle, temporary = tempfile.mkstemp(dir=folder)
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            os.chown(temporary, account.pw_uid, account.pw_gid)
            os.replace(temporary, path)
        finally:
            if os.path.exists(temporary):
                os.unlink(temporary)


def _config_of(account: pwd.struct_passwd) -> str:
    return os.path.join(account.pw_dir, ".kube", "config")


def _is_private(path: str, account: pwd.struct_passwd) -> bool:
    """Whether a file belongs to ``account`` and is readable by nobody else."""
    status = os.stat(path)
    owner = (status.st_uid, status.st_gid) == (account.pw_uid, account.pw_gid)
    return owner and stat.S_IMODE(status.st_mode) == 0o600


def _owner(path: str) -> int:
    return os.stat(path).st_uid


def _expect_own(path: str, account: pwd.struct_passwd) -> None:
    """A link is followed, but not to what is another user's.

    :raises SlipwayError: when it leads there.
    """
    target = os.path.realpath(path)
    if os.path.islink(path) and os.path.exists(target) and _owner(target) not in (account.pw_uid, 0):
        raise SlipwayError(
            f"{path} is a link to {target}, which belongs to another user: it is left as it is. Make it a file of"
            f" {account.pw_name}, or take that user out of kubeconfig_users. Nothing was written."
        )


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
        result = KubeconfigCopy(module).run()
        for path in result["copies"]:
            module.warn(f"A user's own kubeconfig was changed; what was in it is kept in {path}.")
        module.exit_json(**result)
    except SlipwayError as error:
        module.fail_json(msg=error.msg, **error.details)


if __name__ == "__main__":
    main()
