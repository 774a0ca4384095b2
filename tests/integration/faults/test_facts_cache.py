# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster that is run with a persistent cache of facts, and with facts that are no variables."""

from __future__ import annotations

import json
import subprocess
import typing as t

import pytest
from lab_support import Site

CONTROL_PLANE, WORKER = "fact1", "fact2"
#: Task executions of a second run; it must not need more.
EXECUTIONS = {CONTROL_PLANE: 34, WORKER: 13}


@pytest.fixture(scope="module")
def environment() -> t.Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, environment: pytest.MonkeyPatch) -> t.Iterator[Site]:
    """A control plane and a worker, and a controller that keeps facts."""
    folder = tmp_path_factory.mktemp("facts")
    environment.setenv("ANSIBLE_CACHE_PLUGIN", "ansible.builtin.jsonfile")
    environment.setenv("ANSIBLE_CACHE_PLUGIN_CONNECTION", str(folder / "cache"))
    environment.setenv("ANSIBLE_INJECT_FACT_VARS", "False")
    made = Site(folder, [CONTROL_PLANE], [WORKER], variables={"metallb_address_pools": []})
    yield made
    made.close()


@pytest.fixture(scope="module")
def built(site: Site) -> Site:
    site.run().expect()
    return site


def test_a_second_run(built: Site) -> None:
    again = built.run().expect(changed=[])
    for name, limit in EXECUTIONS.items():
        assert again.recap[name]["ok"] <= limit, again.output
    built.run(playbook="playbooks/verify.yml").expect()


def test_facts_are_in_the_cache_and_are_not_believed(built: Site, environment: pytest.MonkeyPatch) -> None:
    cache = built.folder / "cache"
    good = {path.name: path.read_text(encoding="utf-8") for path in cache.iterdir()}
    # Since 2.19 ansible-core prefixes the names and wraps what is in the files.
    (kept,) = [json.loads(text) for name, text in good.items() if name.endswith(CONTROL_PLANE)]
    facts = json.loads(kept["__payload__"]) if "__payload__" in kept else kept
    assert facts["slipway_node"]["kubernetes"]["api_ready"] is True

    def believe() -> None:
        for name, text in good.items():
            (cache / name).write_text(text, encoding="utf-8")

    checked = built.run("-e", f"node={WORKER}", "--check", playbook="playbooks/remove_node.yml").expect()
    assert (WORKER, "Turn the node back into a bare machine") in checked.changed
    built.run("-e", f"node={WORKER}", playbook="playbooks/remove_node.yml").expect()
    # By the cache it still is a node, and there is a control plane that is ready.
    for injected in ("True", "False"):
        environment.setenv("ANSIBLE_INJECT_FACT_VARS", injected)
        believe()
        refused = built.run("--limit", WORKER).expect(2, changed=[])
        assert f"leaves out all control planes ({CONTROL_PLANE})" in " ".join(refused.output.split())
    believe()
    built.run("--limit", WORKER, playbook="playbooks/add_nodes.yml").expect()
    assert f"node/{WORKER}" in built.control_plane.kubectl("get", "nodes", "--output=name")


def test_a_control_plane_that_is_dead(built: Site, environment: pytest.MonkeyPatch) -> None:
    container = built.control_plane.container
    subprocess.run(["docker", "stop", "--time=0", container], check=True, stdout=subprocess.DEVNULL)
    try:
        for injected in ("True", "False"):
            environment.setenv("ANSIBLE_INJECT_FACT_VARS", injected)
            for playbook in ("verify", "renew_certificates"):
                refused = built.run(playbook=f"playbooks/{playbook}.yml").expect(2, changed=[])
                assert "No control plane that --limit leaves in" in " ".join(refused.output.split())
    finally:
        built.control_plane.restart()
