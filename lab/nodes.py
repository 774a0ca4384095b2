# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes: systemd machines, in containers or with a kernel of their own, reached by ssh as a user who may sudo.

What `lab nodes` does for a container is documented in README.md, so that other tools can start some from the image.
What machines with a kernel of their own consist of is in machines.py.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from . import debian, el9like, engine, golang, machines
from .machines import Machine
from .util import CACHE, SOURCE, LabError, digest, lock, run, say, step, tail, write

PREFIX = "slipway-"
IMAGE = "slipway-lab/node"
USER = "ops"
SSH = CACHE / "ssh"
KEY = SSH / "id_ed25519"
KNOWN_HOSTS = SSH / "known_hosts"

# Systems of nodes, and the suite of Debian that each is made from.
SYSTEMS = {**debian.SUITES, el9like.NAME: el9like.SUITE}

# What a small cloud image of Debian has.
PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "python3", "iproute2", "iptables", "kmod", "procps", "ca-certificates"),
    *("openssh-server", "sudo", "curl", "gnupg", "iputils-ping"),
)

# Seconds until systemd has started everything.
BOOT_TIMEOUT = 120

# Of machines, unless they are asked for with others. Memory is in MiB, and taken when it is used.
CPUS = 2
MEMORY = 3072
LIMITS = {"cpus": range(1, 9), "memory": range(512, 65537)}


@dataclass(frozen=True)
class Node:
    """A node as it is asked for.

    machine: whether it has a kernel of its own, and then so many processors and so much memory.
    """

    name: str
    os: str = "debian12"
    second: bool = False
    machine: bool = False
    cpus: int = CPUS
    memory: int = MEMORY

    @property
    def container(self) -> str:
        """Its name in docker."""
        return PREFIX + self.name


@dataclass(frozen=True)
class Running:
    """A node as it is; a machine has no container."""

    container: str
    address: str
    second_address: str
    os: str
    state: str = "running"
    machine: bool = False


# `lab up` makes these; inventory/ knows their addresses.
DEFAULT = (Node("cp1"), Node("worker1", "debian13"), Node("worker2"))
RESERVED = {"cp1": 11, "worker1": 12, "worker2": 13}

# Numbers of the addresses for all others. Those above are for load balancers (200 to 219) and for docker.
POOL = range(31, 200)


def parse(words: Sequence[str], default_os: str, second: bool, machine_words: Sequence[str] = ()) -> list[Node]:
    """Read NAME[:os]... or a number, which stands for node1, node2, ...

    :param machine_words: NAME[:os][,cpus=N][,memory=MIB]... of machines.
    :raises LabError: naming the word that is wrong.
    """
    if len(words) == 1 and words[0].isdigit():
        words = [f"node{number}" for number in range(1, int(words[0]) + 1)]
    nodes = [_parse(word, default_os, second) for word in words]
    nodes += [_parse_machine(word, default_os, second) for word in machine_words]
    names = [node.name for node in nodes]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise LabError(f"named twice: {', '.join(twice)}")
    return nodes


def _parse_machine(word: str, default_os: str, second: bool) -> Node:
    first, *settings = word.split(",")
    numbers = {"cpus": CPUS, "memory": MEMORY}
    for setting in settings:
        key, _, value = setting.partition("=")
        if key not in LIMITS or not value.isdigit() or int(value) not in LIMITS[key]:
            limits = " and ".join(f"{name}={known[0]} to {known[-1]}" for name, known in LIMITS.items())
            raise LabError(f"{word!r} says {setting!r}; machines have {limits} (MiB)")
        numbers[key] = int(value)
    return replace(_parse(first, default_os, second), machine=True, cpus=numbers["cpus"], memory=numbers["memory"])


def _parse(word: str, default_os: str, second: bool) -> Node:
    name, _, os = word.partition(":")
    if not re.fullmatch(r"[a-z]([a-z0-9-]{0,40}[a-z0-9])?", name):
        raise LabError(f"{name!r} is no name for a node: lower-case letters, digits and dashes")
    if (os or default_os) not in SYSTEMS:
        raise LabError(f"{os or default_os!r} is no system for a node; there are {', '.join(SYSTEMS)}")
    return Node(name, os or default_os, second)


