# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines: nodes with a kernel, disks and power of their own, each one process of User-mode Linux.

nodes.py says what a node is asked to be and how one logs in; here is what lies on this host for it: a folder with its
disks, a pair of network devices for each network, a process.
"""

from __future__ import annotations

import fcntl
import io
import ipaddress
import json
import os
import shutil
import tarfile
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from . import debian, engine, uml
from .daemon import Daemon
from .util import CACHE, SOURCE, LabError, artifact, lock, require_room, run, say, write

FOLDER = CACHE / "machine"

# What is in the memory of machines lies here: files without a name, gone with their process.
MEMORY = Path("/dev/shm")

# GiB. The disk is a file with holes; so much of it a control plane with its images has taken.
DISK = 20
DISK_USED = 5
SWAP = 0.5

NEEDS = {
    **{"ip": "iproute2", "ethtool": "ethtool", "sfdisk": "fdisk", "mkswap": "util-linux"},
    **{"ssh-keygen": "openssh-client", "mke2fs": "e2fsprogs"},
}

# Those that it writes to.
DISKS = {"ubd0": "root.img", "ubd1": "swap.img"}

# Seconds until a machine that was killed has let go of them.
LET_GO = 60

SECTOR = 512
SWAP_START = 2048

# Private, of the files that make a machine differ from others.
HOST_KEY = "etc/ssh/ssh_host_ed25519_key"


@dataclass(frozen=True)
class Machine:
    """A machine as it was made.

    memory: in MiB.
    """

    name: str
    os: str
    address: str
    second_address: str
    cpus: int
    memory: int

    @property
    def folder(self) -> Path:
        """Where its disks are."""
        return FOLDER / self.name

    @property
    def networks(self) -> dict[str, engine.Network]:
        """The networks by the machine's addresses in them."""
        pairs = {self.address: engine.MAIN, self.second_address: engine.SECOND}
        return {address: network for address, network in pairs.items() if address}

    def link(self, address: str) -> tuple[str, str]:
        """Return the names of the two network devices for an address: the bridge's end and the machine's."""
        number, end = address.rpartition(".")[2], "b" if address == self.second_address else ""
        return f"slip-m{number}{end}", f"slip-u{number}{end}"

    @property
    def append(self) -> Path:
        """The file with what its kernel's command line has besides, as a boot loader would keep it."""
        return self.folder / "append"

    @property
    def process(self) -> Daemon:
        """The process that is the machine."""
        return Daemon(f"machine-{self.name}", command(self))

    @property
    def state(self) -> str:
        """In the words of docker: running, paused or exited."""
        if not self.process.pid():
            return "exited"
        return "paused" if self.process.paused else "running"

    @property
    def host_key(self) -> str:
        """Its public key, as ssh's known_hosts has it."""
        return (self.folder / "host_key.pub").read_text(encoding="utf-8")


def command(machine: Machine) -> list[str | Path]:
    """Return how a machine's process is started."""
    networks = []
    for number, address in enumerate(machine.networks):
        mac = ":".join(f"{part:02x}" for part in (0x02, 0x55, *ipaddress.IPv4Address(address).packed))
        ours = machine.link(address)[1]
        # Other transports crash a kernel with several processors.
        networks.append(f"vec{number}:transport=raw,ifname={ours},depth=128,mac={mac}")
    disks = {**DISKS, "ubd2r": "seed.tar"}
    return [
        *("env", f"TMPDIR={MEMORY}", machine.folder / "linux", "seccomp=on"),
        *(f"mem={machine.memory}M", f"ncpus={machine.cpus}"),
        *(f"{disk}={machine.folder / file}" for disk, file in disks.items()),
        *("root=/dev/ubda", "rw", "init=/usr/local/sbin/lab-machine"),
        *(machine.append.read_text(encoding="utf-8").split() if machine.append.exists() else []),
        *networks,
        *("con=null", "con0=null,fd:1", "ssl=null", f"umid={machine.name}", f"uml_dir={machine.folder / 'run'}"),
    ]


def existing() -> dict[str, Machine]:
    """Return the machines by name, those that are switched off as well."""
    records = sorted(FOLDER.glob("*/machine.json"))
    machines = [Machine(**json.loads(path.read_text(encoding="utf-8"))) for path in records]
    return {machine.name: machine for machine in machines}


