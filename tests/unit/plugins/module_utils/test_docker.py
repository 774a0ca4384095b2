# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Docker Engine with cri-dockerd: its files, what is known of one that is there, its containers."""

from __future__ import annotations

import base64
import http.server
import json
import socketserver
import threading
import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils._marks import MARK
from ansible_collections.slipway.kubernetes.plugins.module_utils._node.node_facts import first_version
from ansible_collections.slipway.kubernetes.plugins.module_utils._packages.interface import PackageManager
from ansible_collections.slipway.kubernetes.plugins.module_utils._runtimes import docker
from ansible_collections.slipway.kubernetes.plugins.module_utils._settings import Settings
from ansible_collections.slipway.kubernetes.tests.unit.plugins.package_fakes import FakeRunner
from ansible_collections.slipway.kubernetes.tests.unit.plugins.proc_fakes import process

PAUSE = "registry.k8s.io/pause:3.10.2"
SOCKET = "unix:///var/run/cri-dockerd.sock"
PEM = "-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----"
HUB = {"url": "https://m.example.com:5000", "ca": PEM}
OWN = {"url": "https://registry.example.com", "ca": PEM, "username": "u", "password": "hunter2"}
PLAIN = {"url": "http://172.30.0.1:5000"}
SYSTEMD = "native.cgroupdriver=systemd"
#: What `dockerd --version` of Debian 12 prints.
VERSION = "Docker version 20.10.24+dfsg1, build 5d6db84\n"
#: Of what the engine of Debian 12 answers to GET /info.
INFO = {
    **{"CgroupDriver": "cgroupfs", "CgroupVersion": "1", "LiveRestoreEnabled": False, "LoggingDriver": "json-file"},
    **{"ServerVersion": "20.10.24+dfsg1", "Driver": "overlay2"},
}
#: Labels as cri-dockerd and as others make them.
POD = {"io.kubernetes.docker.type": "podsandbox", "io.kubernetes.pod.name": "kube-proxy-x"}
CONTAINERS = [
    {"Id": "a1", "State": "running", "Labels": POD},
    {"Id": "b2", "State": "exited", "Labels": {**POD, "io.kubernetes.docker.type": "container"}},
    {"Id": "c3", "State": "running", "Labels": {"io.x-k8s.kind.cluster": "kind"}},
    {"Id": "d4", "State": "running", "Labels": None},
]
#: As `docker run` of etcd's tools makes them: one that ended, one that has just been made, one that was long ago.
TOOL = {"Labels": {docker.TOOL_LABEL: ""}, "Names": ["/slipway-etcd-7"]}
TOOLS = [
    {**TOOL, "Id": "e5", "State": "exited"},
    {**TOOL, "Id": "f6", "State": "created", "Created": 4000000000},
    {**TOOL, "Id": "a7", "State": "created", "Created": 1700000000},
    {**TOOL, "Id": "b8", "State": "running"},
    {**TOOL, "Id": "c9", "State": "exited", "Names": ["/theirs"]},
    {"Id": "d0", "State": "exited", "Names": ["/slipway-etcd-8"]},
]


class Engine(http.server.BaseHTTPRequestHandler):
    """What the engine's API answers."""

    asked: t.ClassVar[t.List[str]] = []

    def _answer(self, status: int, body: t.Any) -> None:
        text = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_GET(self) -> None:
        running = [entry for entry in CONTAINERS if entry["State"] == "running"]
        bodies = {"/info": INFO, "/containers/json?all=1": CONTAINERS, "/containers/json?all=0": running}
        bodies["/images/registry.k8s.io/etcd%3A3.7.0-0/json"] = {"Id": "sha256:1"}
        body = bodies.get(self.path)
        self._answer(200 if body else 404, body or {"message": "page not found"})

    def do_DELETE(self) -> None:
        self.asked.append(self.path)
        self._answer(204, None)

    def address_string(self) -> str:
        return ""

    def log_message(self, *_words: t.Any) -> None:
        """Say nothing."""


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> t.Iterator[t.List[str]]:
    """An engine that answers; what it was told to remove."""
    path = str(tmp_path / "docker.sock")
    monkeypatch.setattr(docker, "_API", path)
    monkeypatch.setattr(Engine, "asked", [])
    with socketserver.ThreadingUnixStreamServer(path, Engine) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield Engine.asked
        server.shutdown()
        thread.join()


