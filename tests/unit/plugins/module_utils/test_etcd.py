# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils import _runtimes
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._etcd import etcd as _etcd
from ansible_collections.slipway.kubernetes.tests.unit.plugins.etcd_fakes import answers, fixture
from ansible_collections.slipway.kubernetes.tests.unit.plugins.package_fakes import FakeRunner


def members(*names: str, **options: t.Any) -> t.List[_etcd.Member]:
    said = answers(*names, **options)
    found = _etcd.parse_members(said["member list"])
    _etcd.add_health(found, said["endpoint health"], said["endpoint status"])
    return found


def tools(said: t.Optional[t.Mapping[str, t.Any]] = None) -> t.Tuple[_etcd.Tools, FakeRunner]:
    runner = FakeRunner(said or {}, tools=("ctr",))
    return _etcd.Tools(runner, "registry.k8s.io/etcd:3.7.0-0", _runtimes.CRI_SOCKET["default"]), runner


def test_pod() -> None:
    pod = _etcd.parse_pod(fixture("etcd.yaml"))
    assert (pod.image, pod.name, pod.data) == ("registry.k8s.io/etcd:3.7.0-0", "etcd-cp1", "/var/lib/etcd")
    assert (pod.endpoint, pod.peer_url) == ("https://127.0.0.1:2379", "https://172.30.0.45:2380")
    assert pod.flags["feature-gates"] == "InitialCorruptCheck=true"
    assert _etcd.Pod("image", {}).endpoint == "https://127.0.0.1:2379"
    # As kubeadm 1.37.1 writes them where the API server announces an address of IPv6.
    flags = {
        "listen-client-urls": "https://[::1]:2379,https://[fd00::1]:2379",
        "initial-advertise-peer-urls": "https://[fd00::1]:2380",
    }
    six = _etcd.Pod("image", flags)
    assert (six.endpoint, six.peer_url) == ("https://[::1]:2379", "https://[fd00::1]:2380")
    with pytest.raises(SlipwayError, match="names no image"):
        _etcd.parse_pod("spec: {}")


def test_pod_of_a_worker(tmp_path: Path) -> None:
    (tmp_path / "etcd.yaml").write_text(fixture("etcd.yaml"))
    assert _etcd.read_pod(str(tmp_path / "etcd.yaml")).name == "etcd-cp1"
    with pytest.raises(SlipwayError, match="kubeadm runs no etcd here"):
        _etcd.read_pod(str(tmp_path / "none.yaml"))


def test_recorded_members() -> None:
    found = _etcd.parse_members(fixture("members.json"))
    _etcd.add_health(found, fixture("health-down.json"), fixture("status-down.json"))
    assert [member.as_dict() for member in found] == [
        {
            "id": "f73dca8770531f70",
            "name": "etcd-cp1",
            "peer_urls": ["https://172.30.0.45:2380"],
            "client_urls": ["https://172.30.0.45:2379"],
            "learner": False,
            "started": True,
            "healthy": True,
            "leader": True,
            "version": "3.7.0",
            "db_size": 1859584,
            "alarms": [],
            "problem": "",
        }
    ]
    assert _etcd.describe(found) == "1 of 1 members are healthy; 0 more may fail"


def test_alarms_and_members_that_are_down() -> None:
    found = _etcd.parse_members(fixture("members.json"))
    status = fixture("status.json").replace('"version"', '"errors":["memberID:1 alarm:NOSPACE "],"version"')
    _etcd.add_health(found, fixture("health.json"), status)
    assert found[0].alarms == ["NOSPACE"]
    three = members("cp1", "cp2", "", down=["cp2"])
    assert [member.problem for member in three] == [
        "it was added, but has never started",
        "",
        "context deadline exceeded",
    ]
    assert [member.leader for member in three] == [False, True, False]
    assert _etcd.describe(three) == "no quorum: 1 of 3 members are healthy (not f73dca8770531f6e, cp2)"
    silent = _etcd.parse_members(fixture("members.json"))
    _etcd.add_health(silent, "", "")
    assert silent[0].problem == "it does not answer"


@pytest.mark.parametrize(
    ("names", "options", "state"),
    [
        (["a"], {}, (1, 1, 1, True, 0)),
        (["a", "b"], {}, (2, 2, 2, True, 0)),
        (["a", "b", "c"], {"down": "b"}, (3, 2, 2, True, 0)),
        (["a", "b", "c"], {"learners": "c"}, (2, 2, 2, True, 0)),
        (["a", "b", "c", "d", "e"], {}, (5, 3, 5, True, 2)),
        (["a", "b", "c"], {"down": "bc"}, (3, 2, 1, False, 0)),
        ([], {}, (0, 1, 0, False, 0)),
    ],
)
def test_quorum(names: t.List[str], options: t.Dict[str, t.Any], state: t.Tuple[t.Any, ...]) -> None:
    assert tuple(_etcd.quorum(members(*names, **options)).values()) == state


