# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Five control planes, which bear that two of them fail at the same time."""

from __future__ import annotations

import subprocess
import time
import typing as t

import pytest
from lab_support import Site, behind
from probe import ApiRead, ApiWrite, api_client, probes

CONTROL_PLANES = [f"five-cp{number}" for number in range(1, 6)]
#: Seconds until the API has to answer again, as for one control plane that fails.
PROMISE = 5.0


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Site]:
    """Five machines that are control planes only."""
    made = Site(tmp_path_factory.mktemp("five"), CONTROL_PLANES, [], variables=behind("172.30.0.237"))
    yield made
    made.close()


def test_from_bare(site: Site, measured: list[str]) -> None:
    begun = time.monotonic()
    site.run().expect()
    measured.append(f"five control planes from bare: {time.monotonic() - begun:.0f} s")
    assert site.etcd_members() == CONTROL_PLANES
    site.expect_settled()


def test_two_fail_at_once(site: Site, measured: list[str]) -> None:
    client = api_client(site.control_plane.shell("cat /etc/kubernetes/admin.conf"))
    others = [site.nodes[name].container for name in CONTROL_PLANES[1:3]]
    with probes(ApiRead("read", client), ApiWrite("write", client)) as reports:
        time.sleep(3)
        subprocess.run(["docker", "kill", *others], check=True, stdout=subprocess.DEVNULL)
        time.sleep(15)
    measured += [f"two of five off: {report}" for report in reports]
    for report in reports:
        assert not report.lost and report.longest_gap <= PROMISE, report
