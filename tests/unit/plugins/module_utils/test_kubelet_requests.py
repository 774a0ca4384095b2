# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import subprocess
import sys
import typing as t
from pathlib import Path

from ansible_collections.slipway.kubernetes.plugins.module_utils._kubelet import kubelet_requests
from ansible_collections.slipway.kubernetes.plugins.plugin_utils import _programs
from ansible_collections.slipway.kubernetes.tests.unit.plugins.kube_fakes import fixture


def test_sentences() -> None:
    said = {item["metadata"]["name"]: kubelet_requests.describe(item) for item in fixture("csr-crafted.json")["items"]}
    start = "The request {} of {} for a serving certificate is pending: it asks for "
    assert said["admin"].startswith(start.format("admin", "admin"))
    assert said["good"] == start.format("good", "worker1") + "worker1, 127.0.0.1, fd00::1."
    assert "alternative name of type 6" in said["uri"]
    assert said["client"] == start.format("client", "worker1") + "no name."


def test_a_request_that_cannot_be_read() -> None:
    item = {"metadata": {"name": "x"}, "spec": {"username": "system:node:n", "request": "?"}}
    assert "of n for" in kubelet_requests.describe(item) and "cannot be read" in kubelet_requests.describe(item)


def crafted(name: str, **spec: t.Any) -> t.Dict[str, t.Any]:
    items = {item["metadata"]["name"]: item for item in fixture("csr-crafted.json")["items"]}
    return {**items[name], "spec": {**items[name]["spec"], **spec}}


def reasons(item: t.Dict[str, t.Any]) -> t.List[str]:
    worker = kubelet_requests.Identity.of("worker1", ["127.0.0.1", "FD00::1"])
    return kubelet_requests.judge(item, {"worker1": worker})[1]


def test_the_judgement() -> None:
    assert reasons(crafted("good")) == []
    assert reasons(crafted("good", groups=["system:authenticated"])) == ["its user is not in the group system:nodes"]
    assert reasons(crafted("good", request="LS0t"))[0].startswith("it cannot be read: expected one PEM block")
    assert reasons(crafted("good", request="?"))[0].startswith("it cannot be read")
    both = crafted("client", usages=["server auth", "digital signature"])
    assert reasons(both) == ["it names neither a DNS name nor an address"]


def test_what_is_pending() -> None:
    assert [
        item["metadata"]["name"]
        for item in fixture("csr-crafted.json")["items"]
        if not kubelet_requests.is_pending(item)
    ] == ["client", "good"]


def test_programs_on_nodes_can_judge_without_ansible(tmp_path: Path) -> None:
    """A node has Python alone; a program there needs nothing but these files in a package of their names."""
    for path, text in _programs.package("_kubelet.kubelet_requests").items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
    program = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
from {_programs._PACKAGE}._kubelet import kubelet_requests
assert kubelet_requests.__file__.startswith({str(tmp_path)!r})
assert kubelet_requests.judge({{"spec": {{}}}}, {{}})[1]
assert not [name for name in sys.modules if name == "ansible" or name.startswith("ansible.")]
"""
    subprocess.run([sys.executable, "-I", "-c", program], check=True)


def test_what_a_request_says_is_printed_with_escapes() -> None:
    evil = "\x1b[2J\nroot\u202e"
    user = f"system:node:worker1{evil}"
    worker = {"worker1": kubelet_requests.Identity.of("worker1", [])}
    for item in (
        crafted("good", username=evil),
        crafted("good", username=user),
        crafted("good", usages=[evil]),
        crafted("good", request=base64.b64encode(evil.encode()).decode()),
    ):
        item["metadata"]["name"] = evil
        said = [kubelet_requests.describe(item), *kubelet_requests.judge(item, worker)[1]]
        assert len(said) > 1 and not [text for text in said if "\x1b" in text or "\n" in text or "\u202e" in text]
    assert "\\x1b[2J\\nroot\\u202e" in kubelet_requests.describe(item)


def test_a_node_that_announces_no_address_stands_in_nobodys_way() -> None:
    """The API server takes any text: one lost machine must not stop the certificates of all others."""

    def node(name: str, *addresses: str) -> t.Dict[str, t.Any]:
        announced = [{"type": "InternalIP", "address": address} for address in addresses]
        return {"metadata": {"name": name}, "status": {"addresses": announced}}

    nodes = [node("lost", "192.0.2.9; drop", "", "fe80::1%eth0x"), node("worker1", "192.0.2.21")]
    found = kubelet_requests.owners(nodes)
    assert found["192.0.2.21"] == ["worker1"]
    assert kubelet_requests.taken(["192.0.2.21"], "worker1", found, {}) == []
