# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is on a machine beside Kubernetes, read from folders in the place of the machine's own."""

from __future__ import annotations

import errno
import fcntl
import platform
import stat
import sys
import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils._machine import (
    boot_settings,
    surroundings,
)
from ansible_collections.slipway.kubernetes.plugins.module_utils._machine import (
    mounts as _mounts,
)
from ansible_collections.slipway.kubernetes.plugins.module_utils._network import network_managers, resolver


def write(root: Path, files: t.Mapping[str, str]) -> str:
    """Files in the place of the machine's; the folder."""
    for name, text in files.items():
        path = root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return str(root)


ACTIVE = "/run/systemd/units/invocation:{}.service"
NETWORKD = {ACTIVE.format("systemd-networkd"): ""}

# Resolver


def test_a_resolver(tmp_path: Path) -> None:
    text = "# x\nnameserver 192.0.2.53\nnameserver\nsearch old.example.com\nsearch a.example.com b.example.com\n"
    found = resolver.look(write(tmp_path, {"/etc/resolv.conf": text}))
    assert found == {
        "path": "/etc/resolv.conf",
        "target": "",
        "exists": True,
        "nameservers": ["192.0.2.53"],
        "search": ["a.example.com", "b.example.com"],
    }


def test_systemd_resolved_has_a_file_for_the_kubelet(tmp_path: Path) -> None:
    files = {
        "/etc/resolv.conf": "nameserver 127.0.0.53\n",
        "/run/systemd/resolve/resolv.conf": "nameserver 192.0.2.53\n",
    }
    root = write(tmp_path, files)
    assert resolver.look(root)["nameservers"] == ["127.0.0.53"]
    write(tmp_path, {ACTIVE.format("systemd-resolved"): ""})
    assert resolver.look(root)["nameservers"] == ["192.0.2.53"]