def files(mirrors: t.Dict[str, t.Any], **more: t.Any) -> t.Dict[str, str]:
    found = docker.docker_files(mirrors, more.pop("program", "/usr/local/bin/cri-dockerd"), **more)
    return {file["path"]: file["content"] for file in found}


def test_what_the_engine_is_told() -> None:
    assert docker.docker_settings({}) == {
        "engine": {"exec-opts": [SYSTEMD]},
        "defaults": {"log-driver": "json-file", "log-opts": {"max-size": "10m", "max-file": "5"}},
        "registries": {},
        "logins": {},
    }
    own = {"exec-opts": ["native.umask=normal"], "log-opts": {"max-size": "50m"}}
    assert docker.docker_settings({}, own)["engine"] == {
        "exec-opts": [SYSTEMD, "native.umask=normal"],
        "log-opts": {"max-size": "50m"},
    }


def test_mirrors_insecure_registries_logins_and_authorities() -> None:
    mirrors = {"docker.io": [HUB, PLAIN], "172.30.0.1:5000": [PLAIN], "registry.example.com": [OWN]}
    found = docker.docker_settings(mirrors)
    assert found["registries"] == {
        "registry-mirrors": ["https://m.example.com:5000", "http://172.30.0.1:5000"],
        "insecure-registries": ["172.30.0.1:5000"],
    }
    login = base64.b64encode(b"u:hunter2").decode()
    assert found["logins"] == {"auths": {"registry.example.com": {"auth": login}}}
    authorities = {path: text for path, text in files(mirrors).items() if "certs.d" in path}
    assert authorities == {
        f"/etc/docker/certs.d/{host}/slipway-1.crt": f"# {MARK}: changes made here by hand are lost.\n{PEM}\n"
        for host in ("m.example.com:5000", "registry.example.com")
    }


@pytest.mark.parametrize(
    ("upstream", "entry", "message"),
    [
        ("_default", PLAIN, "_default means any registry, and Docker has mirrors of docker.io alone"),
        ("quay.io", PLAIN, "the mirror http://172.30.0.1:5000 is one of quay.io, and Docker has mirrors of docker.io"),
        ("quay.io", {"url": "https://quay.io/x"}, "how that one itself is asked: https://quay.io"),
        ("docker.io", {"url": "https://m/v2/docker.io"}, "of docker.io has a path, which Docker refuses"),
        ("docker.io", {**HUB, "username": "u"}, "has a login, which Docker would send to Docker Hub, too"),
        (
            "docker.io",
            {**HUB, "capabilities": ["pull"]},
            "has capabilities, and Docker asks each mirror for everything",
        ),
        ("docker.io", {**HUB, "ca": "/no/such.crt"}, "the ca /no/such.crt of https://m.example.com:5000 is no file on"),
    ],
)
def test_what_docker_has_no_words_for(upstream: str, entry: t.Dict[str, t.Any], message: str) -> None:
    with pytest.raises(ValueError, match="Docker") as error:
        docker.docker_settings({upstream: [entry]})
    assert message in str(error.value)


def test_units() -> None:
    found = files({}, sandbox_image=PAUSE, two_families=True)
    unit, listener = found["/etc/systemd/system/cri-docker.service"], found["/etc/systemd/system/cri-docker.socket"]
    (command,) = [line for line in unit.splitlines() if line.startswith("ExecStart=")]
    assert command.partition("=")[2].split() == [
        "/usr/local/bin/cri-dockerd",
        "--container-runtime-endpoint=fd://",
        "--streaming-bind-addr=127.0.0.1",
        "--network-plugin=cni",
        "--cni-conf-dir=/etc/cni/net.d",
        "--cni-bin-dir=/opt/cni/bin",
        "--ipv6-dual-stack",
        f"--pod-infra-container-image={PAUSE}",
    ]
    assert unit.startswith(f"# {MARK}") and "WorkingDirectory=-/var/lib/kubelet\n" in unit
    assert "ListenStream=/run/cri-dockerd.sock\nSocketMode=0600\n" in listener
    bare = files({}, program="/usr/bin/cri-dockerd")["/etc/systemd/system/cri-docker.service"]
    assert "ExecStart=/usr/bin/cri-dockerd " in bare and "pod-infra" not in bare and "ipv6" not in bare