def choose_numbers(names: Iterable[str], taken: Iterable[int], pool: Sequence[int] = POOL) -> dict[str, int]:
    """Return the number of the address for each name: its own, or the first that is free, in the order of names."""
    used = set(taken)
    chosen = {}
    for name in names:
        number = RESERVED.get(name) or next((number for number in pool if number not in used), 0)
        if not number:
            raise LabError(f"no address is free for {name}: remove nodes with `lab nodes --remove NAME...`")
        used.add(number)
        chosen[name] = number
    return chosen


def ensure_key() -> None:
    """Make the key that opens the nodes: once, though the images of several systems are made at the same time."""
    with lock("ssh-key"):
        if KEY.exists():
            return
        debian.install({"ssh-keygen": "openssh-client"})
        SSH.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryDirectory(dir=SSH) as folder:
            new = Path(folder) / KEY.name
            run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "slipway-lab", "-f", new])
            new.with_suffix(".pub").rename(KEY.with_suffix(".pub"))
            new.rename(KEY)


def image_files(os: str) -> dict[str, str]:
    """Return the files of an image that depend on this machine, and on the system."""
    files = {
        "root/authorized_keys": KEY.with_suffix(".pub").read_text(encoding="utf-8"),
        "etc/lab/resolv.conf": engine.nameservers(),
    }
    if os == el9like.NAME:
        return {**files, **el9like.SUDOERS, f"etc/sudoers.d/{USER}": f"{USER} ALL=(ALL) NOPASSWD:ALL\n"}
    files["etc/apt/sources.list.d/debian.sources"] = debian.host_sources(SYSTEMS[os])
    files[f"etc/sudoers.d/{USER}"] = f"{USER} ALL=(ALL) NOPASSWD:ALL\n"
    proxies = debian.host_proxies()
    if proxies:
        files["etc/apt/apt.conf.d/90proxy"] = f'{proxies}Acquire::http::Proxy::{engine.MAIN.gateway} "DIRECT";\n'
    return files


def ensure_image(os: str) -> str:
    """Return the reference of the image for a system, building it when needed."""
    ensure_key()
    reference = f"{IMAGE}:{os}"
    runc = golang.build(golang.RUNC_NODE) / "runc-node"
    files = image_files(os)
    packages = (*PACKAGES, *el9like.PACKAGES) if os == el9like.NAME else PACKAGES
    with lock(f"image-{os}"):
        base = debian.system(f"node-{os}", SYSTEMS[os], "minbase", packages)
        more = el9like.prepare(base) if os == el9like.NAME else []
        key = digest(base.parent.name, runc.parent.name, SOURCE / "node", json.dumps(files), *el9like.inputs(more))
        found = run(["docker", "images", "--quiet", "--filter", f"label=slipway.key={key}", reference])
        if found.strip():
            return reference
        with step(f"make the image {reference}"):
            context = CACHE / "image" / os
            shutil.rmtree(context, ignore_errors=True)
            shutil.copytree(SOURCE / "node", context)
            for name, text in files.items():
                write(context / "files" / name, text)
            tools = context / "files" / "usr/local/sbin"
            tools.mkdir(parents=True)
            (context / "lab-init").rename(tools / "lab-init")
            shutil.copy2(runc, tools / "runc")
            shutil.copy2(runc, tools / "crun")
            raw = f"slipway-lab/system:{os}"
            engine.docker("import", "--change", f"LABEL {engine.LABEL}", base, raw)
            labels = ["--label", engine.LABEL, "--label", f"slipway.key={key}"]
            build: list[str | Path] = [
                "docker",
                "build",
                "--quiet",
                "--build-arg",
                f"BASE={raw}",
                *labels,
                "--tag",
                reference,
                context,
            ]
            # One at a time: what a build has not come to the end of looks like an image that nobody uses any more.
            with lock("image-build"):
                if more:
                    el9like.convert(raw, more)
                run(build, env={"DOCKER_BUILDKIT": "0"})
                engine.docker("image", "prune", "--force", "--filter", f"label={engine.LABEL}")
    return reference