def test_a_link_to_nowhere(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/resolv.conf").symlink_to("../run/resolvconf/resolv.conf")
    found = resolver.look(str(tmp_path))
    assert (found["exists"], found["target"]) == (False, "../run/resolvconf/resolv.conf")


def test_names_are_resolved_by_the_machine(tmp_path: Path) -> None:
    program = tmp_path / "getent"
    program.write_text('#!/bin/sh\n[ "$2" = api.example.com ] && printf "192.0.2.9 STREAM x\\n192.0.2.9 DGRAM\\n"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    names = ["api.example.com", "other.example.com", "$(id)", "-x", "api.example.com"]
    found = resolver.Lookups(names, str(program)).result()
    assert found == {"api.example.com": ["192.0.2.9"], "other.example.com": []}
    assert resolver.Lookups(names, "/nonexistent").result() == {}


def test_a_resolver_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "getent"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(resolver, "_PATIENCE", 0.1)
    assert resolver.Lookups(["api"], str(program)).result() == {"api": []}


# Network managers

FOLDER = "/etc/systemd/network"


@pytest.mark.parametrize(
    ("match", "taken"),
    [
        ("[Match]\nName=en* eth*\n", []),
        ("[Match]\nMACAddress=02:42:c0:00:02:01\nType=ether\n", []),
        ("[Match]\nType=ether\nKind=!veth vxlan\n", []),
        ("[Match]\nName=!veth* cni* flannel*\n", []),
        ("[Match]\nType=ether\n", ["veth1a2b3c4d", "flannel.1"]),
        ("[Match]\nName=*\n", ["veth1a2b3c4d", "cni0", "flannel.1"]),
        ("[Match]\n", ["veth1a2b3c4d", "cni0", "flannel.1"]),
        ("[Network]\nDHCP=yes\n", ["veth1a2b3c4d", "cni0", "flannel.1"]),
        ("[Match]\nName=*\nName=\nName=eth0\n", []),
        ("[Match]\nDriver=veth\n", ["veth1a2b3c4d"]),
        # 80-ec2.network of Amazon Linux.
        ("[Match]\nDriver=ena ixgbevf vif\n\n[Link]\nMTUBytes=9001\n", []),
        ("[Match]\nName=*\n[Link]\nUnmanaged=yes\n", []),
    ],
)
@pytest.mark.usefixtures("flannel_alone")
def test_files_of_networkd(tmp_path: Path, match: str, taken: t.List[str]) -> None:
    root = write(tmp_path, {**NETWORKD, f"{FOLDER}/20-wired.network": match + "[Network]\nDHCP=yes\n"})
    found = network_managers.look(root)
    expected = [{"by": "systemd-networkd", "path": f"{FOLDER}/20-wired.network", "takes": taken, "runs": True}]
    assert found == (expected if taken else [])


@pytest.mark.usefixtures("flannel_alone")
def test_the_first_file_of_networkd_counts(tmp_path: Path) -> None:
    files = {
        **NETWORKD,
        f"{FOLDER}/10-pods.network": "[Match]\nName=veth* cni* flannel*\n[Link]\nUnmanaged=yes\n",
        f"{FOLDER}/20-all.network": "[Match]\nName=*\n",
        "/usr/lib/systemd/network/80-masked.network": "[Match]\nName=*\n",
        "/usr/lib/systemd/network/05-shadowed.network": "[Match]\nName=*\n",
        f"{FOLDER}/05-shadowed.network": "[Match]\nName=eth0\n",
    }
    root = write(tmp_path, files)
    (tmp_path / "etc/systemd/network/80-masked.network").symlink_to("/dev/null")
    assert network_managers.look(root) == []


def test_an_empty_file_of_networkd_masks_another(tmp_path: Path) -> None:
    files = {**NETWORKD, "/usr/lib/systemd/network/80-all.network": "[Match]\nName=*\n"}
    assert len(network_managers.look(write(tmp_path, files))) == 1
    assert network_managers.look(write(tmp_path, {f"{FOLDER}/80-all.network": ""})) == []


@pytest.mark.parametrize("condition", ["Virtualization=container", "Host=other", "KernelCommandLine=!ip"])
def test_files_of_networkd_for_some_machines(tmp_path: Path, condition: str) -> None:
    files = {**NETWORKD, f"{FOLDER}/20-all.network": f"[Match]\n{condition}\nType=ether\n"}
    assert network_managers.look(write(tmp_path, files)) == []


def test_drop_ins_of_networkd(tmp_path: Path) -> None:
    files = {
        f"{FOLDER}/20-all.network": "[Match]\nName=*\n",
        f"{FOLDER}/20-all.network.d/narrow.conf": "[Match]\nName=\nName=eth0\n",
    }
    assert network_managers.look(write(tmp_path, files)) == []


def test_networkd_that_does_not_run(tmp_path: Path) -> None:
    root = write(tmp_path, {f"{FOLDER}/20-all.network": "[Match]\nName=*\n"})
    assert [entry["runs"] for entry in network_managers.look(root)] == [False]
    write(tmp_path, {"/etc/systemd/system/multi-user.target.wants/systemd-networkd.service": ""})
    assert [entry["runs"] for entry in network_managers.look(root)] == [True]


CONNECTION = "/etc/NetworkManager/system-connections/wired.nmconnection"


@pytest.mark.parametrize(
    ("text", "configuration", "found"),
    [
        ("[connection]\ntype=ethernet\n", "", 1),
        ("[connection]\ntype=ethernet\ninterface-name=eth0\n", "", 0),
        ("[connection]\ntype=ethernet\n[ethernet]\nmac-address=02:42:C0:00:02:01\n", "", 0),
        ("[connection]\ntype=ethernet\nautoconnect=false\n", "", 0),
        ("[connection]\ntype=wifi\n", "", 0),
        ("[connection]\ntype=ethernet\n", "[keyfile]\nunmanaged-devices=interface-name:veth*;interface-name:cni*\n", 0),
        ("[connection]\ntype=ethernet\n", "[keyfile]\nunmanaged-devices=interface-name:wlan0\n", 1),
    ],
)
def test_connections_of_network_manager(tmp_path: Path, text: str, configuration: str, found: int) -> None:
    files = {CONNECTION: text, "/etc/NetworkManager/conf.d/pods.conf": configuration}
    root = write(tmp_path, files)
    assert network_managers.look(root) == []
    write(tmp_path, {ACTIVE.format("NetworkManager"): ""})
    assert [entry["path"] for entry in network_managers.look(root)] == [CONNECTION] * found


@pytest.mark.parametrize(
    ("text", "found"),
    [("duid\n", 1), ("denyinterfaces wlan0\n", 1), ("denyinterfaces veth* cni*\n", 0), ("allowinterfaces eth0\n", 0)],
)
def test_dhcpcd(tmp_path: Path, text: str, found: int) -> None:
    root = write(tmp_path, {"/etc/dhcpcd.conf": text, ACTIVE.format("dhcpcd"): ""})
    assert len(network_managers.look(root)) == found


# What counts after a boot

OURS = "/etc/sysctl.d/99-slipway-kubernetes.conf"


EXCLUDED = "".join(f"-net.ipv4.conf.{name}.forwarding\n" for name in ("all", "default", "eth0"))


def off(tmp_path: Path, files: t.Mapping[str, str]) -> t.List[t.Tuple[str, str]]:
    found = boot_settings.forwarding(["eth0"], write(tmp_path, files))
    return [(entry["path"].rpartition("/")[2], entry["setting"]) for entry in found]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, []),
        ({"10-a.conf": "net.ipv4.ip_forward = 0\n"}, []),
        ({"10-a.conf": "net.ipv4.conf.all.forwarding=0\n"}, []),
        ({"99-sysctl.conf": "net.ipv4.ip_forward=0\n"}, [("99-sysctl.conf", "net.ipv4.ip_forward")]),
        ({"99-z.conf": "net/ipv4/conf/all/forwarding = 0\n"}, [("99-z.conf", "net.ipv4.conf.all.forwarding")]),
        ({"99-z.conf": "# net.ipv4.ip_forward=0\n-net.ipv4.conf.all.forwarding\n"}, []),
        ({"99-z.conf": "net.ipv4.conf.default.forwarding=0\n"}, [("99-z.conf", "net.ipv4.conf.default.forwarding")]),
        ({"10-a.conf": "net.ipv4.conf.default.forwarding=0\n"}, []),
        # The switch is on already when ours is set, so that it changes nothing.
        (
            {"10-a.conf": "net.ipv4.conf.all.forwarding=1\nnet.ipv4.conf.default.forwarding=0\n"},
            [("10-a.conf", "net.ipv4.conf.default.forwarding")],
        ),
        ({"99-z.conf": "net.ipv4.conf.eth0.forwarding=0\n"}, [("99-z.conf", "net.ipv4.conf.eth0.forwarding")]),
        ({"99-z.conf": "net.ipv4.conf.wlan7.forwarding=0\n"}, []),
        ({"99-z.conf": "net.ipv4.conf.*.forwarding=0\n"}, [("99-z.conf", "net.ipv4.conf.*.forwarding")]),
        # A pattern, of which all is excluded that it would turn off, and then all but one thing.
        ({"99-z.conf": "net.ipv4.conf.*.forwarding=0\n", "10-a.conf": EXCLUDED}, []),
        (
            {"99-z.conf": "net.ipv4.conf.*.forwarding=0\n", "10-a.conf": EXCLUDED.replace("eth0", "eth7")},
            [("99-z.conf", "net.ipv4.conf.*.forwarding")],
        ),
        ({"99-z.conf": "net.ipv4.conf.all.forwarding=0\n", "zz.conf": "net.ipv4.ip_forward=1\n"}, []),
        (
            {"99-z.conf": "net.bridge.bridge-nf-call-iptables=0\n"},
            [("99-z.conf", "net.bridge.bridge-nf-call-iptables")],
        ),
    ],
)
def test_forwarding_after_a_boot(
    tmp_path: Path, files: t.Mapping[str, str], expected: t.List[t.Tuple[str, str]]
) -> None:
    found = off(tmp_path, {f"/etc/sysctl.d/{name}": text for name, text in files.items()})
    assert found == expected


