# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
import time
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import pytest

from lab import cli, engine, machines, nodes, power, uml, util
from lab.machines import Machine
from lab.nodes import Node, Running
from lab.util import LabError

ONE = Machine("a", "debian13", "172.30.0.199", "", 2, 3072)
TWO = Machine("b", "debian12", "172.30.0.198", "172.31.0.198", 4, 4096)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where machines of a test are."""
    path = tmp_path / "machine"
    monkeypatch.setattr(machines, "FOLDER", path)
    return path


def record(machine: Machine) -> None:
    util.write(machine.folder / "machine.json", json.dumps(asdict(machine)))
    util.write(machine.folder / "host_key.pub", "ssh-ed25519 KEY root@a\n")


def test_names() -> None:
    assert nodes.parse(["a"], "debian12", True, ["b:debian13", "c,cpus=4,memory=2048", "d:debian13,memory=512"]) == [
        Node("a", "debian12", True),
        Node("b", "debian13", True, True, nodes.CPUS, nodes.MEMORY),
        Node("c", "debian12", True, True, 4, 2048),
        Node("d", "debian13", True, True, nodes.CPUS, 512),
    ]


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("b,cpus=0", "'b,cpus=0' says 'cpus=0'; machines have cpus=1 to 8 and memory=512 to 65536"),
        ("b,cpus=9", "says 'cpus=9'"),
        ("b,memory=3G", "says 'memory=3G'"),
        ("b,disk=3", "says 'disk=3'"),
        ("b,", "says ''"),
        ("b:windows,cpus=2", "'windows' is no system"),
        ("a", "named twice: a"),
    ],
)
def test_wrong_names(word: str, message: str) -> None:
    with pytest.raises(LabError, match=re.escape(message)):
        nodes.parse(["a"], "debian12", False, [word])


def test_as_many_processors_as_the_kernel_has() -> None:
    assert f"CONFIG_NR_CPUS={nodes.LIMITS['cpus'][-1]}\n" in uml.CONFIG.read_text()


def test_command(folder: Path) -> None:
    words = list(map(str, machines.command(TWO)))
    assert words[:4] == ["env", "TMPDIR=/dev/shm", f"{folder}/b/linux", "seccomp=on"]
    assert {"mem=4096M", "ncpus=4", "rw", f"ubd0={folder}/b/root.img", f"ubd2r={folder}/b/seed.tar"} <= set(words)
    assert [word for word in words if word.startswith("vec")] == [
        "vec0:transport=raw,ifname=slip-u198,depth=128,mac=02:55:ac:1e:00:c6",
        "vec1:transport=raw,ifname=slip-u198b,depth=128,mac=02:55:ac:1f:00:c6",
    ]
    assert not [word for word in map(str, machines.command(ONE)) if word.startswith("vec1")]


def test_names_of_network_devices_fit() -> None:
    for address in (TWO.address, TWO.second_address):
        for name in TWO.link(address):
            assert len(name) < 16
    assert not set(TWO.link(TWO.address)) & set(TWO.link(TWO.second_address))


def test_files_of_a_machine() -> None:
    files = machines.own_files(TWO, "0-1", "nameserver 192.0.2.1\n")
    assert files["etc/hostname"] == "b\n" and "127.0.1.1 b\n" in files["etc/hosts"]
    assert files["etc/resolv.conf"] == "nameserver 192.0.2.1\n"
    assert "UUID=0-1 none swap" in files["etc/fstab"]
    first, second = (files[f"etc/systemd/network/10-vec{number}.network"] for number in (0, 1))
    assert "Name=vec0\n" in first and "Address=172.30.0.198/24\nGateway=172.30.0.1\n" in first
    assert "Name=vec1\n" in second and "Address=172.31.0.198/24\n" in second and "Gateway" not in second
    assert "Type=" not in first + second, "pod networks' devices are ethernet, too"
    assert "etc/systemd/network/10-vec1.network" not in machines.own_files(ONE, "0-1", "")


def test_seed_is_a_disk_that_keeps_the_key(tmp_path: Path) -> None:
    path = tmp_path / "seed.tar"
    machines.write_seed(path, {machines.HOST_KEY: "secret\n", "etc/hostname": "b\n"})
    assert path.stat().st_size % machines.SECTOR == 0 and path.stat().st_mode & 0o777 == 0o600
    with tarfile.open(path) as tar:
        modes = {entry.name: entry.mode for entry in tar}
    assert modes == {machines.HOST_KEY: 0o600, "etc/hostname": 0o644}


def test_existing(folder: Path) -> None:
    assert machines.existing() == {}
    record(ONE)
    (folder / "half").mkdir()
    assert machines.existing() == {"a": ONE}
    assert nodes.existing_machines() == {"a": Running("", ONE.address, "", "debian13", "exited", machine=True)}


def test_state(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record(ONE)
    monkeypatch.setattr(machines, "command", lambda _: ["sleep", "100"])
    ONE.process.start(lambda: True)
    try:
        assert ONE.state == "running"
        ONE.process.pause()
        assert ONE.state == "paused"
        ONE.process.resume()
        assert ONE.state == "running"
        ONE.process.pause()
    finally:
        assert ONE.process.kill()
    assert ONE.state == "exited" and not ONE.process.kill()


def test_removal_leaves_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record(TWO)
    (folder / "half").mkdir()
    gone: list[str] = []
    monkeypatch.setattr(machines, "_disconnect", gone.append)
    machines.remove(["b", "half", "never-there"])
    assert gone == ["slip-m198", "slip-m198b"] and list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("mounts", "need", "message"),
    [
        ("devtmpfs /dev devtmpfs rw 0 0\n", 1, "need a tmpfs on /dev/shm"),
        ("tmpfs /dev/shm tmpfs rw,noexec 0 0\n", 1, "without noexec"),
        ("tmpfs /dev/shm tmpfs rw,nosuid 0 0\n", 901, "/dev/shm has 1000 MiB, and machines may take 1001"),
        ("tmpfs /dev/shm tmpfs rw,nosuid 0 0\n", 801, "may take 801 MiB of memory, 800 MiB are available"),
    ],
)
def test_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mounts: str, need: int, message: str) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(total=1000 << 20))
    monkeypatch.setattr(machines, "available_memory", lambda _: 800)
    with pytest.raises(LabError, match=message):
        machines._require_memory(need, 100, 0, mounts=util.write(tmp_path / "mounts", mounts))
    enough = util.write(tmp_path / "mounts", "tmpfs /dev/shm tmpfs rw,nosuid,nodev 0 0\n")
    machines._require_memory(800, 100, 0, mounts=enough)
    machines._require_memory(900, 0, 100, mounts=enough)


def test_available_memory() -> None:
    assert machines.available_memory("MemTotal: 9 kB\nMemFree: 1024 kB\nMemAvailable:    4096 kB\nBuffers: 1 kB\n") == 4


def test_root_and_disk_are_asked_for_first(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(LabError, match="machines need root"):
        machines.require_host({"a": 3072})
    assert not folder.exists()
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=9 << 30))
    with pytest.raises(LabError, match=r"has 9\.0 GiB of disk, 10\.0 GiB are needed for 2 machines"):
        machines.require_host({"a": 3072, "b": 3072})


def test_what_others_take_counts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for machine in (ONE, TWO):
        record(machine)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(Machine, "state", "running")
    monkeypatch.setattr(machines, "require_room", lambda *_: None)
    asked: list[tuple[int, ...]] = []
    monkeypatch.setattr(machines, "_require_memory", lambda *numbers, mounts: asked.append(numbers))
    machines.require_host({"a": 1000, "c": 500})
    assert asked == [(1500, TWO.memory, ONE.memory)], "one that is made anew does not count twice"


def test_addresses_are_apart_from_those_of_docker(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert nodes.choose_numbers(["x", "y"], [199], nodes.POOL[::-1]) == {"x": 198, "y": 197}
    record(ONE)
    monkeypatch.setattr(engine, "docker", lambda *_: "")
    monkeypatch.setattr(engine, "inspect_network", lambda _: None)
    assert nodes._addresses_in_use() == [ONE.address]


def test_containers_and_machines_start_together(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: dict[str, int] = {}
    waited: list[str] = []
    monkeypatch.setattr(nodes, "_addresses_in_use", lambda: ["172.30.0.31", "172.30.0.199"])
    monkeypatch.setattr(nodes, "_create", lambda node, number: started.update({node.name: number}))

    def create(node: Node, number: int) -> None:
        started[node.name] = number
        record(Machine(node.name, node.os, engine.MAIN.address(number), "", node.cpus, node.memory))

    monkeypatch.setattr(nodes, "_create_machine", create)
    monkeypatch.setattr(nodes, "KNOWN_HOSTS", folder / "known_hosts")
    monkeypatch.setattr(nodes, "wait", lambda node: waited.append(node.name))
    nodes._start([Node("c"), Node("m", "debian13", machine=True)])
    assert started == {"c": 32, "m": 198} and sorted(waited) == ["c", "m"]
    assert (folder / "known_hosts").read_text() == "172.30.0.198 ssh-ed25519 KEY\n", "known before it is logged in to"


@pytest.mark.parametrize(
    "asked",
    [
        Node("a", "debian13"),
        Node("a", machine=True),
        Node("a", "debian13", second=True, machine=True),
        Node("a", "debian13", machine=True, cpus=4),
        Node("a", "debian13", machine=True, memory=1024),
    ],
)
def test_machine_that_runs_otherwise_is_not_replaced_silently(asked: Node, folder: Path) -> None:
    record(ONE)
    there = Running("", ONE.address, "", "debian13", machine=True)
    nodes._check_same(Node("a", "debian13", machine=True), there)
    with pytest.raises(LabError, match=r"runs as a machine with cpus=2 and memory=3072, .* make it anew with --fresh"):
        nodes._check_same(asked, there)


@pytest.mark.parametrize(
    ("answer", "degraded", "message"),
    [
        ("running\n", False, ""),
        ("running\n", True, ""),
        (LabError("failed with code 1:\ndegraded"), True, ""),
        (LabError("failed with code 1:\ndegraded"), False, "degraded\nsome.service"),
        (LabError("failed with code 255:\nConnection refused"), True, "Connection refused"),
    ],
)
def test_wait(
    answer: str | LabError, degraded: bool, message: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(ONE)
    monkeypatch.setattr(nodes, "BOOT_TIMEOUT", 0)

    def execute(node: Node, *command: str) -> str:
        if "is-system-running" in command and isinstance(answer, LabError):
            raise answer
        return "some.service failed" if "--failed" in command else str(answer)

    monkeypatch.setattr(nodes, "execute", execute)
    node = Node("a", "debian13", machine=True)
    if message:
        with pytest.raises(LabError, match=message):
            nodes.wait(node, degraded=degraded)
    else:
        nodes.wait(node, degraded=degraded)


def test_container_that_has_ended_is_not_taken_for_one_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    def docker(*arguments: str) -> str:
        if arguments[0] == "exec":
            raise LabError("`docker exec` failed with code 1:\nError: container abc is not running")
        return "what it printed last"

    monkeypatch.setattr(engine, "docker", docker)
    with pytest.raises(LabError, match="is not running\nwhat it printed last"):
        nodes.wait(Node("a"))


@pytest.mark.parametrize("name", ["reboot", "poweroff", "poweron", "pause", "resume"])
def test_power_of_what_is_no_machine(name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record(ONE)
    options = cli.parser().parse_args([name, "container"])
    with pytest.raises(LabError, match="container is no machine; there are: a"):
        cli.COMMANDS[name](options)


@pytest.mark.parametrize(
    ("name", "state"),
    [("reboot", "exited"), ("poweroff", "paused"), ("poweron", "running"), ("pause", "exited"), ("resume", "running")],
)
def test_power_in_another_state(name: str, state: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record(ONE)
    monkeypatch.setattr(Machine, "state", state)
    with pytest.raises(LabError, match=f"a is {state}, and should be"):
        cli.COMMANDS[name](cli.parser().parse_args([name, "a"]))


def test_reboot_is_seen_by_the_boot(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record(ONE)
    monkeypatch.setattr(Machine, "state", "running")
    monkeypatch.setattr("time.sleep", lambda _: None)
    said: list[str] = []
    boots = iter(["1", "1", "", "", "2"])

    def execute(node: Node, *command: str) -> str:
        said.append(command[-1])
        if command[-1] != "/proc/sys/kernel/random/boot_id":
            raise LabError("Connection closed by remote host")
        return next(boots)

    monkeypatch.setattr(nodes, "execute", execute)
    monkeypatch.setattr(nodes, "wait", lambda node, degraded: said.append("waited"))
    power.reboot(["a"])
    assert said.count("reboot") == 1 and said[-1] == "waited" and next(boots, None) is None


def test_what_a_kernel_is_told_besides(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record(ONE)
    monkeypatch.setattr(Machine, "state", "exited")
    monkeypatch.setattr(machines, "switch_on", lambda machine: None)
    monkeypatch.setattr(nodes, "wait", lambda node, degraded: None)
    words = list(map(str, machines.command(ONE)))
    for arguments, more in (["--append", "lsm=yama,selinux selinux=1"], {"lsm=yama,selinux", "selinux=1"}), ([], None):
        before = list(map(str, machines.command(ONE)))
        cli.COMMANDS["poweron"](cli.parser().parse_args(["poweron", "a", *arguments]))
        # It stays until it is told otherwise.
        assert set(map(str, machines.command(ONE))) == ({*words, *more} if more else set(before))


def test_machine_that_does_not_end(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record(ONE)
    monkeypatch.setattr(Machine, "state", "running")
    monkeypatch.setattr(nodes, "BOOT_TIMEOUT", 0)
    monkeypatch.setattr(nodes, "execute", lambda *_: "")
    with pytest.raises(LabError, match="lab poweroff --cut a"):
        power.power_off(["a"])


def test_configuration_that_a_kernel_does_not_take() -> None:
    assert uml.missing_options("# why\nCONFIG_A=y\nCONFIG_B=m\n", "CONFIG_A=y\nCONFIG_B=y\n") == ["CONFIG_B=m"]
    options = [line.partition("=")[0] for line in uml.CONFIG.read_text().splitlines() if line.startswith("CONFIG_")]
    assert len(options) == len(set(options)), "an option is asked for once"


def test_release(tmp_path: Path) -> None:
    text = "# SPDX\nVERSION = 7\nPATCHLEVEL = 2\nSUBLEVEL = 13\nEXTRAVERSION =\n"
    util.write(tmp_path / "Makefile", text)
    assert uml.release(tmp_path) == "7.2.13"
    assert [uml.is_new_enough(text) for text in ("6.12.48", "6.19.0", "7.2.13")] == [False, True, True]


def test_mends_are_made_or_missed(tmp_path: Path) -> None:
    util.write(tmp_path / "Makefile", "VERSION = 7\nPATCHLEVEL = 9\nSUBLEVEL = 1\n")
    for name, old, _new in uml.MENDS:
        util.write(tmp_path / name, f"before\n{old}after\n")
    uml.mend(tmp_path)
    for name, _old, new in uml.MENDS:
        assert (tmp_path / name).read_text() == f"before\n{new}after\n"
    with pytest.raises(LabError, match=r"irq\.c of Linux 7\.9\.1 has changed"):
        uml.mend(tmp_path)


def test_no_source_that_is_new_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def download(package: str, suite: str, folder: Path) -> Path:
        asked.append(suite)
        raise LabError(f"no {package}")

    monkeypatch.setattr("lab.debian.download", download)
    with pytest.raises(LabError, match=r"no source of Linux 6\.19 or newer .*\nunstable: no linux-source\ntesting: no"):
        uml.fetch_source(tmp_path)
    assert asked == list(uml.SUITES)


def test_first_program_of_a_machine_can_run() -> None:
    for name in ("lab-machine", "prepare"):
        assert os.access(uml.CONFIG.parent / name, os.X_OK)


def test_a_disk_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that was killed is gone before its last thread has closed the disks."""
    disk = tmp_path / "root.img"
    disk.touch()
    script = (
        "import fcntl, sys; d = open(sys.argv[1], 'rb+'); fcntl.lockf(d, fcntl.LOCK_EX); print(flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, disk],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdin is not None and holder.stdout is not None
        holder.stdout.readline()
        monkeypatch.setattr(machines, "LET_GO", 0)
        with pytest.raises(LabError, match=r"root.img is still in use"):
            machines._wait_for_disk(disk)
        monkeypatch.setattr(machines, "LET_GO", 60)
        monkeypatch.setattr(machines, "time", SimpleNamespace(monotonic=time.monotonic, sleep=lambda _s: holder.kill()))
        machines._wait_for_disk(disk)