def require_host(new: Mapping[str, int]) -> None:
    """Say what this host lacks for new machines, before anything is made.

    :param new: their memory by their names, in MiB.
    :raises LabError: when it is root's rights, disk or memory.
    """
    if os.geteuid() != 0:
        raise LabError("machines need root: their network devices and their disks are made by it")
    FOLDER.mkdir(parents=True, exist_ok=True)
    need, room = sum(new.values()), DISK_USED * len(new)
    what = "1 machine" if len(new) == 1 else f"{len(new)} machines"
    say(f"{what} may take up to {need} MiB of memory and some {room:.1f} GiB of disk")
    require_room(FOLDER, room, what)
    running = [machine for machine in existing().values() if machine.state != "exited"]
    others = sum(machine.memory for machine in running if machine.name not in new)
    # What is made anew gives back what it has first.
    back = sum(machine.memory for machine in running if machine.name in new)
    _require_memory(need, others, back, mounts=Path("/proc/mounts"))


def _require_memory(need: int, others: int, back: int, *, mounts: Path) -> None:
    """Look whether memory, and the file system that it is kept in, have room for what machines may take (MiB)."""
    options = {
        fields[1]: (fields[2], fields[3].split(","))
        for fields in map(str.split, mounts.read_text(encoding="utf-8").splitlines())
    }
    kind, flags = options.get(str(MEMORY), ("", []))
    if kind != "tmpfs" or "noexec" in flags:
        raise LabError(f"machines need a tmpfs on {MEMORY} that is mounted without noexec")
    size = shutil.disk_usage(MEMORY).total >> 20
    if size < need + others:
        raise LabError(
            f"{MEMORY} has {size} MiB, and machines may take {need + others}: make it larger by"
            f" `mount -o remount,size={need + others}M {MEMORY}`"
        )
    free = available_memory(Path("/proc/meminfo").read_text(encoding="utf-8")) + back
    if free < need:
        raise LabError(f"machines may take {need} MiB of memory, {free} MiB are available")


def available_memory(meminfo: str) -> int:
    """Return what programs can still have, in MiB.

    >>> available_memory("MemFree: 1024 kB\\nMemAvailable:    4096 kB\\n")
    4
    """
    return int(meminfo.partition("MemAvailable:")[2].split()[0]) >> 10


def ensure_image(system: str, reference: str) -> Path:
    """Return the folder of what each machine with a system gets a copy of: disk and kernel.

    :param reference: the image of nodes with this system.
    """
    kernel = uml.kernel()
    key = engine.docker("image", "inspect", "--format", '{{index .Config.Labels "slipway.key"}}', reference).strip()
    name = f"machine-{system}"

    def build(folder: Path) -> None:
        require_room(folder, 3, "the system of machines")
        debian.install(NEEDS)
        mounts = {kernel: "/kernel:ro", uml.CONFIG.parent: "/uml:ro", folder: "/result"}
        volumes = [word for path, place in mounts.items() for word in ("--volume", f"{path}:{place}")]
        network = ["--network", engine.MAIN.name, "--label", engine.LABEL]
        engine.docker("run", "--rm", *network, *volumes, "--entrypoint", "/uml/prepare", reference)
        tree = folder / "tree"
        tree.mkdir()
        archive = folder / "system.tar"
        run(["tar", "--extract", "--numeric-owner", "--xattrs-include=*", "--file", archive, "--directory", tree])
        archive.unlink()
        for name in ("dev", "proc", "sys"):
            (tree / name).mkdir()
        image = folder / "root.img"
        with image.open("wb") as file:
            file.truncate(DISK << 30)
        # All is set up here: what a machine would do later fills its holes.
        options = "lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0"
        run(["mke2fs", "-q", "-t", "ext4", "-E", options, "-d", tree, image])
        shutil.rmtree(tree)
        shutil.copy2(kernel / "linux", folder / "linux")

    with lock(f"build-{name}"):
        return artifact(name, [key, kernel.name, SOURCE / "uml"], build)


def create(machine: Machine, image: Path, nameservers: str) -> None:
    """Make a machine's disks."""
    debian.install(NEEDS)
    folder = machine.folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    run(["cp", "--sparse=always", image / "root.img", folder / "root.img"])
    # Its own, as the modules on its disk: a machine stays what it is when another kernel is built.
    shutil.copy2(image / "linux", folder / "linux")
    swap = str(uuid.uuid4())
    make_swap(folder / "swap.img", swap)
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"root@{machine.name}", "-f", folder / "host_key"])
    key = (folder / "host_key").read_text(encoding="utf-8")
    files = {**own_files(machine, swap, nameservers), HOST_KEY: key, f"{HOST_KEY}.pub": machine.host_key}
    write_seed(folder / "seed.tar", files)
    (folder / "host_key").unlink()
    # Last: what has it is a machine.
    write(folder / "machine.json", json.dumps(asdict(machine)))