def test_forwarding_with_our_file_in_place(tmp_path: Path) -> None:
    files = {OURS: "net.ipv4.ip_forward = 1\n", "/usr/lib/sysctl.d/99-z.conf": "net.ipv4.conf.all.forwarding = 0\n"}
    assert off(tmp_path, files) == [("99-z.conf", "net.ipv4.conf.all.forwarding")]


def test_forwarding_of_new_interfaces_is_off_now(tmp_path: Path) -> None:
    files = {"/proc/sys/net/ipv4/ip_forward": "1\n", "/proc/sys/net/ipv4/conf/default/forwarding": "0\n"}
    assert off(tmp_path, files) == [("", "net.ipv4.conf.default.forwarding")]


def test_swap_that_comes_back(tmp_path: Path) -> None:
    root = write(tmp_path, {"/etc/waagent.conf": "ResourceDisk.EnableSwap=n\n", "/etc/rc.local": "# swapon /x\n"})
    off = "[Unit]\nDescription=No swapon\nDocumentation=man:swapon(8)\n"
    off += "[Service]\nExecStart=swapoff -a\nExecStop=swapon -a\n"
    write(tmp_path, {"/etc/systemd/system/multi-user.target.wants/no-swap.service": off})
    assert boot_settings.swap_at_boot(root) == []
    files = {
        "/etc/waagent.conf": "ResourceDisk.Format=y\nResourceDisk.EnableSwap=y\n",
        "/etc/rc.local": "#!/bin/sh\nswapon  /swapfile\n",
        "/etc/systemd/system/multi-user.target.wants/my.service": "[Service]\nExecStart=/sbin/swapon /dev/zram0\n",
    }
    write(tmp_path, files)
    assert [(entry["path"], entry["setting"]) for entry in boot_settings.swap_at_boot(root)] == [
        ("/etc/waagent.conf", "ResourceDisk.EnableSwap=y"),
        ("/etc/rc.local", "swapon /swapfile"),
        ("/etc/systemd/system/multi-user.target.wants/my.service", "ExecStart=/sbin/swapon /dev/zram0"),
    ]


