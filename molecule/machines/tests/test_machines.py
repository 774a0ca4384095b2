# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a build has made of machines with a kernel of their own, and what is left of it after they have started anew."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import typing as t

import pytest
import yaml
from conftest import CONVERGE, PROJECT, changes, connect, names, play
from testinfra.host import Host

ADMIN = "kubectl --kubeconfig=/etc/kubernetes/admin.conf"
VARIABLES = yaml.safe_load(CONVERGE.read_text(encoding="utf-8"))[0]["vars"]
LINKS = "ip -details -json link show type wireguard"
PATCH = {**VARIABLES, "patch_reboot_timeout": 300}
# It takes these machines more than a minute to let a namespace with pods go.
VERIFY = {**VARIABLES, "verify_timeout": 300}
MODULES = {"overlay", "br_netfilter", "nf_conntrack", "ip_vs", "ip_vs_rr"}
#: Seconds until a machine that has started anew has all of its pods again.
PATIENCE = 300


def power(word: str, *machines: str) -> None:
    """Do something to the power of machines, as `lab` has it."""
    subprocess.run([sys.executable, "-m", "lab", word, *machines], cwd=PROJECT, check=True)


def nodes() -> t.Dict[str, t.Any]:
    """The Node objects by their names."""
    said = connect("machines-cp").check_output(f"{ADMIN} get nodes --output=json")
    return {item["metadata"]["name"]: item for item in json.loads(said)["items"]}


def boots() -> t.Dict[str, str]:
    """Which boot each machine is in, by itself."""
    return {name: connect(name).check_output("cat /proc/sys/kernel/random/boot_id") for name in names()}


def not_well() -> str:
    """What is not as it should be, of nodes and pods; empty when all is."""
    control_plane = connect("machines-cp")
    found = control_plane.run(f"{ADMIN} get nodes,pods --all-namespaces --output=json")
    if found.rc != 0:
        return found.stderr
    for item in json.loads(found.stdout)["items"]:
        ready = [entry["status"] for entry in item["status"].get("conditions", []) if entry["type"] == "Ready"]
        if ready != ["True"] and item["status"].get("phase") != "Succeeded":
            return f"{item['kind']} {item['metadata']['name']} is not ready"
    # What the API says of a node may be from before.
    said = {name: node["status"]["nodeInfo"]["bootID"] for name, node in nodes().items()}
    return "" if said == boots() else f"the API has other boots than the machines: {said}"


def wait_until_well() -> None:
    end = time.monotonic() + PATIENCE
    while problem := not_well():
        assert time.monotonic() < end, problem
        time.sleep(2)


def assert_prepared() -> None:
    """Names, swap, modules and sysctls are as Kubernetes wants them."""
    for name in names():
        machine = connect(name)
        assert machine.check_output("hostname") == name
        assert machine.check_output("swapon --show --noheadings") == ""
        assert machine.check_output("cat /proc/sys/net/ipv4/ip_forward") == "1"
        loaded = {line.split()[0] for line in machine.check_output("cat /proc/modules").splitlines()}
        assert loaded | built_in(machine) >= MODULES


def built_in(machine: Host) -> t.Set[str]:
    """Modules that are no files, since they are in the kernel."""
    lines = machine.check_output("cat /lib/modules/$(uname -r)/modules.builtin").splitlines()
    return {line.rpartition("/")[2].partition(".ko")[0].replace("-", "_") for line in lines}


def assert_nothing_is_to_be_done() -> None:
    assert changes(play(CONVERGE)) == 0
    assert "ok      a NetworkPolicy denies and lets through" in play("verify.yml", variables=VERIFY)


def test_machines_are_prepared() -> None:
    assert_prepared()


def test_the_name_is_known_everywhere(node: Host) -> None:
    name = node.check_output("hostname")
    assert node.check_output("cat /etc/hostname") == name
    assert node.check_output(f"getent ahostsv4 {name}").startswith("127.0.1.1 ")
    assert "template" not in node.check_output("cat /etc/hosts")
    # sudo looks its own name up, and complains when there is none.
    assert node.run("sudo --user=ops sudo --non-interactive true").stderr == ""


def test_swap_stays_off(node: Host) -> None:
    assert "\nUUID=" not in node.check_output("cat /etc/fstab")
    # A unit that an administrator wrote stays where it is.
    assert node.file("/etc/systemd/system/swapfile.swap").is_file
    assert node.run("systemctl is-enabled swapfile.swap").stdout.strip() == "disabled"


def test_services_are_virtual_servers(node: Host) -> None:
    service = node.check_output("ipvsadm --list --numeric --tcp-service 10.96.0.1:443")
    assert "rr" in service and ":6443" in service
    # Only that machine answers for an address whose interface has it: what strictARP is about.
    assert node.check_output("cat /proc/sys/net/ipv4/conf/all/arp_ignore") == "1"
    sets = node.check_output("ipset list -name").split()
    assert {"KUBE-CLUSTER-IP", "KUBE-LOOP-BACK"} <= set(sets)


