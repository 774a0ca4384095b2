# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Streams between kubectl and pods, which each container runtime carries in its own way."""

from __future__ import annotations

from testinfra.host import Host

KUBECTL = "kubectl --kubeconfig=/etc/kubernetes/admin.conf"
#: What the pod `echo` runs: it says what it is told.
ECHO = 'stdin: true, command: [sh, -c, "echo begun; while read word; do echo got $word; done; sleep 3600"]'


def expect_exec(control_plane: Host) -> None:
    """Commands in the pod `echo` are answered, get what they are sent, and their exit codes come back."""
    assert control_plane.check_output(f"{KUBECTL} exec echo -- cat /proc/1/comm") == "sh"
    assert control_plane.check_output(f"echo said | {KUBECTL} exec --stdin echo -- cat") == "said"
    failed = control_plane.run(f"{KUBECTL} exec echo -- sh -c 'exit 7'")
    assert failed.rc == 7, failed.stderr


def expect_attach_and_logs(control_plane: Host) -> None:
    """What the pod `echo` is told it says, and it is in its log."""
    attached = control_plane.run(f"(echo word; sleep 2) | timeout 20 {KUBECTL} attach --stdin echo")
    assert "got word" in attached.stdout, attached.stderr
    assert control_plane.check_output(f"{KUBECTL} logs echo").splitlines() == ["begun", "got word"]


def expect_port_forward(control_plane: Host) -> None:
    """The pod `probe` answers through a port of this machine."""
    script = f"""
    {KUBECTL} port-forward pod/probe 18080:8080 >/dev/null &
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        sleep 1
        curl --silent --fail http://127.0.0.1:18080/hostname && break
    done
    kill %1
    """
    assert control_plane.run(f"bash -c '{script}'").stdout.strip() == "probe"
