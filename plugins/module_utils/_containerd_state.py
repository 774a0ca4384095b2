# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What containerd a machine has: whose package, which configuration of others, which drop-ins.

Private to this collection.
"""

from __future__ import annotations

import glob
import hashlib
import os
import re
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._command import Runner, SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import read_text
from ansible_collections.slipway.kubernetes.plugins.module_utils._marks import foreign, is_foreign

FOLDER = "/etc/containerd"
CONFIG = f"{FOLDER}/config.toml"
#: Files that our config.toml imports; the same ones that containerd 2.2 and later import by default.
DROP_INS = f"{FOLDER}/conf.d/*.toml"
_HOSTS = f"{FOLDER}/certs.d/*/hosts.toml"
#: The CRI plugin of containerd 1.x.
_CRI = "io.containerd.grpc.v1.cri"
#: What everybody who sets containerd up for kubeadm by hand changes, and what we set, too.
_OURS_ANYWAY = re.compile(
    r"SystemdCgroup\s*=|sandbox(_image)?\s*=\s*[\"']registry\.k8s\.io/pause:"
    r"|config_path\s*=\s*[\"'](/etc/containerd/certs\.d)?[\"']|bin_dir\s*=\s*[\"'](/opt/cni/bin|/usr/lib/cni)[\"']"
)


def owner_of(program: str, root: str = "") -> str:
    """The package that a program is part of, by dpkg's lists; empty when it is part of none."""
    # /bin may be a link to /usr/bin, whichever of them the path and the package name.
    names = {re.sub(r"^(/usr)?/(s?bin/)", rf"{usr}/\2", program) for usr in ("", "/usr")}
    for path in sorted(glob.glob(f"{root}/var/lib/dpkg/info/containerd*.list")):
        if names & set(read_text(path).splitlines()):
            return os.path.basename(path)[: -len(".list")].partition(":")[0]
    return ""


def is_as_packaged(path: str, root: str = "") -> bool:
    """Whether a file is the one that its package brought, by dpkg's list of configuration files.

    Debian's containerd brings a config.toml. A run that was killed after it was installed finds it there.
    """
    recorded = re.search(
        rf"^ {re.escape(path)} ([0-9a-f]{{32}})$", read_text(f"{root}/var/lib/dpkg/status"), re.MULTILINE
    )
    try:
        with open(root + path, "rb") as stream:
            return recorded is not None and hashlib.md5(stream.read()).hexdigest() == recorded.group(1)
    except (OSError, ValueError):
        return False  # ValueError: this machine is told to have no MD5


def _told(document: str) -> t.List[str]:
    """The lines of a document in TOML that say something."""
    return [line for line in map(str.strip, document.splitlines()) if line and line[0] != "#"]


def is_default(text: str, default: str) -> bool:
    """Whether a config.toml says what containerd says without one, but for settings that we make ourselves."""

    def told(document: str) -> t.List[str]:
        return sorted(line for line in _told(document) if not _OURS_ANYWAY.match(line))

    return told(text) == told(default)


def meaning(text: str) -> str:
    """The same for two documents that differ in comments and blanks only; says nothing about what is in them."""
    return hashlib.sha256("\n".join(_told(text)).encode()).hexdigest()


def drop_ins(pattern: str = DROP_INS) -> t.List[t.Dict[str, t.Any]]:
    """The drop-ins, and what they would do to containerd 1.x.

    That takes each plugin's whole section from the last file that has one, so a drop-in for the CRI plugin has to say
    all that our file says. containerd 2 merges.
    """
    found = []
    for path in sorted(glob.glob(pattern)):
        text = "\n".join(line for line in read_text(path).splitlines() if not line.lstrip().startswith("#"))
        found.append(
            {
                "path": path,
                "version": int((re.search(r"^\s*version\s*=\s*(\d)", text, re.MULTILINE) or "00")[1]),
                "cri": _CRI in text,
                "systemd_cgroup": bool(re.search(r"\bSystemdCgroup\s*=\s*true\b", text)),
                "registries": f"{FOLDER}/certs.d" in text,
            }
        )
    return found


def foreign_files(runner: Runner, program: str) -> t.List[str]:
    """Configuration of containerd that is neither ours nor a default that nobody has changed."""
    found = foreign([_HOSTS])
    if not is_foreign(CONFIG) or is_as_packaged(CONFIG):
        return found
    if not (program and is_default(read_text(CONFIG), _default(runner, program))):
        found.insert(0, CONFIG)
    return found


def _default(runner: Runner, program: str) -> str:
    """What containerd prints as its default configuration; empty when it cannot."""
    try:
        return runner.run([program, "config", "default"], check=False).stdout
    except SlipwayError:
        return ""


def state(runner: Runner, program: str) -> t.Dict[str, t.Any]:
    """The part of node_facts that is about containerd's package and configuration.

    :param program: where the program is; empty when it is not installed.
    """
    others = foreign_files(runner, program)
    return {
        "path": program,
        "package": owner_of(program) if program else "",
        "foreign_files": others,
        "foreign_hosts": {path: meaning(read_text(path)) for path in others if path != CONFIG},
        "drop_ins": drop_ins(),
    }
