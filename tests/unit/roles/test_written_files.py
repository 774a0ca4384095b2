# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file that roles write says whose it is: by its name, or by its head (docs/architecture.md, What is not ours)."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

from ansible_collections.slipway.kubernetes.plugins.module_utils import _marks

ROLES = Path(__file__).parents[3] / "roles"
#: In tasks and variables: the path of an entry, or the value of a variable that is one.
_PATH = re.compile(r"^\s*(?:- )?(?:path|dest|__\w+_(?:file|program|settings)): \"?(/[^\s\"{}]+)\"?$", re.MULTILINE)
#: Programs, of which the module release_archive knows whose they are.
_PROGRAMS = {"/usr/local/bin/calicoctl", "/usr/local/bin/helm"}
#: Files that others write, too. The module json_settings keeps beside them what of them is ours.
_SHARED = {"/etc/docker/daemon.json", "/var/lib/kubelet/config.json"}


def written() -> t.Set[str]:
    texts = [path.read_text("utf-8") for part in ("tasks", "vars") for path in ROLES.glob(f"*/{part}/*.yml")]
    return {path for text in texts for path in _PATH.findall(text)}


def test_paths_are_found() -> None:
    assert {"/etc/haproxy/haproxy.cfg", "/usr/local/bin/k", "/etc/slipway/etcd-backup.json"} <= written()


def test_each_says_whose_it_is() -> None:
    named = written() - _PROGRAMS - _SHARED
    assert sorted(path for path in named if "slipway" not in path and path not in _marks.WRITTEN) == []
