# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the files of control planes are, and what their names say.

Private to this collection.
"""

from __future__ import annotations

import re

from ansible_collections.slipway.kubernetes.plugins.module_utils._layout import KUBEADM

#: The folder on control planes. kubeadm's reset, with which a repeated init begins, does not know it.
DIRECTORY = f"{KUBEADM.folder}/slipway"

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]*(/[A-Za-z0-9_][A-Za-z0-9._+-]*)*")
_MODE = re.compile(r"0?[0-7]{3}")
_PATCH = re.compile(
    r"(etcd|kube-apiserver|kube-controller-manager|kube-scheduler|kubeletconfiguration|corednsdeployment)"
    r"[^/]*\.(json|yaml)"
)


def is_name(text: str) -> bool:
    """Whether it is the name of a file below the folder: no part is hidden, or leads out of it."""
    return len(text) <= 200 and _NAME.fullmatch(text) is not None


def mode_of(text: str, secret: bool) -> int:
    """Permission bits of a file; empty text means those that fit.

    :raises ValueError: when it is no mode, or when others could read a secret.
    """
    if not text:
        return 0o600 if secret else 0o644
    if not _MODE.fullmatch(text):
        raise ValueError(f'{text!r} is no mode in octal digits in quotes, such as "0600"')
    mode = int(text, 8)
    if secret and mode & 0o077:
        raise ValueError(f"others than root could read the secret with the mode {text}")
    return mode


def is_patch(name: str) -> bool:
    """Whether kubeadm takes a file of this name for one of its patches, which no static pod reads."""
    return _PATCH.fullmatch(name.rpartition("/")[2]) is not None