def test_proxies_are_found_and_not_told(tmp_path: Path) -> None:
    files = {
        "/etc/environment": 'PATH="/bin"\nhttps_proxy=http://user:s3cret@192.0.2.3:3128\nno_proxy="localhost,10.0.0.0/8"\n',
        "/etc/systemd/system.conf.d/proxy.conf": '[Manager]\nDefaultEnvironment="HTTPS_PROXY=http://x:1" NO_PROXY=.a\n',
        "/etc/systemd/system/kubelet.service.d/proxy.conf": "[Service]\nEnvironment=HTTP_PROXY=http://x:1 A=1\n",
        "/etc/systemd/system.conf": "[Manager]\n#DefaultEnvironment=HTTP_PROXY=x\nDefaultEnvironment=A=1 B\n",
    }
    found = boot_settings.proxies({"all_proxy": "http://x:1", "http_proxy": "", "HOME": "/"}, write(tmp_path, files))
    assert found == [
        {"source": "environment", "variables": ["all_proxy"], "no_proxy": ""},
        {"source": "/etc/environment", "variables": ["https_proxy"], "no_proxy": "localhost,10.0.0.0/8"},
        {"source": "/etc/systemd/system.conf.d/proxy.conf", "variables": ["HTTPS_PROXY"], "no_proxy": ".a"},
        {"source": "/etc/systemd/system/kubelet.service.d/proxy.conf", "variables": ["HTTP_PROXY"], "no_proxy": ".a"},
    ]
    assert "s3cret" not in str(found)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"HTTPS_PROXY=http://x:1" NO_PROXY=.a', {"HTTPS_PROXY": "http://x:1", "NO_PROXY": ".a"}),
        ("HTTPS_PROXY=\"http://x:1\" NO_PROXY='.a, .b'", {"HTTPS_PROXY": "http://x:1", "NO_PROXY": ".a, .b"}),
        ("HTTPS_PROXY=http://u:a%%40b@x:1", {"HTTPS_PROXY": "http://u:a%40b@x:1"}),
        ("A=1\nEnvironment=\nEnvironment=B=2", {"B": "2"}),
        ("A=1 \\\n# B=2 \\\n  ; C=3\n  D=4", {"A": "1", "D": "4"}),
        ("A=1\n#Environment=B=2", {"A": "1"}),
        ('A=1\nEnvironment="B=2\nEnvironment=C', {"A": "1"}),
    ],
)
def test_environments_of_services(tmp_path: Path, text: str, expected: t.Dict[str, str]) -> None:
    path = "/etc/systemd/system/containerd.service.d/proxy.conf"
    root = write(tmp_path, {path: f"[Service]\nEnvironment={text}\n"})
    assert boot_settings.service_environment("containerd", root) == expected