def test_pods_traffic_is_encrypted(node: Host) -> None:
    kinds = {link["ifname"]: link["linkinfo"]["info_kind"] for link in json.loads(node.check_output(LINKS)) if link}
    assert kinds == {"flannel-wg": "wireguard"}


def test_the_firewall_lets_in_what_a_node_needs() -> None:
    addresses = {name: node["status"]["addresses"][0]["address"] for name, node in nodes().items()}
    here = {"machines-cp": ["machines-worker", 10250, True], "machines-worker": ["machines-cp", 6443, True]}
    closed = {"machines-cp": ["machines-worker", 10256, False], "machines-worker": ["machines-cp", 2379, False]}
    for name, (other, port, is_open) in [*here.items(), *closed.items()]:
        asked = connect(name).run(f"timeout 5 bash -c 'exec 3<>/dev/tcp/{addresses[other]}/{port}'")
        assert (asked.rc == 0) is is_open, (name, other, port)


def test_settings_of_others_stay(node: Host) -> None:
    assert node.check_output("cat /etc/sysctl.d/10-others.conf") == "net.ipv4.ip_forward = 0"


@pytest.mark.last
def test_a_clock_that_is_off() -> None:
    worker = connect("machines-worker")
    worker.check_output("date --set='1 hour'")
    looked = play(CONVERGE, "--check", rc=2)
    worker.check_output("date --set='1 hour ago'")
    said = " ".join(looked.split())
    assert re.search(r"machines-worker: time: the clock is 3\d\d\d\.\d s ahead of that of machines-cp", said), said


@pytest.mark.last
def test_machines_that_start_anew_by_the_playbook() -> None:
    """One after the other, drained, and what was true before is true again."""
    before = boots()
    for name in names():
        connect(name).check_output("echo linux-image >/run/reboot-required.pkgs; touch /run/reboot-required")
    looked = play("patch_nodes.yml", "--check", variables=PATCH)
    assert boots() == before
    done = play("patch_nodes.yml", variables=PATCH)
    after = boots()
    for name in names():
        assert after[name] != before[name]
        assert f"{name} would be started anew" in " ".join(looked.split())
        assert f"{name} started anew" in " ".join(done.split())
        assert not nodes()[name]["spec"].get("unschedulable")
        assert not connect(name).file("/run/reboot-required").exists
    wait_until_well()
    assert_prepared()
    again = play("patch_nodes.yml", variables=PATCH)
    assert changes(again) == 0 and boots() == after
    assert_nothing_is_to_be_done()


@pytest.mark.last
def test_power_that_is_cut_while_etcd_writes() -> None:
    """What the API server has acknowledged is there when the machine is back; nobody has to help."""
    control_plane = connect("machines-cp")
    script = (
        "i=0; while true; do i=$((i+1));"
        f" {ADMIN} create configmap written-$i --from-literal=number=$i >/dev/null && echo $i; done"
    )
    writer = subprocess.Popen(
        ["ssh", *ssh_words(control_plane), "sudo", "sh", "-c", f"'{script}'"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    acknowledged = []
    assert writer.stdout is not None
    for line in writer.stdout:
        acknowledged.append(int(line))
        if len(acknowledged) == 10:
            power("poweroff", "machines-cp")
            break
    acknowledged += [int(line) for line in writer.stdout]
    writer.wait()
    power("poweron", "machines-cp")
    wait_until_well()
    there = control_plane.check_output(f"{ADMIN} get configmaps --output=name").splitlines()
    assert {f"configmap/written-{number}" for number in acknowledged} <= set(there)
    assert_prepared()
    assert_nothing_is_to_be_done()


@pytest.mark.last
def test_reset_takes_virtual_servers_and_sets_out() -> None:
    confirmed = ("--extra-vars", "reset_confirm=true")
    play("reset.yml", *confirmed, variables=VARIABLES)
    for name in names():
        machine = connect(name)
        assert not machine.run("grep --extended-regexp '^(TCP|UDP)' /proc/net/ip_vs").stdout
        assert not machine.check_output("ipset list -name")
        assert "kube-ipvs0" not in machine.check_output("ls /sys/class/net")
    assert changes(play("reset.yml", *confirmed, variables=VARIABLES)) == 0


def ssh_words(host: Host) -> t.List[str]:
    """How ssh reaches a machine."""
    backend = host.backend
    words = backend.ssh_extra_args.split() if backend.ssh_extra_args else []
    # It ends when the machine has lost its power.
    words += ["-o", "ServerAliveInterval=2", "-o", "ServerAliveCountMax=2"]
    return [*words, "-i", backend.ssh_identity_file, f"{backend.host.user}@{backend.host.name}"]
