# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say in words why a module could not run on a host.

Private to this collection; runs on the controller.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils import _packages
from ansible_collections.slipway.kubernetes.plugins.module_utils._layout import KUBEADM
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import Failure

#: The subject of a host that does not answer at all.
UNREACHABLE = "connection"
#: Lines of a failed module's output that are kept.
LINES_MAX = 4

_NO_PYTHON = re.compile(
    r"python[\d.]*['\"]?:? (was )?not found|python[\d.]*: No such file|No python interpreters found", re.I
)
_OLD_PYTHON = re.compile(
    r"requires a minimum of Python version (\S+?)\. Current version: ([^\s(]+)"
    r"|future feature annotations is not defined"
)
_NO_TTY = re.compile(r"you must have a tty to run sudo", re.I)
_NO_SUDO = re.compile(
    r"(missing|incorrect) (sudo|become|su) password|password is required|not in the sudoers|sudo: not found", re.I
)


def _tail(text: str) -> str:
    """The last lines of a text, as one line."""
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    return " / ".join(lines[-LINES_MAX:])


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."


def reason(result: t.Mapping[str, t.Any]) -> str:
    """What a failed module says about it, as sentences."""
    said = str(result.get("msg") or result.get("module_stderr") or "") or "no reason given"
    return _sentence(_tail(said)).replace(" Nothing was changed.", "")


def explain(result: t.Mapping[str, t.Any]) -> t.Optional[Failure]:
    """Why a module that looks at the host did not work: what people meet most gets words of its own.

    :returns: ``None`` when it did work.
    """
    if result.get("unreachable"):
        return Failure(
            UNREACHABLE,
            f"the host is unreachable: {reason(result)}",
            "Check that it is up, and ansible_host, ansible_port, ansible_user and the key for it.",
        )
    if not result.get("failed"):
        return None
    everything = "\n".join(
        str(result.get(name) or "") for name in ("msg", "module_stderr", "module_stdout", "exception")
    )
    old = _OLD_PYTHON.search(everything)
    if old:
        version = old[2] or "of the host"
        return Failure(
            "python",
            f"Python {version} is too old for Ansible's modules ({old[1] or '3.8'} or newer).",
            "Install a newer one and set ansible_python_interpreter to it.",
        )
    install = " or ".join(f"{manager.tool} install python3" for manager in _packages.MANAGERS)
    if _NO_PYTHON.search(everything) or (result.get("rc") == 127 and "python" in everything):
        return Failure(
            "python",
            "no Python was found on the host.",
            f"Install it ({install}), or set ansible_python_interpreter to where it is.",
        )
    if _NO_TTY.search(everything):
        return Failure(
            "ansible_become",
            "sudo on the host wants a terminal (requiretty), which Ansible does not give it with pipelining.",
            "Write `Defaults:USER !requiretty` for ansible_user into /etc/sudoers.d, or set ansible_pipelining: false.",
        )
    if _NO_SUDO.search(everything):
        said = _tail(str(result.get("module_stderr") or result.get("msg")))
        return Failure(
            "ansible_become",
            f"the user cannot become root: {_sentence(said)}",
            "Give the user passwordless sudo, or run with --ask-become-pass.",
        )
    return Failure(
        "node_facts", f"the host could not be looked at: {reason(result)}", "Run the play again with -vvv to see more."
    )


def of_another_installer(node: t.Mapping[str, t.Any]) -> t.Optional[Failure]:
    """Why nothing that was seen of a machine counts: it is a node of an installer that these playbooks are not for.

    :param node: what node_facts found.
    """
    name = str((node.get("kubernetes") or {}).get("installer") or KUBEADM.name)
    if name == KUBEADM.name:
        return None
    return Failure(
        "kubernetes",
        f"is a node of a cluster of {name}.",
        f"A cluster of {name} is not taken over. Remove it by its own means when it is not needed any more, or take the"
        " host out of this inventory.",
    )
