# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The power of machines that have a kernel of their own."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from . import machines, nodes
from .machines import Machine
from .nodes import Node
from .util import LabError, step, write


def _machines(names: Sequence[str], *states: str) -> dict[Node, Machine]:
    """Return machines by what they are as nodes.

    :param states: those that they may be in.
    :raises LabError: when a name is that of another node, or of none, or a machine's state is another one.
    """
    there = machines.existing()
    for name in names:
        if name not in there:
            raise LabError(f"{name} is no machine; there are: {', '.join(there) or 'none'} (of containers, ask docker)")
        if there[name].state not in states:
            raise LabError(f"{name} is {there[name].state}, and should be {' or '.join(states)}")
    return {Node(name, there[name].os, machine=True): there[name] for name in names}


def reboot(names: Sequence[str]) -> None:
    """Let machines start anew, and wait until they have."""
    chosen = _machines(names, "running")
    with step(f"reboot {', '.join(names)}"), ThreadPoolExecutor(8) as pool:
        list(pool.map(_reboot, chosen))


def _reboot(node: Node) -> None:
    before = _boot(node)
    _order(node, "reboot")
    end = time.monotonic() + nodes.BOOT_TIMEOUT
    while _boot(node) in ("", before):
        if time.monotonic() > end or machines.existing()[node.name].state == "exited":
            raise LabError(f"{node.name} has not rebooted\n{nodes.failed_units(node)}")
        time.sleep(0.2)
    nodes.wait(node, degraded=True)


def _boot(node: Node) -> str:
    """Return what is another one after each start, "" while nobody answers."""
    try:
        return nodes.execute(node, "cat", "/proc/sys/kernel/random/boot_id")
    except LabError:
        return ""


def _order(node: Node, verb: str) -> None:
    """Tell systemd to end; what becomes of the connection depends on which ends first."""
    with contextlib.suppress(LabError):
        nodes.execute(node, "sudo", "systemctl", verb)


def power_off(names: Sequence[str], *, cut: bool = False) -> None:
    """Switch machines off.

    :param cut: without asking them, as when the power fails. Those that are paused, too.
    """
    chosen = _machines(names, "running", *(["paused"] if cut else []))
    for node in chosen if not cut else []:
        _order(node, "poweroff")
    end = time.monotonic() + nodes.BOOT_TIMEOUT
    for machine in chosen.values():
        if cut:
            machine.process.kill()
        while machine.state != "exited":
            if time.monotonic() > end:
                raise LabError(f"{machine.name} does not end; `lab poweroff --cut {machine.name}` does not ask it")
            time.sleep(0.2)


def power_on(names: Sequence[str], *, append: str | None = None) -> None:
    """Switch machines on, and wait until they have started.

    :param append: what their kernels' command lines have besides, from now on.
    """
    chosen = _machines(names, "exited")
    if append is not None:
        for machine in chosen.values():
            write(machine.append, append)
    with step(f"start {', '.join(names)}"), ThreadPoolExecutor(8) as pool:
        list(pool.map(machines.switch_on, chosen.values()))
        list(pool.map(functools.partial(nodes.wait, degraded=True), chosen))


def pause(names: Sequence[str]) -> None:
    """Stop the time of machines."""
    for machine in _machines(names, "running").values():
        machine.process.pause()


def resume(names: Sequence[str]) -> None:
    """Let machines that were paused go on."""
    for machine in _machines(names, "paused").values():
        machine.process.resume()
