# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Moments in which a run is killed, or a machine that it works on."""

from __future__ import annotations

import dataclasses

from lab_support import Run, Site

#: Victims. SIGKILL for ansible-playbook and its children leaves what it has started on a machine running there;
#: with MACHINE that is killed, too, as when a machine loses its power.
#: RESTART restarts the machine, container and all, before that run has come to its end.
ANSIBLE, MACHINE, RESTART = "ansible", "machine", "restart"


@dataclasses.dataclass(frozen=True)
class Point:
    """A moment, and what is killed then."""

    name: str
    #: The task whose beginning is waited for.
    task: str
    #: ANSIBLE, MACHINE, RESTART, or the names of processes on the machine, as a regular expression.
    victim: str
    #: A shell condition on the machine that is waited for after that.
    condition: str = "true"
    #: Its inventory name; the first control plane when it is empty.
    machine: str = ""
    #: Whether the control plane has been complete before.
    control_plane: bool = False
    #: Whether the condition is looked for from the beginning of the run, since it is over soon, and nothing but that
    #: task fulfils it. On a busy host it takes a second until a machine looks at all.
    short: bool = False
    #: What the run is given besides.
    arguments: tuple[str, ...] = ()

    def strike(self, site: Site, run: Run) -> None:
        """Wait for the moment and kill."""
        node = site.nodes[self.machine] if self.machine else site.control_plane
        assert self.short or run.reaches(self.task), f"{self.name}: the run ended before the task\n{run.output}"
        assert self.condition == "true" or run.sees(node, self.condition), f"{self.name}: not reached\n{run.output}"
        if self.victim == ANSIBLE:
            run.kill()
        elif self.victim == MACHINE:
            run.kill()
            # Python that runs a module of ours, and all that it runs.
            node.shell("pkill -KILL -x 'python3.*|kubeadm|helm|kubectl|apt-get|dpkg'", check=False)
        elif self.victim == RESTART:
            node.restart()
            assert run.wait().rc != 0, f"{self.name}: the run has not noticed\n{run.output}"
        else:
            killed = node.shell(f"pkill -KILL -x -e '{self.victim}'", check=False)
            assert killed, f"{self.name}: there was nothing to kill"
            assert run.wait().rc != 0, f"{self.name}: the run has not noticed\n{run.output}"
