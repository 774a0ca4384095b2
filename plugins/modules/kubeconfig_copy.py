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
  - In a file that is a copy of ours the address of the API server is ours, too. One that the user has changed, for a
    tunnel perhaps, is put back, and a copy is kept each time; a context of its own for it stays.
  - A file that kubectl cannot read is refused.
  - A link is followed to a file and a folder that belong to the user. Any other is refused; with O(only_copies=true) it
    is left alone. A link of root's to O(source) is as it shall be.
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
        is a file that differs by certificate and key alone, or into which this cluster was merged. Users that do not
        exist have none.
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
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import kubeconfig
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.kubeconfig import Kubeconfigs
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.users_file import UsersFile
from ansible_collections.slipway.kubernetes.plugins.module_utils._layout import KUBEADM
from ansible_collections.slipway.kubernetes.plugins.module_utils._module import Context, run_module


def accounts(names: t.Iterable[str], must_exist: bool = True) -> t.List[pwd.struct_passwd]:
    """The accounts of users.

    :param must_exist: whether all of them have to.
    :raises SlipwayError: naming all users that do not exist.
    """
    found, missing = [], []
    for name in names:
        try:
            found.append(pwd.getpwnam(name))
        except KeyError:
            missing.append(name)
    if missing and must_exist:
        raise SlipwayError(f"There is no user {', '.join(missing)} on this host; create it or take it from the list.")
    return found


class KubeconfigCopy:
    """The kubeconfig and who gets it."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._source: str = context.params["source"]
        self._only_copies: bool = context.params["only_copies"]
        self._accounts = accounts(context.params["users"], must_exist=not self._only_copies)
        self._kubeconfigs = Kubeconfigs(context.runner)

    def run(self) -> t.Dict[str, t.Any]:
        """Give the file to all users that do not have it.

        :raises SlipwayError: when it does not exist (outside check mode), or users have something that cannot be read;
            then nothing has been written.
        """
        content = self._content()
        # All are looked at before the first is changed.
        files = [(UsersFile(account), account.pw_name) for account in self._accounts]
        wishes = [(file, self._wish(file, user, content)) for file, user in files]
        changed, copies = [], []
        for file, wish in wishes:
            if wish is not None:
                changed.append(file.path)
                if not self._context.check_mode:
                    copies += self._give(file, wish, content)
        result: t.Dict[str, t.Any] = {
            "changed": bool(changed),
            "changed_paths": changed,
            "copies": copies,
            "diff": [{"header": path, "before": "", "after": "the kubeconfig (secret)\n"} for path in changed],
        }
        if self._context.params["return_content"]:
            result["content"] = content
        return result

    def _content(self) -> str:
        try:
            with open(self._source, encoding="utf-8") as stream:
                return stream.read()
        except FileNotFoundError as error:
            if not self._context.check_mode:
                raise SlipwayError(f"{self._source} does not exist on this host: is it a control plane?") from error
            return ""

    def _wish(self, file: UsersFile, user: str, content: str) -> t.Optional[kubeconfig.Config]:
        """What the user's file has to become: merged, or empty for a mere copy; ``None`` when it is as it shall be.

        :raises SlipwayError: when it is somebody's and cannot be read, unless only copies matter.
        """
        try:
            before = file.read()
            # A link to the source itself is what its owner wants.
            if file.target == os.path.realpath(self._source) or (before == content and file.is_private()):
                return None
            if self._only_copies and not before:
                return None
            copied = kubeconfig.without(before) == kubeconfig.without(content)
            if self._only_copies and copied:
                return {}
            replaced = kubeconfig.is_copy(before, content) or kubeconfig.is_of_rebuilt_cluster(before, content)
            if not self._only_copies and (not before.strip() or replaced):
                return {}
            return self._merged(file, before, user, content)
        except SlipwayError:
            if self._only_copies:
                return None
            raise

    def _merged(self, file: UsersFile, before: str, user: str, content: str) -> t.Optional[kubeconfig.Config]:
        """The user's file with our cluster in it; ``None`` when it is as it shall be.

        :raises SlipwayError: when it cannot be read.
        """
        if not content:
            return {}  # in check mode, on a machine that is no control plane yet
        try:
            ours, theirs = self._kubeconfigs.read(content, self._source), self._kubeconfigs.read(before, file.path)
            if self._only_copies and not kubeconfig.has_ours(theirs, ours):
                return None
            wanted = kubeconfig.merged(theirs, ours)
        except SlipwayError as error:
            raise SlipwayError(
                f"{error.msg} It is the file of {user}, and is left as it is. Mend it or move it away, or take {user}"
                " out of kubeconfig_users. Nothing was written."
            ) from error
        return None if wanted == theirs and file.is_private() else wanted

    def _give(self, file: UsersFile, wish: kubeconfig.Config, content: str) -> t.List[str]:
        """Write the user's file; returns where a copy of it is kept that was made before.

        :raises SlipwayError: when that is not possible.
        """
        before = file.read()
        text = self._kubeconfigs.text(wish, file.path) if wish else content
        kept = []
        if before.strip() and kubeconfig.without(before) != kubeconfig.without(content):
            # What has our mark was kept when it got it.
            marked = wish and kubeconfig.is_marked(self._kubeconfigs.read(before, file.path))
            kept = [] if marked else [file.keep()]
        file.write(text)
        return kept


ARGUMENTS: t.Dict[str, t.Any] = {
    "source": {"type": "path", "default": KUBEADM.admin},
    "users": {"type": "list", "elements": "str", "default": ["root"]},
    "only_copies": {"type": "bool", "default": False},
    "return_content": {"type": "bool", "default": False},
}


def run(context: Context) -> t.Dict[str, t.Any]:
    """What the module returns."""
    result = KubeconfigCopy(context).run()
    for path in result["copies"]:
        context.warn(f"A user's own kubeconfig was changed; what was in it is kept in {path}.")
    return result


def main() -> None:
    run_module(ARGUMENTS, run)


if __name__ == "__main__":
    main()
