# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The promise to clients while a playbook works on one node after the other."""

from __future__ import annotations

import time

from lab_support import Site
from probe import INTERVAL, TIMEOUT, ApiRead, ApiWrite, Client, Probe, Report, api_client, probes

#: Seconds that all nodes may take, one after the other.
LONG = 3600


def notice_nothing(
    site: Site,
    measured: list[str],
    title: str,
    *arguments: str,
    playbook: str,
    service: str,
    interval: float = INTERVAL,
    patience: float = TIMEOUT,
) -> Report:
    """Run a playbook, and assert that no write through the endpoint and no request to a service has failed meanwhile.

    :param title: what it does, for the lines in ``measured``.
    :param service: the URL of a service of two replicas with a budget.
    :param interval: seconds between two requests of each client.
    :param patience: seconds until an answer counts as none.
    :returns: what was seen of reads, of which one may be repeated at the moment when the address moves.
    """
    client = api_client(site.control_plane.shell("cat /etc/kubernetes/admin.conf"))
    asked = [
        ApiRead("read", client, interval, patience),
        ApiWrite("write", client, interval, patience),
        Probe("service", Client(f"{service}/hostname"), interval, patience),
    ]
    start = time.monotonic()
    with probes(*asked) as reports:
        result = site.start(*arguments, playbook=playbook).wait(LONG)
    measured += [f"{title}: {time.monotonic() - start:.0f} s", *map(str, reports)]
    result.expect()
    read, write, requests = reports
    assert write.lost == [] and write.failed == 0, write
    assert requests.failed == 0, requests
    return read