def test_an_environment_out_of_many_files(tmp_path: Path) -> None:
    files = {
        "/etc/systemd/system.conf": "[Manager]\nDefaultEnvironment=ALL=1 M=1\n",
        "/run/systemd/system.conf.d/m.conf": "[Manager]\nDefaultEnvironment=\nDefaultEnvironment=M=2\n",
        "/etc/systemd/system/containerd.service": "[Service]\nEnvironment=U=1\nEnvironmentFile=-/etc/default/c\n",
        "/usr/lib/systemd/system/containerd.service": "[Service]\nEnvironment=REPLACED=1\n",
        "/etc/systemd/system/service.d/10.conf": "[Service]\nEnvironment=U=2 T=1\n",
        "/usr/lib/systemd/system/service.d/20.conf": "[Service]\nEnvironment=HIDDEN=1\n",
        "/etc/systemd/system/containerd.service.d/20.conf": "[Service]\nEnvironment=T=2 F=1\n",
        "/etc/default/c": 'F="2"\n',
    }
    root = write(tmp_path, files)
    expected = {"M": "2", "U": "2", "T": "2", "F": "2"}
    assert boot_settings.service_environment("containerd", root) == expected
    # A drop-in may take the files back.
    write(tmp_path, {"/etc/systemd/system/containerd.service.d/30.conf": "[Service]\nEnvironmentFile=\n"})
    assert boot_settings.service_environment("containerd", root) == {**expected, "F": "1"}


def test_proxies_that_are_taken_back(tmp_path: Path) -> None:
    folder = "/etc/systemd/system/kubelet.service.d"
    files = {f"{folder}/10.conf": "Environment=HTTPS_PROXY=http://x:1\n", f"{folder}/20.conf": "Environment=\n"}
    assert boot_settings.proxies({}, write(tmp_path, files)) == []
    files = {f"{folder}/20.conf": "EnvironmentFile=/etc/proxies\n", "/etc/proxies": "NO_PROXY=.a\nno_proxy=.b\n"}
    write(tmp_path, files)
    assert boot_settings.proxies({}, str(tmp_path)) == [
        {"source": f"{folder}/10.conf", "variables": ["HTTPS_PROXY"], "no_proxy": ".a"}
    ]


# Mounts

MOUNTS = r"""
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
23 22 8:2 / /var rw,nosuid,nodev,noexec - ext4 /dev/sda2 rw
24 22 8:3 / /opt rw - squashfs /dev/loop0 ro
25 22 8:3 / /var/lib/with\040blank rw - ext4 /dev/sda4 rw
26 22 8:4 / /usr/local/bin ro,relatime - ext4 /dev/sda5 rw
26 22 8:4 / / rw,relatime - xfs /dev/sda6 rw
broken
"""


#: What a kernel (6.18) said of file systems of xfsprogs 6.1, as made and with ftype taken out of the superblocks.
FLAGS = {True: 0x77CCCA, False: 0x76CCCA}


