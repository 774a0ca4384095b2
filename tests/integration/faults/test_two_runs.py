# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two runs at the same time: the second refuses and names the first. A killed run blocks nobody."""

from __future__ import annotations

import json
import os
import time
import typing as t

import pytest
from lab_support import Site

RECORD = "/var/lib/slipway/run.json"
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


def test_the_second_refuses_and_a_killed_run_blocks_nobody(site: Site) -> None:
    first = site.start()
    assert first.reaches("Load kernel modules"), first.output
    second = site.run().expect(2, changed=[])
    assert "run: another run works on this cluster: ansible-playbook site.yml by " in second.output
    assert f"(pid {first.pid}) since " in second.output and "nothing was changed." in second.output
    # Check mode changes nothing, so it may look beside it; what it finds depends on how far the other one is.
    assert "What this one sees may be half done." in site.run("--check", "--tags", "none").output
    first.kill()
    assert str(first.pid) in site.control_plane.shell(f"cat {RECORD}")
    site.run().expect()
    assert site.control_plane.shell(f"ls {RECORD}", check=False) == ""


def test_another_controller(site: Site) -> None:
    foreign(site, age=130)
    refused = site.run().expect(2, changed=[])
    assert "ansible-playbook upgrade.yml by bob on desk (pid 7) since 2026-11-01 12:00:00 UTC." in refused.output
    assert "-e preflight_take_over=true" in refused.output
    site.run("-e", "preflight_take_over=true").expect(changed=[])
    foreign(site, age=700)
    site.run().expect(changed=[])


def test_the_record_is_private(site: Site) -> None:
    run = site.start()
    assert run.sees(site.control_plane, f"test -s {RECORD}")
    assert site.control_plane.shell(f"stat --format=%a {RECORD}").strip() == "600"
    run.wait().expect(changed=[])
