# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs that meet, are killed or frozen, or lose a machine in the middle.

The second of two refuses and names the first, wherever it was begun. A run that was killed or has failed blocks nobody,
one that was frozen for too long does nothing more, and a worker that does not join holds up none of the others.
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
FIRST, GOOD, BAD = "runs-cp1", "runs-w1", "runs-w2"
#: Looks at all machines and takes the lock, and does nothing else.
ONLY_LOOK = ("--tags", "none")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Site]:
    """Three bare machines."""
    variables = {"metallb_enabled": False, "cluster_node_labels": {"example.org/room": "7"}}
    made = Site(tmp_path_factory.mktemp("runs"), [FIRST], [GOOD, BAD], variables=variables)
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


def get(site: Site, *what: str) -> t.Any:
    """Objects of the API."""
    return json.loads(site.control_plane.kubectl("get", *what, "--output=json"))


def lease(site: Site) -> dict[str, t.Any]:
    """What the Lease in the cluster says."""
    return get(site, "lease/slipway-run", "--namespace=kube-system")["spec"]


def wait(condition: t.Callable[[], bool]) -> None:
    """Wait for a state that comes soon."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.2)


def is_free(site: Site) -> bool:
    """Whether the next run may begin."""
    record = site.control_plane.shell(f"ls {RECORD}", check=False)
    return record == "" and not lease(site).get("holderIdentity")


def test_the_second_refuses_and_a_killed_run_blocks_nobody(site: Site) -> None:
    first = site.start()
    assert first.reaches("Load kernel modules"), first.output
    assert site.control_plane.shell(f"stat --format=%a {RECORD}").strip() == "600"
    second = site.run().expect(2, changed=[])
    assert "run: another run works on this cluster: ansible-playbook site.yml by " in second.output
    assert f"(pid {first.pid}) since " in second.output and "nothing was changed." in second.output
    # Check mode changes nothing, so it may look beside it; what it finds depends on how far the other one is.
    assert "What this one sees may be half done." in site.run("--check", *ONLY_LOOK).output
    first.kill()
    # Not by the next run on the same controller, which knows better, but for those of all others.
    wait(lambda: site.control_plane.shell(f"ls {RECORD}", check=False) == "")


def test_a_worker_that_does_not_join_holds_up_nobody(site: Site) -> None:
    run = site.start()
    assert run.reaches("Initialise the control plane"), run.output
    # kubeadm finds a machine that is not free.
    site.nodes[BAD].shell("mkdir -p /etc/kubernetes/pki && echo strange > /etc/kubernetes/pki/ca.crt")
    done = run.wait().expect(2)
    assert f" {BAD} failed before joining was done" in " ".join(done.output.split()), done.output
    lost = {host for host, counts in done.recap.items() if counts["failed"] or counts["unreachable"]}
    assert lost == {FIRST, BAD}, done.output
    nodes = {item["metadata"]["name"]: item["metadata"]["labels"] for item in get(site, "nodes")["items"]}
    assert set(nodes) == {FIRST, GOOD} and {labels["example.org/room"] for labels in nodes.values()} == {"7"}
    assert site.control_plane.kubectl("top", "nodes", "--no-headers").count("\n") == 2
    assert site.bootstrap_tokens() == []
    wait(lambda: is_free(site))


def test_coredns_is_not_on_one_node_only(site: Site) -> None:
    pods = get(site, "pods", "--namespace=kube-system", "--selector=k8s-app=kube-dns")["items"]
    assert {pod["spec"]["nodeName"] for pod in pods} == {FIRST, GOOD}


def test_the_next_run_finishes_it(site: Site) -> None:
    site.nodes[BAD].shell("rm /etc/kubernetes/pki/ca.crt")
    done = site.run().expect()
    assert (BAD, "Join the cluster") in done.changed
    site.expect_settled()
    assert is_free(site)


def test_all_replicas_on_one_node_are_named_and_moved(site: Site) -> None:
    others = [name for name in (GOOD, BAD) if name != FIRST]
    site.control_plane.kubectl("cordon", *others)
    site.control_plane.kubectl("rollout", "restart", "deployment/coredns", "--namespace=kube-system")
    site.control_plane.kubectl("rollout", "status", "deployment/coredns", "--namespace=kube-system", "--timeout=120s")
    site.control_plane.kubectl("uncordon", *others)
    verified = site.run(playbook="playbooks/verify.yml").expect()
    assert f"All 2 pods of kube-system/coredns are on {FIRST}" in " ".join(verified.output.split())
    task = (FIRST, "Let CoreDNS not be on one node only")
    site.run("--check", "--tags", "wait").expect(changed=[task])
    site.run("--tags", "wait").expect(changed=[task])
    site.run("--tags", "wait").expect(changed=[])


def test_another_controller(site: Site) -> None:
    foreign(site, age=130)
    refused = site.run(*ONLY_LOOK).expect(2, changed=[])
    assert "ansible-playbook upgrade.yml by bob on desk (pid 7) since 2026-11-01 12:00:00 UTC." in refused.output
    assert "-e preflight_take_over=true" in refused.output
    site.run(*ONLY_LOOK, "-e", "preflight_take_over=true").expect(changed=[])
    foreign(site, age=1900)
    taken = site.run(*ONLY_LOOK).expect(changed=[])
    assert "Took the lock over: no sign of life for 19" in " ".join(taken.output.split())


def test_a_run_that_is_ended_blocks_nobody(site: Site) -> None:
    """By a signal, as AWX and CI end what they cancel."""
    run = site.start()
    assert run.reaches("Load kernel modules"), run.output
    assert lease(site)["holderIdentity"].endswith(f" pid {run.pid}")
    run.signal(signal.SIGTERM)
    assert run.wait().rc != 0
    wait(lambda: is_free(site))


def test_another_controller_that_gives_signs_of_life_is_not_taken_over(site: Site) -> None:
    first = site.start(within=ANOTHER_CONTROLLER)
    assert first.reaches("Load kernel modules"), first.output
    wait(lambda: lease(site).get("leaseDurationSeconds") == 90)
    second = site.start(*ONLY_LOOK)
    # Two seconds of each three it stands still, which is no reason to take it for dead.
    while not second.ended and not first.ended:
        for number in (signal.SIGSTOP, signal.SIGCONT):
            first.signal(number)
            time.sleep(2 if number == signal.SIGSTOP else 1)
    refused = second.wait()
    assert refused.rc == 2, refused.output
    assert "Another run works on this cluster: ansible-playbook site.yml by " in " ".join(refused.output.split())
    first.wait().expect(changed=[])


def test_a_frozen_controller_does_nothing_more_when_it_is_woken_up(site: Site) -> None:
    first = site.start()
    assert first.reaches("Load kernel modules"), first.output
    wait(lambda: lease(site).get("leaseDurationSeconds") == 90)
    first.signal(signal.SIGSTOP)
    before = first.output
    done = site.start(*ONLY_LOOK, within=ANOTHER_CONTROLLER).wait().expect(changed=[])
    said = " ".join(done.output.split())
    assert "It may be dead: waiting for up to 90 s for a sign of life." in said
    assert "Took the lock over: no sign of life for " in said and f"(pid {first.pid})" in said
    first.signal(signal.SIGCONT)
    assert first.wait().rc != 0
    wait(lambda: "This run has lost its lock and is ended." in first.output)
    assert "TASK [" not in first.output[len(before) :], "it went on"
    assert is_free(site)
    site.run().expect(changed=[])