def geometry(monkeypatch: pytest.MonkeyPatch, ftype: t.Optional[bool]) -> None:
    """An XFS in the place of that of the folder that is asked; None is another file system."""

    def ioctl(descriptor: int, request: int, argument: bytes) -> bytes:
        # _IOR('X', 100, struct xfs_fsop_geom_v1)
        assert request == 2 << 30 | len(argument) << 16 | ord("X") << 8 | 100
        if ftype is None:
            raise OSError(errno.ENOTTY, "Inappropriate ioctl for device")
        # Eight numbers, four long ones, the UUID, the stripe's two, the structure's version: then come the flags.
        return bytes(8 * 4 + 4 * 8 + 16 + 3 * 4) + FLAGS[ftype].to_bytes(4, sys.byteorder) + bytes(3 * 4 + 4)

    monkeypatch.setattr(fcntl, "ioctl", ioctl)


@pytest.mark.parametrize("ftype", [True, False, None])
def test_how_xfs_was_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ftype: t.Optional[bool]) -> None:
    geometry(monkeypatch, ftype)
    assert _mounts.has_ftype(str(tmp_path)) is ftype
    assert _mounts.has_ftype(str(tmp_path / "nothing")) is None
    found = {entry["path"]: entry for entry in _mounts.look(write(tmp_path, {"/proc/self/mountinfo": MOUNTS}))}
    # The root is XFS, and /var is not.
    assert (found["/etc"]["ftype"], found["/var/lib/containerd"]["ftype"]) == (ftype, None)


def test_mounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    geometry(monkeypatch, True)
    found = {entry["path"]: entry for entry in _mounts.look(write(tmp_path, {"/proc/self/mountinfo": MOUNTS}))}
    assert found["/etc"] == {"path": "/etc", "point": "/", "type": "xfs", "options": [], "ftype": True, "version": ""}
    assert found["/var/lib/kubelet"]["options"] == ["noexec", "nosuid", "nodev"]
    assert found["/opt/cni/bin"]["options"] == ["ro"]
    assert found["/usr/local/bin"]["options"] == ["ro"]
    assert found["/usr/bin"]["options"] == []
    assert [mount.point for mount in _mounts.parse_mounts(MOUNTS)][3] == "/var/lib/with blank"
    assert _mounts.look(str(tmp_path / "nothing")) == []


CLOUD = {
    "/usr/bin/cloud-init": "",
    "/etc/cloud/cloud.cfg": "cloud_init_modules:\n  - seed_random\n  - update_etc_hosts\n",
}
USER_DATA = "/var/lib/cloud/instance/cloud-config.txt"
#: What Proxmox gives to virtual machines.
PROXMOX = "#cloud-config\nhostname: n1\nmanage_etc_hosts: true\nfqdn: n1.example.org\n"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, ""),
        ({USER_DATA: PROXMOX}, USER_DATA),
        ({USER_DATA: "manage_etc_hosts: localhost\n"}, ""),
        ({USER_DATA: "#manage_etc_hosts: true\n"}, ""),
        ({USER_DATA: "manage_etc_hosts: 'template'\n"}, USER_DATA),
        ({"/etc/cloud/cloud.cfg.d/90.cfg": "manage_etc_hosts: True\n"}, "/etc/cloud/cloud.cfg.d/90.cfg"),
        # What the user says comes last.
        ({"/etc/cloud/cloud.cfg.d/90.cfg": "manage_etc_hosts: true\n", USER_DATA: "manage_etc_hosts: false\n"}, ""),
        ({"/etc/cloud/cloud.cfg.d/90.cfg": "manage_etc_hosts: false\n", USER_DATA: PROXMOX}, USER_DATA),
        # It does not run at all, or not this part of it.
        ({USER_DATA: PROXMOX, "/etc/cloud/cloud-init.disabled": ""}, ""),
        ({USER_DATA: PROXMOX, "/etc/cloud/cloud.cfg": "cloud_init_modules:\n  - seed_random\n"}, ""),
        ({USER_DATA: PROXMOX, "/etc/cloud/cloud.cfg": " - ['update-etc-hosts', always]\n"}, USER_DATA),
    ],
)
def test_who_writes_etc_hosts_at_boot(tmp_path: Path, files: t.Dict[str, str], expected: str) -> None:
    assert boot_settings.hosts_at_boot(write(tmp_path, {**CLOUD, **files})) == expected
    (tmp_path / "usr/bin/cloud-init").unlink()
    assert boot_settings.hosts_at_boot(str(tmp_path)) == ""


