# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The container engine that runs the nodes, and their networks. An engine that answers is used as it is."""

from __future__ import annotations

import functools
import ipaddress
import json
import platform
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from . import debian, golang
from .daemon import Daemon
from .util import CACHE, LabError, as_root, can_be_root, run, say, write

# Everything of the lab that an engine knows has this label, and goes with `lab down`.
LABEL = "slipway.lab=1"


@dataclass(frozen=True)
class Network:
    """A bridge on this machine; the machine itself has the first address."""

    name: str
    subnet: ipaddress.IPv4Network

    @property
    def gateway(self) -> str:
        """This machine's address on the bridge."""
        return str(self.subnet[1])

    @property
    def bridge(self) -> str:
        """The bridge's name, which can be told from others in the output of ip and iptables."""
        return self.name.replace("slipway-", "slip-")

    def address(self, number: int) -> str:
        """Return the address with this number in the subnet."""
        return str(self.subnet[number])


MAIN = Network("slipway-lab", ipaddress.IPv4Network("172.30.0.0/24"))
SECOND = Network("slipway-lab2", ipaddress.IPv4Network("172.31.0.0/24"))

# Where it is asked for, nodes have an address of IPv6 that the engine does not know of: a network that is in use cannot
# get a second subnet.
SUBNET6 = ipaddress.IPv6Network("fd30::/64")

# Addresses that the engine gives to containers which ask for none, apart from those of nodes and load balancers.
DYNAMIC_RANGE = 28
DYNAMIC_FIRST = 224

# Each systemd, containerd and kubelet takes inotify instances, and the default limit of a machine is 128.
SYSCTLS = {"fs.inotify.max_user_instances": 8192, "fs.inotify.max_user_watches": 1048576}

CAP_SYS_RESOURCE = 24


def docker(*arguments: str | Path) -> str:
    """Run docker and return what it prints."""
    return run(["docker", *arguments])


def answers() -> bool:
    """Tell whether an engine answers."""
    if not shutil.which("docker"):
        return False
    return subprocess.run(["docker", "version"], capture_output=True, check=False).returncode == 0


def bounding_set() -> int:
    """Return the capabilities that processes of this machine can have, as bits."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.partition("CapBnd:")[2].split()[0], 16)


def needs_wrapper(capabilities: int) -> bool:
    """Tell whether privileged containers would be refused, because they ask for a capability that cannot be had."""
    return not capabilities >> CAP_SYS_RESOURCE & 1


def require_machine() -> None:
    """Say what is wrong with this machine before anything is done.

    :raises LabError: when it is not Linux on x86-64, or its user may neither be root nor use docker.
    """
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        raise LabError(f"the lab runs on Linux on x86-64, this is {platform.system()} on {platform.machine()}")
    if not can_be_root() and not answers():
        raise LabError("the lab needs root (or sudo without a password), or at least access to a running docker engine")


def daemon() -> Daemon:
    """Return the engine as the lab would start it."""
    return Daemon("dockerd", ["dockerd", "--config-file", CACHE / "engine" / "daemon.json"], root=True)


def ensure() -> None:
    """Let an engine answer: the one that runs, the machine's service, or one of our own."""
    raise_limits()
    if answers():
        return
    debian.install({"docker": "docker.io", "dockerd": "docker.io", "iptables": "iptables"})
    if answers():
        return
    if Path("/run/systemd/system").exists():
        say("start docker.service")
        run(as_root(["systemctl", "start", "docker.service"]))
        if not answers():
            raise LabError("docker.service runs, but its engine does not answer this user")
        return
    config: dict[str, object] = {"log-level": "warn"}
    if needs_wrapper(bounding_set()):
        say("this machine lacks CAP_SYS_RESOURCE: containers are started without it")
        # The runtime goes by its name: runc-node runs what it is called like.
        runtime = CACHE / "engine" / "runc"
        shutil.copy2(golang.build(golang.RUNC_NODE) / "runc-node", _parent(runtime))
        config |= {"runtimes": {"slipway": {"path": str(runtime)}}, "default-runtime": "slipway"}
    write(CACHE / "engine" / "daemon.json", json.dumps(config))
    daemon().start(answers, timeout=60)


