# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose a file is: ours say so in their head, a package's untouched one is nobody's, all others are somebody's.

Private to this collection.
"""

from __future__ import annotations

import glob
import os
import re
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._files import TextFile, read_exactly

#: What our own files say; those of other people's roles are "Ansible managed", too.
MARK = "Ansible managed (slipway.kubernetes)"
#: A line of a file that is ours; one that only mentions the mark is somebody's.
_LINE = re.compile(rf"^[\s#;!/*]*{re.escape(MARK)}", re.MULTILINE)
#: How many bytes of a file are its head.
_HEAD = 512
#: Files that roles write and that others may have under the same name (shell patterns); node_facts looks at them. Those
#: whose names have "slipway" in them are ours by their names.
WRITTEN = (
    "/etc/crictl.yaml",
    "/etc/haproxy/haproxy.cfg",
    "/etc/keepalived/keepalived.conf",
    "/usr/local/bin/k",
    "/usr/local/lib/systemd/system/kubelet.service",
    "/usr/local/lib/systemd/system/kubelet.service.d/10-kubeadm.conf",
    "/usr/local/share/zsh/site-functions/_helm",
    "/usr/local/share/zsh/site-functions/_kubeadm",
    "/usr/local/share/zsh/site-functions/_kubectl",
)
#: The label of objects in a cluster, with the name of the set that they are of.
SET_LABEL = "slipway.io/set"
#: What the name of a copy ends with.
KEPT = ".before-slipway"

Test = t.Callable[[str], bool]


def is_managed(path: str) -> bool:
    """Whether this collection has written this file: its head says so."""
    return is_marked(read_exactly(path))


def is_marked(text: str) -> bool:
    """Whether a text is that of a file of ours."""
    return _LINE.search(text[:_HEAD]) is not None


def is_foreign(path: str, is_pristine: Test) -> bool:
    """Whether somebody else has put something into this file.

    :param is_pristine: whether a file is what its package has brought, and nobody has changed it.
    """
    if not os.path.isfile(path) or is_managed(path):
        return False
    return bool(read_exactly(path).strip()) and not is_pristine(path)


def foreign(is_pristine: Test, patterns: t.Optional[t.Iterable[str]] = None) -> t.List[str]:
    """The files of somebody else among those that match; among :data:`WRITTEN` when no patterns are given."""
    paths = {path for pattern in patterns or WRITTEN for path in glob.glob(pattern)}
    return sorted(path for path in paths if is_foreign(path, is_pristine))


def kept_as(path: str, is_same: Test = lambda _copy: False) -> str:
    """Where a file is kept, beside it.

    A copy that is there already is another one's, or of an earlier time: it stays, and this one gets a number.

    :param is_same: whether a copy has what the file has.
    """
    target, number = path + KEPT, 1
    while os.path.lexists(target) and not is_same(target):
        number += 1
        target = f"{path}{KEPT}.{number}"
    return target


def keep(path: str) -> str:
    """Keep a copy of a file beside it, with its mode and owner; returns where."""
    status = os.stat(path)
    content = read_exactly(path)
    target = kept_as(path, lambda copy: read_exactly(copy) == content)
    file = TextFile(target, content, status.st_mode & 0o777, str(status.st_uid), str(status.st_gid))
    if file.differs():
        file.write()
    return target


def keep_foreign(path: str, check_mode: bool) -> t.List[str]:
    """Keep what somebody else has written in the place of a file of ours; returns what there is to warn of."""
    if not is_foreign(path, lambda _path: False):
        return []
    if not check_mode:
        keep(path)
    return [f"{path} was somebody else's. What was in it is kept beside it ({KEPT})."]
