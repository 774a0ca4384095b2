# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two runs at the same time: the second refuses and names the first, wherever it was begun.

A run that was killed or has failed blocks nobody, and one that was frozen for too long does nothing more.
"""

from __future__ import annotations

import json
import os
import signal
import time
import typing as t

import pytest
from lab_support import Site

RECORD = "/var/lib/slipway/run.json"
#: Seconds for what happens within some.
PATIENCE = 60.0
#: One that sees no processes of this one, so that it has to go by signs of life.
ANOTHER_CONTROLLER = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
# Nothing of the addons could run on a control plane alone.
VARIABLES = {"metrics_server_enabled": False, "metallb_enabled": False}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Site]:
    """One bare machine."""
    made = Site(tmp_path_factory.mktemp("two"), ["two-cp1"], [], variables=VARIABLES)
    yield made
    made.close()


def foreign(site: Site, age: float) -> None:
    """Leave the record of a run of another controller."""
    record = {
        "controller": "desk",
        "pid": 7,
        "user": "bob",
        "playbook": "upgrade.yml",
        "since": "2026-11-01 12:00:00 UTC",
    }
    site.control_plane.execute("mkdir", "--parents", os.path.dirname(RECORD))
    site.control_plane.execute("tee", RECORD, stdin=json.dumps({**record, "seen": time.time() - age}))


def lease(site: Site) -> dict[str, t.Any]:
    """What the Lease in the cluster says."""
    found = site.control_plane.kubectl("get", "lease/slipway-run", "--namespace=kube-system", "--output=json")
    return json.loads(found)["spec"]


def wait(condition: t.Callable[[], bool]) -> None:
    """Wait for a state that comes soon."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.2)


def test_the_second_refuses_and_a_killed_run_blocks_nobody(site: Site) -> None:
    first = site.start()
    assert first.reaches("Load kernel modules"), first.output
    second = site.run().expect(2, changed=[])
    assert "run: another run works on this cluster: ansible-playbook site.yml by " in second.output
    assert f"(pid {first.pid}) since " in second.output and "nothing was changed." in second.output
    # Check mode changes nothing, so it may look beside it; what it finds depends on how far the other one is.
    assert "What this one sees may be half done." in site.run("--check", "--tags", "none").output
    first.kill()
    # Not by the next run on the same controller, which knows better, but for those of all others.
    wait(lambda: site.control_plane.shell(f"ls {RECORD}", check=False) == "")
    site.run().expect()
    assert site.control_plane.shell(f"ls {RECORD}", check=False) == ""
    assert not lease(site).get("holderIdentity")


def test_another_controller(site: Site) -> None:
    foreign(site, age=130)
    refused = site.run().expect(2, changed=[])
    assert "ansible-playbook upgrade.yml by bob on desk (pid 7) since 2026-11-01 12:00:00 UTC." in refused.output
    assert "-e preflight_take_over=true" in refused.output
    site.run("-e", "preflight_take_over=true").expect(changed=[])
    foreign(site, age=1900)
    site.run().expect(changed=[])


def test_the_record_is_private(site: Site) -> None:
    run = site.start()
    assert run.sees(site.control_plane, f"test -s {RECORD}")
    assert site.control_plane.shell(f"stat --format=%a {RECORD}").strip() == "600"
    run.wait().expect(changed=[])


def test_a_failed_run_blocks_nobody(site: Site) -> None:
    """Ended by a signal, as AWX and CI end what they cancel."""
    run = site.start()
    assert run.reaches("Set up the pod network") or run.reaches("Install Flannel"), run.output
    assert lease(site)["holderIdentity"].endswith(f" pid {run.pid}")
    run.signal(signal.SIGTERM)
    assert run.wait().rc != 0
    wait(lambda: not lease(site).get("holderIdentity"))
    assert site.control_plane.shell(f"ls {RECORD}", check=False) == ""


def test_another_controller_that_gives_signs_of_life_is_not_taken_over(site: Site) -> None:
    first = site.start(within=ANOTHER_CONTROLLER)
    assert first.reaches("Load kernel modules"), first.output
    wait(lambda: lease(site).get("leaseDurationSeconds") == 90)
    # Two seconds of each three it stands still, which is no reason to take it for dead.
    second = site.start("--tags", "none")
    while not second.ended and not first.ended:
        for number in (signal.SIGSTOP, signal.SIGCONT):
            first.signal(number)
            time.sleep(2 if number == signal.SIGSTOP else 1)
    first.wait().expect(changed=[])
    refused = second.wait()
    assert refused.rc == 2 and "Another run works on this cluster: ansible-playbook site.yml by " in refused.output


def test_a_frozen_controller_stops_when_it_is_woken_up(site: Site) -> None:
    first = site.start()
    assert first.reaches("Load kernel modules"), first.output
    wait(lambda: lease(site).get("leaseDurationSeconds") == 90)
    first.signal(signal.SIGSTOP)
    before = first.output
    second = site.start(within=ANOTHER_CONTROLLER)
    done = second.wait().expect(changed=[])
    assert "It may be dead: waiting for up to 90 s for a sign of life." in done.output
    assert "Took the lock over: no sign of life for " in done.output and f"(pid {first.pid})" in done.output
    first.signal(signal.SIGCONT)
    woken = first.wait()
    assert woken.rc != 0
    wait(lambda: "This run has lost its lock and is ended." in first.output)
    assert "TASK [" not in first.output[len(before) :], "it went on"
    assert not lease(site).get("holderIdentity")
    site.expect_settled()