def test_its_containers_are_those_with_its_label(engine: t.List[str]) -> None:
    runner = FakeRunner({})
    assert docker.DOCKER.containers(runner, SOCKET) == ["a1", "b2"]
    docker.DOCKER.remove(runner, SOCKET, "a1")
    assert engine == ["/containers/a1?force=1&v=1"]
    assert docker.ask("/nothing") is None


def test_etcd_s_tools(engine: t.List[str], monkeypatch: pytest.MonkeyPatch) -> None:
    runner = FakeRunner({})
    assert docker.DOCKER.has_image(runner, SOCKET, "registry.k8s.io/etcd:3.7.0-0")
    assert not docker.DOCKER.has_image(runner, SOCKET, "registry.k8s.io/etcd:1")
    monkeypatch.setitem(globals(), "CONTAINERS", TOOLS)
    docker.DOCKER.remove_ended(runner, SOCKET, "slipway-etcd-")
    assert [path[len("/containers/") :][:2] for path in engine] == ["e5", "a7"]
    # Reset takes them all, and they are none of others.
    assert docker.DOCKER.containers(runner, SOCKET) == ["e5", "f6", "a7", "b8", "c9"]
    assert docker.DOCKER.image_users(runner) == "1 container of others"
    assert docker.DOCKER.tool_at(SOCKET)[:4] == [
        *("docker", "--config=/nonexistent", "--host=unix:///var/run/docker.sock", "run"),
    ]


def test_an_engine_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker, "_API", str(tmp_path / "docker.sock"))
    assert docker.DOCKER.containers(FakeRunner({}), SOCKET) == []
    docker.DOCKER.remove(FakeRunner({}), SOCKET, "a1")
    assert docker._engine() == {}


def test_what_is_known_of_one_that_is_there(
    engine: t.List[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, unit = tmp_path / "daemon.json", tmp_path / "cri-docker.service"
    monkeypatch.setattr(docker, "CONFIG", str(config))
    monkeypatch.setattr(docker, "_UNIT", str(unit))
    monkeypatch.setattr(docker, "_LISTENER", str(tmp_path / "none"))
    process(tmp_path, 40, "/usr/sbin/dockerd", "-H", "fd://", "--log-driver=journald", "--exec-opt", "native.umask=a")
    flags = docker._flags
    monkeypatch.setattr(docker, "_flags", lambda program: flags(program, str(tmp_path)))
    config.write_text(
        json.dumps({"exec-opts": ["native.umask=a", "native.cgroupdriver=cgroupfs"], "userns-remap": "x"})
    )
    unit.write_text("[Service]\n")
    packages = PackageManager(FakeRunner({}))
    assert docker.DOCKER.state(FakeRunner({}), packages, "/usr/sbin/dockerd") == {
        "configuration": {"error": "", "cgroup_driver": "cgroupfs", "log_driver": "", "user_namespaces": "x"},
        "engine": {"cgroup_driver": "cgroupfs", "live_restore": False, "others": 2},
        "flags": ["--exec-opt", "--log-driver"],
        "foreign_files": [str(unit)],
    }
    config.write_text('{\n  "exec-opts": [],\n  hunter2\n}\n')
    unit.unlink()
    found = docker.DOCKER.state(FakeRunner({}), packages, "")
    assert (found["engine"], found["flags"], found["foreign_files"]) == ({}, [], [])
    error = found["configuration"]["error"]
    assert (
        error.startswith(f"{config}, line 3, column 3, is no JSON: Expecting property name") and "hunter2" not in error
    )
    assert first_version(VERSION) == "20.10.24"


def test_a_configuration_that_is_no_object(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "daemon.json"
    monkeypatch.setattr(docker, "CONFIG", str(config))
    for text, expected in (("", ""), ("[]", f"{config} is no JSON object: it has to begin with a brace.")):
        config.write_text(text)
        assert docker._configuration()["error"] == expected
    config.write_text('{"exec-opts": 1, "log-driver": "local"}')
    assert docker._configuration() == {
        **{"error": "", "cgroup_driver": "", "log_driver": "local", "user_namespaces": ""},
    }


def test_overlays() -> None:
    assert docker.DOCKER.has_overlays(Settings({}))
    assert not docker.DOCKER.has_overlays(Settings({"container_runtime_config": {"storage-driver": "zfs"}}))
