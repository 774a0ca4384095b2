# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import sys
import typing as t
from pathlib import Path

import pytest

# A checkout finds itself as ansible_collections.slipway.kubernetes; ansible-test brings its own path.
_COLLECTIONS = Path(__file__).resolve().parents[2] / "collections"
if _COLLECTIONS.is_dir():
    sys.path.insert(0, str(_COLLECTIONS))

from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import helm_work
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm import kubeadm_files
from ansible_collections.slipway.kubernetes.plugins.module_utils._pod_networks import POD_NETWORKS
from ansible_collections.slipway.kubernetes.tests.unit.plugins.kube_fakes import Clock, waiting_clock
from ansible_collections.slipway.kubernetes.tests.unit.plugins.utils import ModuleRunner


@pytest.fixture(autouse=True)
def records(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets records of modules be in a folder of the test, not on this machine."""
    folder = tmp_path_factory.mktemp("records")
    monkeypatch.setattr(helm_work, "FOLDER", str(folder))
    monkeypatch.setattr(kubeadm_files, "RECORD", str(folder / "given.json"))


@pytest.fixture
def run_module(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> ModuleRunner:
    """Runs a module's ``main()`` in this process: ``run_module(main, options, check=False)``."""
    return ModuleRunner(monkeypatch, capsys)


@pytest.fixture(name="clock")
def fixture_clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Time that passes only by sleeping, for all that waits."""
    return waiting_clock(monkeypatch)


@pytest.fixture(name="flannel_alone")
def fixture_flannel_alone() -> t.Iterator[None]:
    """Flannel as the only pod network, whatever others there are: for tests that say all that comes of the table."""
    before = dict(POD_NETWORKS)
    for name in set(POD_NETWORKS) - {"flannel"}:
        del POD_NETWORKS[name]
    yield
    # In the order that they had.
    POD_NETWORKS.clear()
    POD_NETWORKS.update(before)


@pytest.fixture(name="narrow")
def fixture_narrow() -> t.Iterator[None]:
    """A umask that lets nobody else read."""
    before = os.umask(0o077)
    yield
    os.umask(before)
