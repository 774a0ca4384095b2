# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import typing as t
from pathlib import Path

from ansible_collections.slipway.kubernetes.plugins.filter import kubeconfig_of as module
from ansible_collections.slipway.kubernetes.plugins.module_utils._pki.x509 import certificate_pins
from ansible_collections.slipway.kubernetes.tests.unit.plugins import kubectl_config

CA = (Path(__file__).parents[1] / "fixtures/kubeadm/ca.crt").read_text(encoding="utf-8")
AUTHORITY = base64.b64encode(CA.encode()).decode()
OURS = kubectl_config.ADMIN.format(authority=AUTHORITY, server="https://192.0.2.9:6443", key="a2V5")
kubeconfig_of = module.FilterModule().filters()["kubeconfig_of"]


def machine(**kubernetes: t.Any) -> t.Dict[str, t.Any]:
    return {"inventory_hostname": "cp1", "slipway_node": {"kubernetes": kubernetes}}


def test_of_the_cluster(tmp_path: Path) -> None:
    path = tmp_path / "admin.conf"
    path.write_text(OURS)
    known = machine(ca_cert_hashes=certificate_pins(CA), unfinished=None)
    bare = machine(ca_cert_hashes=[], unfinished=None)
    assert kubeconfig_of(str(path), [bare, known])
    assert kubeconfig_of(str(path), [machine(unfinished={"operation": "reset", "authority": AUTHORITY})])
    for others in ([], [bare], [machine(ca_cert_hashes=["sha256:aa"])], [machine(unfinished={"authority": "?"})]):
        assert not kubeconfig_of(str(path), others)


def test_what_is_not_only_ours(tmp_path: Path) -> None:
    known = machine(ca_cert_hashes=certificate_pins(CA))
    path = tmp_path / "admin.conf"
    assert not kubeconfig_of(str(path), [known])
    for text in ("", "no kubeconfig", kubectl_config.OTHERS, OURS + "# mine\n", OURS.replace(AUTHORITY, "bm9uZQ==")):
        path.write_text(text)
        assert not kubeconfig_of(str(path), [known])