def _parent(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def raise_limits() -> None:
    """Raise limits of this machine that several clusters would exhaust, and say so; they last until it starts anew."""
    for name, wanted in SYSCTLS.items():
        path = Path("/proc/sys") / name.replace(".", "/")
        if int(path.read_text(encoding="utf-8")) >= wanted:
            continue
        if not can_be_root():
            say(f"several clusters may need {name} to be {wanted}; the lab may not raise it")
        else:
            say(f"raise {name} of this machine to {wanted}")
            run(as_root(["sysctl", "-q", "-w", f"{name}={wanted}"]))


def ensure_network(network: Network) -> None:
    """Make a network unless there is one of this name.

    :raises LabError: when the one that is there has another subnet.
    """
    found = inspect_network(network.name)
    if found is None:
        docker(
            *("network", "create", "--label", LABEL, "--subnet", str(network.subnet), "--gateway", network.gateway),
            *("--ip-range", f"{network.address(DYNAMIC_FIRST)}/{DYNAMIC_RANGE}"),
            *("--opt", f"com.docker.network.bridge.name={network.bridge}"),
            network.name,
        )
        say(f"made network {network.name} {network.subnet}")
    elif str(network.subnet) not in found["subnets"]:
        raise LabError(
            f"docker's network {network.name} is {', '.join(found['subnets'])}, the lab needs {network.subnet}:"
            f" remove it with `docker network rm {network.name}`"
        )


def address6(address: str) -> str:
    """Return the address of IPv6 whose last part looks like that of IPv4: fd30::31 for 172.30.0.31."""
    return f"{SUBNET6.network_address}{address.rpartition('.')[2]}"


def enable_ipv6(addresses: Mapping[str, str]) -> None:
    """Give this machine and nodes their addresses of IPv6, until they stop.

    :param addresses: their addresses of IPv4 by the names of their containers.
    """
    run(as_root(["sysctl", "--quiet", "--write", f"net/ipv6/conf/{MAIN.bridge}/disable_ipv6=0"]))
    own = [f"{address6(MAIN.gateway)}/{SUBNET6.prefixlen}", "dev", MAIN.bridge, "nodad"]
    run(as_root(["ip", "-6", "address", "replace", *own]))
    for container, address in addresses.items():
        docker("exec", container, "sysctl", "--quiet", "--write", "net.ipv6.conf.all.disable_ipv6=0")
        theirs = [f"{address6(address)}/{SUBNET6.prefixlen}", "dev", "eth0", "nodad"]
        docker("exec", container, "ip", "-6", "address", "replace", *theirs)


def inspect_network(name: str) -> dict[str, list[str]] | None:
    """Return the subnets, labels and containers' addresses of a network, None when there is none."""
    if name not in docker("network", "ls", "--format", "{{.Name}}").split():
        return None
    (found,) = json.loads(docker("network", "inspect", name))
    return {
        "subnets": [entry["Subnet"] for entry in found["IPAM"]["Config"]],
        "labels": [f"{key}={value}" for key, value in (found["Labels"] or {}).items()],
        "addresses": [entry["IPv4Address"].partition("/")[0] for entry in found["Containers"].values()],
    }


def remove_networks() -> None:
    """Remove the networks that the lab has made."""
    for name in docker("network", "ls", "--filter", f"label={LABEL}", "--format", "{{.Name}}").split():
        docker("network", "rm", name)
        say(f"removed network {name}")


@functools.lru_cache(maxsize=None)
def nameservers() -> str:
    """Return a resolv.conf with name servers that nodes can reach: no loopback addresses."""
    paths = [Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf")]
    text = "".join(path.read_text(encoding="utf-8") for path in paths if path.exists())
    servers = dict.fromkeys(
        fields[1]
        for fields in map(str.split, text.splitlines())
        if len(fields) > 1 and fields[0] == "nameserver" and not fields[1].startswith(("127.", "::1"))
    )
    if not servers:
        raise LabError("no name server that nodes could reach is found in /etc/resolv.conf")
    return "".join(f"nameserver {server}\n" for server in list(servers)[:3])