def make_swap(path: Path, name: str) -> None:
    """Make a disk with one partition, which is swap with this UUID."""
    with path.open("wb") as file:
        file.truncate(int(SWAP * 2**30))
    run(["sfdisk", "--quiet", path], stdin=f"label: dos\nstart={SWAP_START}, type=82\n")
    area = path.with_name("swap.area")
    with area.open("wb") as file:
        file.truncate(path.stat().st_size - SWAP_START * SECTOR)
    area.chmod(0o600)
    run(["mkswap", "--uuid", name, area])
    with area.open("rb") as source, path.open("r+b") as file:
        file.seek(SWAP_START * SECTOR)
        # All that mkswap writes.
        file.write(source.read(os.sysconf("SC_PAGE_SIZE")))
    area.unlink()


def own_files(machine: Machine, swap: str, nameservers: str) -> dict[str, str]:
    """Return what makes a machine differ from others: texts by their places below /."""
    files = {
        "etc/fstab": f"/dev/ubda / ext4 errors=remount-ro 0 1\nUUID={swap} none swap sw 0 0\n",
        "etc/hostname": f"{machine.name}\n",
        "etc/hosts": f"127.0.0.1 localhost\n127.0.1.1 {machine.name}\n::1 localhost ip6-localhost ip6-loopback\n",
        "etc/resolv.conf": nameservers,
    }
    for number, (address, network) in enumerate(machine.networks.items()):
        # By its name: a type such as ether would take over what pod networks make.
        text = f"[Match]\nName=vec{number}\n\n[Network]\nAddress={address}/{network.subnet.prefixlen}\n"
        gateway = "" if number else f"Gateway={network.gateway}\n"
        files[f"etc/systemd/network/10-vec{number}.network"] = f"{text}{gateway}"
    return files


def write_seed(path: Path, files: Mapping[str, str]) -> None:
    """Write files of root into an archive, which is a disk of the machine. Private keys are root's alone."""
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            data = text.encode()
            entry.size = len(data)
            entry.mode = 0o600 if name == HOST_KEY else 0o644
            tar.addfile(entry, io.BytesIO(data))
    path.chmod(0o600)


def switch_on(machine: Machine) -> None:
    """Let a machine start from its disks."""
    for disk in DISKS.values():
        _wait_for_disk(machine.folder / disk)
    # A process that was killed leaves its name taken.
    shutil.rmtree(machine.folder / "run", ignore_errors=True)
    for address, network in machine.networks.items():
        _connect(*machine.link(address), network)
    machine.process.start(lambda: True)


def _wait_for_disk(path: Path) -> None:
    """Wait until the last thread of a process that was killed has let go of a disk, or it would be locked."""
    end = time.monotonic() + LET_GO
    with path.open("rb+") as disk:
        while True:
            try:
                # It is given back when the file is closed.
                fcntl.lockf(disk, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if time.monotonic() > end:
                    raise LabError(f"{path} is still in use: {error}") from error
                time.sleep(0.1)
            else:
                return


def _connect(theirs: str, ours: str, network: engine.Network) -> None:
    """Lay a cable from a network's bridge to where a machine's device will be."""
    _disconnect(theirs)
    run(["ip", "link", "add", theirs, "type", "veth", "peer", "name", ours])
    for device in (theirs, ours):
        ipv6 = Path("/proc/sys/net/ipv6/conf", device, "disable_ipv6")
        if ipv6.exists():
            ipv6.write_text("1", encoding="utf-8")
        # The machine reads packets as they are on a wire: whole, with their checksums.
        run(["ethtool", "-K", device, *(word for name in ("tx", "rx", "gso", "gro", "tso") for word in (name, "off"))])
    run(["ip", "link", "set", theirs, "master", network.bridge, "up"])
    run(["ip", "link", "set", ours, "up", "promisc", "on"])


def _disconnect(device: str) -> None:
    if Path("/sys/class/net", device).exists():
        run(["ip", "link", "delete", device])


def remove(names: Iterable[str]) -> None:
    """Remove machines with all that is theirs but the log of their console; names that are not there are fine."""
    there = existing()
    for name in names:
        if name in there:
            machine = there[name]
            machine.process.kill()
            for address in machine.networks:
                _disconnect(machine.link(address)[0])
            say(f"removed machine {name}")
        # Also of one that was not made to its end.
        shutil.rmtree(FOLDER / name, ignore_errors=True)