def existing() -> dict[str, Running]:
    """Return the lab's nodes by name."""
    # In one call: what is asked about in a second one may have been removed by another process of the lab.
    labels = [f'{{{{.Label "slipway.{name}"}}}}' for name in ("address", "second", "os")]
    words = ["ps", "--all", "--filter", f"label={engine.LABEL}", "--filter", "label=slipway.os"]
    rows = engine.docker(*words, "--format", "\t".join(["{{.Names}}", *labels, "{{.State}}"])).splitlines()
    found = existing_machines()
    for row in rows:
        container, address, second, system, state = row.split("\t")
        found[container.removeprefix(PREFIX)] = Running(container, address, second, system, state)
    return dict(sorted(found.items()))


def existing_machines() -> dict[str, Running]:
    """Return those with a kernel of their own by name."""
    return {
        name: Running("", machine.address, machine.second_address, machine.os, machine.state, machine=True)
        for name, machine in machines.existing().items()
    }


def ensure(wanted: Sequence[Node], *, fresh: bool = False) -> dict[str, Running]:
    """Let nodes run, and return them by name. A node that runs already stays as it is.

    :param fresh: make all of them anew.
    :raises LabError: when a node runs with another system or without the network that is asked for.
    """
    for network in [engine.MAIN, engine.SECOND] if any(node.second for node in wanted) else [engine.MAIN]:
        engine.ensure_network(network)
    memory = {node.name: node.memory for node in _new(wanted, fresh) if node.machine}
    if memory:
        machines.require_host(memory)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(ensure_image, sorted({node.os for node in wanted})))
    for system in sorted({node.os for node in wanted if node.name in memory}):
        machines.ensure_image(system, f"{IMAGE}:{system}")
    with lock("nodes"):
        there = existing()
        new = _new(wanted, fresh)
        for node in wanted:
            if node not in new:
                _check_same(node, there[node.name])
        remove([node.name for node in new if node.name in there])
        if new:
            with step(f"start {', '.join(node.name for node in new)}"):
                _start(new)
        there = existing()
        asked = {node.name: there[node.name] for node in wanted}
        _write_known_hosts(asked)
    return asked


def _new(wanted: Sequence[Node], fresh: bool) -> list[Node]:
    running = {name for name, node in existing().items() if node.state == "running"}
    return [node for node in wanted if fresh or node.name not in running]


def _start(new: Sequence[Node]) -> None:
    taken = [int(address.rpartition(".")[2]) for address in _addresses_in_use()]
    numbers = choose_numbers([node.name for node in new if not node.machine], taken)
    # From the end: docker does not know of these addresses.
    own = [node.name for node in new if node.machine]
    numbers |= choose_numbers(own, [*taken, *numbers.values()], POOL[::-1])

    def create(node: Node) -> None:
        if node.machine:
            _create_machine(node, numbers[node.name])
        else:
            _create(node, numbers[node.name])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(create, new))
        there = existing_machines()
        _write_known_hosts({name: there[name] for name in own})
        list(pool.map(wait, new))


def _addresses_in_use() -> list[str]:
    networked = (engine.inspect_network(engine.MAIN.name) or {}).get("addresses", [])
    return networked + [node.address for node in existing().values()]


def _check_same(node: Node, there: Running) -> None:
    asked = _describe(node.os, node.second, (node.cpus, node.memory) if node.machine else None)
    machine = machines.existing()[node.name] if there.machine else None
    is_ = _describe(there.os, bool(there.second_address), (machine.cpus, machine.memory) if machine else None)
    if is_ != asked:
        raise LabError(f"{node.name} runs as {is_}, asked for is {asked}; make it anew with --fresh")


def _describe(os: str, second: bool, size: tuple[int, int] | None) -> str:
    kind = f"a machine with cpus={size[0]} and memory={size[1]}" if size else "a container"
    return f"{kind}, {os} with {'two networks' if second else 'one network'}"