def test_the_version_of_zfs(tmp_path: Path) -> None:
    mounts = "21 1 0:20 / / rw,relatime shared:1 - zfs rpool/ROOT/pve-1 rw,xattr,noacl\n"
    root = write(tmp_path, {"/proc/self/mountinfo": mounts, "/sys/module/zfs/version": "2.1.11-1\n"})
    assert {(entry["type"], entry["version"], entry["ftype"]) for entry in _mounts.look(root)} == {
        ("zfs", "2.1.11-1", None)
    }


# The rest


def test_controllers(tmp_path: Path) -> None:
    assert surroundings.cgroup_controllers(str(tmp_path)) == []
    table = "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpuset\t5\t5\t1\nmemory\t0\t123\t0\n"
    assert surroundings.cgroup_controllers(write(tmp_path, {"/proc/cgroups": table})) == ["cpuset"]
    root = write(tmp_path, {"/sys/fs/cgroup/cgroup.controllers": "cpuset cpu io memory pids\n"})
    assert surroundings.cgroup_controllers(root) == ["cpuset", "cpu", "io", "memory", "pids"]


@pytest.mark.usefixtures("flannel_alone")
def test_modules_that_cannot_be_loaded(tmp_path: Path) -> None:
    release = platform.release()
    kernel = "kernel/drivers/net/vxlan/vxlan.ko.xz: kernel/net/x.ko\nkernel/net/bridge/br_netfilter.ko:\n"
    files = {
        f"/lib/modules/{release}/modules.dep": kernel,
        f"/lib/modules/{release}/modules.builtin": "kernel/fs/overlayfs/overlay.ko\n",
        "/etc/modprobe.d/hardening.conf": "install vxlan /bin/false\n# install br_netfilter /bin/true\n",
        "/sys/module/nf_conntrack/refcnt": "1",
        "/proc/modules": "",
    }
    root = write(tmp_path, files)
    assert surroundings.modules_missing(root) == ["nf_tables", "vxlan", "wireguard", "nft_queue"]
    write(tmp_path, {f"/lib/modules/{platform.release()}/modules.alias": "alias fs-nfs4 nfsv4\nalias rpc-x y\n"})
    more = ["ip_vs-wrr", "fs-nfs4", "overlay"]
    assert surroundings.modules_missing(root, more) == ["nf_tables", "vxlan", "wireguard", "nft_queue", "ip_vs_wrr"]
    write(tmp_path, {"/run/systemd/container": "docker"})
    assert surroundings.modules_missing(root) == []


@pytest.mark.usefixtures("flannel_alone")
def test_a_kernel_that_loads_no_modules(tmp_path: Path) -> None:
    """Nothing says whether nf_tables is built in, and everything else that is would be seen."""
    root = write(tmp_path, {"/sys/module/vxlan/parameters/x": "", "/proc/filesystems": "nodev\toverlay\n"})
    assert surroundings.modules_missing(root) == ["br_netfilter", "nf_conntrack", "wireguard", "nft_queue"]
    assert "nf_tables" in surroundings.modules_missing(root, ["nf_tables"])
    write(tmp_path, {"/proc/modules": "x 1 0 - Live\n"})
    assert "nf_tables" in surroundings.modules_missing(root)


def test_a_container_whose_host_has_not_loaded_a_module(tmp_path: Path) -> None:
    """As in LXC: the role would ask modprobe, which finds nothing there."""
    root = write(tmp_path, {"/run/systemd/container": "lxc", "/proc/filesystems": "nodev\toverlay\n"})
    assert surroundings.modules_missing(root) == ["br_netfilter", "nf_conntrack"]
    write(tmp_path, {"/sys/module/br_netfilter/refcnt": "0", "/sys/module/nf_conntrack/refcnt": "0"})
    assert surroundings.modules_missing(root) == []
    assert surroundings.modules_missing(root, ["ip-vs"]) == ["ip_vs"]


