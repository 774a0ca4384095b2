# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.slipway.kubernetes.plugins.module_utils import _kubelet_requests
from ansible_collections.slipway.kubernetes.tests.unit.plugins.kube_fakes import fixture


def test_sentences() -> None:
    said = {item["metadata"]["name"]: _kubelet_requests.describe(item) for item in fixture("csr-crafted.json")["items"]}
    start = "The request {} of {} for a serving certificate is pending: it asks for "
    assert said["admin"].startswith(start.format("admin", "admin"))
    assert said["good"] == start.format("good", "worker1") + "worker1, 127.0.0.1, fd00::1."
    assert "alternative name of type 6" in said["uri"]
    assert said["client"] == start.format("client", "worker1") + "no name."


def test_a_request_that_cannot_be_read() -> None:
    item = {"metadata": {"name": "x"}, "spec": {"username": "system:node:n", "request": "?"}}
    assert "of n for" in _kubelet_requests.describe(item) and "cannot be read" in _kubelet_requests.describe(item)