@pytest.mark.parametrize(
    ("names", "options", "leaving", "problem"),
    [
        (["a", "b", "c"], {}, "a", ""),
        (["a", "b"], {}, "b", ""),
        (["a", "b", "c"], {"down": "c"}, "c", ""),
        (["a", "b", "c"], {"down": "c"}, "a", "be healthy, and 1 are (c not)"),
        (["a", "b", "c", "d", "e"], {"down": "d"}, "a", ""),
        (["a", "b", "c", "d", "e"], {"down": "de"}, "a", "be healthy, and 2 are (d, e not)"),
        (["a"], {}, "a", "it is the last member"),
        (["a", "b"], {"learners": "b"}, "a", "it is the last member"),
        (["a", "b"], {"learners": "b"}, "b", ""),
        (["a", "b"], {"down": "b"}, "b", "only 1 of 2 members are healthy"),
        (["a", "b", "c"], {}, "ab", "2 members match"),
    ],
)
def test_removal(names: t.List[str], options: t.Dict[str, t.Any], leaving: str, problem: str) -> None:
    found = members(*names, **options)
    said = _etcd.removal_problem(found, [member for member in found if member.name in leaving])
    assert problem in said if problem else not said


def test_container() -> None:
    some, runner = tools({"etcdutl": "ok"})
    assert some.run(["etcdutl", "version"], {"/a": False, "/b": True}).stdout == "ok"
    argv = runner.calls[0]
    assert argv[:6] == [
        "/usr/bin/ctr", "--address=/run/containerd/containerd.sock", "--namespace=k8s.io", "run", "--rm", "--net-host",
    ]  # fmt: skip
    assert argv[6] == "--mount=type=bind,src=/a,dst=/a,options=rbind:ro"
    assert argv[7].endswith("src=/b,dst=/b,options=rbind:rw")
    assert argv[8] == "registry.k8s.io/etcd:3.7.0-0" and argv[9].startswith("slipway-etcd-")
    with pytest.raises(SlipwayError, match="not its socket"):
        _etcd.Tools(runner, "image", "unix:///run/other/other.sock")


def test_leftovers() -> None:
    some, runner = tools({"containers ls": "abc\n"})
    some.remove_leftovers()
    assert len(runner.calls) == 1
    listed = "slipway-etcd-1\nslipway-etcd-2\nslipway-etcd-3\nabc\n"
    tasks = "TASK    PID    STATUS    \nslipway-etcd-1  11  RUNNING\nslipway-etcd-2  0  STOPPED\n"
    some, runner = tools({"containers ls": listed, "tasks ls": tasks, " rm ": ""})
    some.remove_leftovers()
    assert [call[3:] for call in runner.calls[2:]] == [
        ["tasks", "rm", "slipway-etcd-2"],
        ["containers", "rm", "slipway-etcd-2"],
        ["containers", "rm", "slipway-etcd-3"],
    ]


def test_image() -> None:
    assert tools({"images ls": "registry.k8s.io/etcd:3.7.0-0\n"})[0].has_image()
    assert not tools({"images ls": ""})[0].has_image()


def test_without_an_answer() -> None:
    runner = FakeRunner({"member list": (1, "", "Error: context deadline exceeded")}, tools=("ctr",))
    etcd = _etcd.Etcd(runner, _etcd.parse_pod(fixture("etcd.yaml")), "unix:///run/containerd/containerd.sock")
    with pytest.raises(SlipwayError, match=r"\(https://127.0.0.1:2379\) does not answer: Error: context deadline"):
        etcd.members()
    assert [call[-1] for call in runner.calls] == ["--write-out=json", "--consistency=s"]
    runner = FakeRunner({"member list": '{"members": []}'}, tools=("ctr",))
    etcd = _etcd.Etcd(runner, _etcd.parse_pod(fixture("etcd.yaml")), "/run/containerd/containerd.sock")
    assert etcd.members() == []
    # Without kubeadm's client certificate etcd's own serves.
    assert "--cert=/etc/kubernetes/pki/etcd/server.crt" in runner.calls[0]


def test_client_certificate(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(_etcd, "PKI", str(tmp_path))
    for suffix in ("crt", "key"):
        (tmp_path / f"healthcheck-client.{suffix}").write_text("")
    etcd = _etcd.Etcd(FakeRunner({}, tools=("ctr",)), _etcd.Pod("i", {}), "/run/containerd/containerd.sock")
    assert f"--key={tmp_path}/healthcheck-client.key" in etcd.options(["https://127.0.0.1:2379"])