def _create(node: Node, number: int) -> None:
    """Start the container of a node. README.md explains the options."""
    second = engine.SECOND.address(number) if node.second else ""
    labels = {"slipway.os": node.os, "slipway.address": engine.MAIN.address(number), "slipway.second": second}
    try:
        engine.docker(
            *("run", "--detach", "--name", node.container, "--hostname", node.name, "--label", engine.LABEL),
            *(f"--label={key}={value}" for key, value in labels.items()),
            *("--network", engine.MAIN.name, "--ip", engine.MAIN.address(number)),
            *("--privileged", "--cgroupns=private", "--tmpfs", "/run", "--tmpfs", "/tmp:exec"),
            f"{IMAGE}:{node.os}",
        )
    except LabError as error:
        if "not permitted" in str(error) and engine.needs_wrapper(engine.bounding_set()):
            hint = "this machine lacks CAP_SYS_RESOURCE: end its docker engine, and the lab starts one that minds it"
            raise LabError(f"{error}\n{hint}") from error
        if "already in use" in str(error):
            raise LabError(f"{error}\n{node.container} is not the lab's: remove it with docker rm") from error
        raise
    if second:
        engine.docker("network", "connect", "--ip", second, engine.SECOND.name, node.container)


def _create_machine(node: Node, number: int) -> None:
    second = engine.SECOND.address(number) if node.second else ""
    machine = Machine(node.name, node.os, engine.MAIN.address(number), second, node.cpus, node.memory)
    machines.create(machine, machines.ensure_image(node.os, f"{IMAGE}:{node.os}"), engine.nameservers())
    machines.switch_on(machine)


def execute(node: Node, *command: str) -> str:
    """Run a command on a node: as root in a container, as the user on a machine."""
    if not node.machine:
        return engine.docker("exec", node.container, *command)
    options = {"BatchMode": "yes", "ConnectTimeout": "5", "LogLevel": "ERROR", "UserKnownHostsFile": KNOWN_HOSTS}
    given = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    return run(["ssh", "-i", KEY, *given, f"{USER}@{machines.existing()[node.name].address}", *command])


def wait(node: Node, *, degraded: bool = False) -> None:
    """Wait until systemd has started everything, ssh included.

    :param degraded: whether services may have failed.
    """
    end = time.monotonic() + BOOT_TIMEOUT
    while True:
        try:
            state = execute(node, "systemctl", "is-system-running").strip()
        except LabError as error:
            state = str(error)
        # What systemd says is the last line of an error, too.
        if state.rpartition("\n")[2] in (("running", "degraded") if degraded else ("running",)):
            return
        gone = machines.existing()[node.name].state == "exited" if node.machine else "is not running" in state
        if time.monotonic() > end or "degraded" in state or gone:
            raise LabError(f"{node.name} has not started: {state}\n{failed_units(node)}")
        time.sleep(0.2)


def failed_units(node: Node) -> str:
    """Return what may explain that a node has not started."""
    try:
        return execute(node, "systemctl", "--failed", "--no-legend")
    except LabError:
        if node.machine:
            log = machines.existing()[node.name].process.log
            return f"{tail(log.read_text(encoding='utf-8', errors='replace'))}\nall of it: {log}"
        return engine.docker("logs", "--tail", "20", node.container)


def _write_known_hosts(nodes: dict[str, Running]) -> None:
    """Write down the nodes' host keys, so that ssh can check them. Lines of other machines stay."""
    own = {address for node in nodes.values() for address in (node.address, node.second_address)}
    lines = KNOWN_HOSTS.read_text(encoding="utf-8").splitlines() if KNOWN_HOSTS.exists() else []
    kept = [line for line in lines if not own & set(line.partition(" ")[0].split(","))]

    def key(name: str) -> str:
        node = nodes[name]
        names = ",".join(filter(None, [node.address, node.second_address]))
        if node.machine:
            public = machines.existing()[name].host_key.split()
        else:
            public = engine.docker("exec", node.container, "cat", "/etc/ssh/ssh_host_ed25519_key.pub").split()
        return f"{names} {public[0]} {public[1]}"

    with ThreadPoolExecutor(8) as pool:
        fresh = list(pool.map(key, nodes))
    write(KNOWN_HOSTS, "\n".join([*kept, *fresh, ""]), 0o600)


def remove(names: Iterable[str]) -> None:
    """Remove nodes with their volumes and disks; names that are not there are fine."""
    there = existing()
    names = list(names)
    containers = [there[name].container for name in names if name in there and not there[name].machine]
    if containers:
        engine.docker("rm", "--force", "--volumes", *containers)
        say(f"removed {', '.join(containers)}")
    machines.remove(names)


def as_json(nodes: dict[str, Running]) -> str:
    """Return nodes as other programs read them."""
    return json.dumps({name: asdict(node) for name, node in nodes.items()}, indent=2)