def test_everything_at_once(tmp_path: Path) -> None:
    files = {
        "/etc/cni/net.d/87-podman.conflist": "",
        "/etc/cni/net.d/.kept": "",
        "/etc/cni/net.d/10-x.conf": "",
        "/sys/class/net/eth0/mtu": "1450\n",
        "/sys/class/net/odd/mtu": "x",
        "/proc/sys/fs/inotify/max_user_watches": "8192\n",
        "/var/lib/etcd/member/x": "",
        "/etc/kubernetes/pki/ca.crt": "",
    }
    found = surroundings.look_around(["eth0"], {}, write(tmp_path, files))
    assert found["pod_networks"] == ["10-x.conf", "87-podman.conflist"]
    assert (found["mtus"], found["limits"]) == ({"eth0": 1450}, {"max_user_watches": 8192})
    assert (found["etcd_data"], found["authority"]) == (True, True)
    assert (found["proxies"], found["swap_at_boot"], found["interfaces_taken"]) == ([], [], [])
    assert found["route_setters"] == []


def test_services_that_set_routes(tmp_path: Path) -> None:
    folder = "/etc/systemd/system"
    files = [
        f"{folder}/timers.target.wants/nm-cloud-setup.timer",
        f"{folder}/NetworkManager.service.wants/nm-cloud-setup.service",
    ]
    root = write(tmp_path, {**dict.fromkeys(files, ""), f"{folder}/nm-cloud-setup.timer.d/x.conf": ""})
    assert network_managers.route_setters(root) == ["nm-cloud-setup.service", "nm-cloud-setup.timer"]
    # As amazon-ec2-net-utils leaves them: the first interface has no rules.
    folder = "/run/systemd/network/70-"
    files = [f"{folder}ens5.network.d/eni.conf", *(f"{folder}ens6.network.d/ec2net_policy_{n}.conf" for n in (4, 6))]
    root = write(tmp_path / "amazon", dict.fromkeys(files, "[RoutingPolicyRule]\n"))
    assert network_managers.route_setters(root) == ["policy-routes@ens6.service"]


def test_static_pods_of_others(tmp_path: Path) -> None:
    assert surroundings.static_pods(str(tmp_path)) == []
    own = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd")
    files = {f"/etc/kubernetes/manifests/{name}.yaml": "" for name in (*own, "kube-vip")}
    assert surroundings.static_pods(write(tmp_path, files)) == ["kube-vip.yaml"]


def route(interface: str, flags: str, destination: str = "0" * 32, prefix: str = "00") -> str:
    """A line of /proc/net/ipv6_route."""
    return f"{destination} {prefix} {'0' * 32} 00 fe80{'0' * 27}1 00000400 00000001 00000000 {flags} {interface}\n"


def test_ipv6_of_a_machine(tmp_path: Path) -> None:
    assert surroundings.ipv6(str(tmp_path)) == {"disabled": True, "advertised": []}
    conf = "/proc/sys/net/ipv6/conf"
    files = {
        f"{conf}/default/disable_ipv6": "0\n",
        f"{conf}/eth0/accept_ra": "1\n",
        f"{conf}/eth1/accept_ra": "2\n",
        # By the kernel with advertisements, by hand, and one that is no default route.
        "/proc/net/ipv6_route": route("eth0", "00450003")
        + route("eth1", "00450003")
        + route("eth2", "00000003")
        + route("eth3", "00450003", "fe80" + "0" * 28, "40")
        + "short\n",
    }
    assert surroundings.ipv6(write(tmp_path, files)) == {"disabled": False, "advertised": ["eth0"]}
    write(tmp_path, {f"{conf}/default/disable_ipv6": "1\n"})
    assert surroundings.ipv6(str(tmp_path))["disabled"]
