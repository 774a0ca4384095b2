# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clusters of the lab for tests: machines of their own, an inventory beside the repository's, and runs of playbooks.

A :class:`Site` is what a user has (an inventory); a :class:`Run` is one ``ansible-playbook``, which can be watched and
killed while it goes; a :class:`Result` is what is left to look at afterwards.
"""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import typing as t

import yaml

from lab.nodes import KEY, KNOWN_HOSTS, USER

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(sys.executable).parent

#: Seconds until a playbook is taken for one that never ends.
TIMEOUT = 900

#: Seconds until a machine is taken for one that does not start.
BOOT_TIMEOUT = 120

#: What the lab's machines are reached by; the repository's inventory knows it already.
_CONNECTION = yaml.safe_load((ROOT / "inventory" / "hosts.yml").read_text(encoding="utf-8"))["all"]["vars"]

_TASK = re.compile(r"^(?:TASK|RUNNING HANDLER) \[(.*)\] \**$")
_CHANGED = re.compile(r"^changed: \[(\S+?)(?: -> [^\]]*)?\]")
_RECAP = re.compile(r"^(\S+)\s+: (ok=.*)$", re.MULTILINE)

#: Variables of clusters whose machines have kernels of their own, over those that containers need.
MACHINES: dict[str, t.Any] = {
    # This kernel does not say what was built into it.
    "cluster_ignore_preflight_errors": ["SystemVerification"],
    "control_plane_kubelet_configuration": {},
    "control_plane_kube_proxy_configuration": {},
}


def behind(vip: str) -> dict[str, t.Any]:
    """Variables of a cluster behind a virtual address of its own, without addons."""
    return {
        "api_endpoint_provider": "keepalived",
        "cluster_endpoint": f"{vip}:8443",
        "metrics_server_enabled": False,
        "metallb_address_pools": [],
    }


@dataclasses.dataclass(frozen=True)
class Node:
    """A machine of the lab."""

    name: str
    container: str
    address: str
    #: Whether it has a kernel, a disk and power of its own.
    machine: bool = False

    def command(self, *argv: str, interactive: bool = False) -> list[str]:
        """The words by which a command is run there as root."""
        if not self.machine:
            return ["docker", "exec", *(["--interactive"] if interactive else []), self.container, *argv]
        # A machine that has lost its power does not end a connection.
        options = ["BatchMode=yes", "LogLevel=ERROR", "ServerAliveInterval=5", f"UserKnownHostsFile={KNOWN_HOSTS}"]
        given = [word for option in options for word in ("-o", option)]
        return ["ssh", "-i", str(KEY), *given, f"{USER}@{self.address}", f"sudo {shlex.join(argv)}"]

    def execute(self, *argv: str, stdin: str | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command as root on the machine."""
        done = subprocess.run(
            self.command(*argv, interactive=stdin is not None),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        if check and done.returncode != 0:
            raise AssertionError(f"{self.name}: {' '.join(argv)}: rc {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def shell(self, script: str, check: bool = True) -> str:
        """Run a shell script as root on the machine and return what it prints."""
        return self.execute("sh", "-c", script, check=check).stdout

    def restart(self) -> None:
        """Take the machine's power away and give it back, and wait until it has started again."""
        if self.machine:
            for words in (["poweroff", "--cut"], ["poweron"]):
                subprocess.run([sys.executable, "-m", "lab", *words, self.name], cwd=ROOT, check=True)
            return
        subprocess.run(["docker", "restart", "--time=0", self.container], check=True, stdout=subprocess.DEVNULL)
        end = time.monotonic() + BOOT_TIMEOUT
        while self.shell("systemctl is-system-running", check=False).strip() not in ("running", "degraded"):
            assert time.monotonic() < end, f"{self.name} has not started again"
            time.sleep(0.2)

    def kubectl(self, *arguments: str) -> str:
        """Run kubectl as the administrator and return what it prints."""
        return self.execute("kubectl", "--kubeconfig=/etc/kubernetes/admin.conf", *arguments).stdout


def start_nodes(
    *words: str, kubernetes: t.Sequence[str] = (), machines: t.Sequence[str] = (), more: t.Sequence[str] = ()
) -> dict[str, Node]:
    """Fresh machines by name, and the mirror they need.

    :param words: as for ``lab nodes``: NAME or NAME:os.
    :param machines: the same, of those that have a kernel of their own.
    :param kubernetes: releases that the mirror serves; the lab's default when there are none.
    :param more: what it serves besides, as ``lab mirror --with`` knows it.
    """
    releases = ["--kubernetes", ",".join(kubernetes)] if kubernetes else []
    releases += [word for name in more for word in ("--with", name)]
    subprocess.run([sys.executable, "-m", "lab", "mirror", *releases], cwd=ROOT, check=True)
    argv = [sys.executable, "-m", "lab", "nodes", "--fresh", "--json", *words]
    argv += ["--machine", *machines] if machines else []
    done = subprocess.run(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    found = json.loads(done.stdout)
    return {name: Node(name, node["container"], node["address"], node["machine"]) for name, node in found.items()}


def remove_nodes(names: t.Iterable[str]) -> None:
    """Remove machines, unless SLIPWAY_KEEP is set, so that one can look at them."""
    if not os.environ.get("SLIPWAY_KEEP"):
        subprocess.run([sys.executable, "-m", "lab", "nodes", "--remove", *names], cwd=ROOT, check=True)


@dataclasses.dataclass(frozen=True)
class Result:
    """A playbook that has ended. It is read from what Ansible prints for people."""

    rc: int
    output: str

    @property
    def recap(self) -> dict[str, dict[str, int]]:
        """The counts of each host."""
        return {
            host: {key: int(value) for key, value in (pair.split("=") for pair in counts.split())}
            for host, counts in _RECAP.findall(self.output)
        }

    @property
    def changed(self) -> set[tuple[str, str]]:
        """Host and name of each task that changed something; the role's name is left out."""
        found = set()
        task = ""
        for line in self.output.splitlines():
            if match := _TASK.match(line):
                task = match.group(1).rpartition(" : ")[2]
            elif match := _CHANGED.match(line):
                found.add((match.group(1), task))
        return found

    def expect(self, rc: int = 0, changed: t.Collection[tuple[str, str]] | None = None) -> Result:
        """Assert how it ended and, when given, exactly which tasks changed something."""
        assert self.rc == rc, f"rc {self.rc}\n{self.output}"
        if changed is not None:
            assert self.changed == set(changed), self.output
            assert sum(counts["changed"] for counts in self.recap.values()) == len(self.changed), self.output
        return self


class Run:
    """An ``ansible-playbook`` that runs, with all its children, in a process group of its own."""

    def __init__(self, argv: t.Sequence[str | os.PathLike[str]], environment: t.Mapping[str, str], log: pathlib.Path):
        self._log = log
        with log.open("wb") as stream:
            self._process = subprocess.Popen(
                argv,
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process id of ansible-playbook."""
        return self._process.pid

    @property
    def output(self) -> str:
        """What it has printed so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    @property
    def ended(self) -> bool:
        """Whether it has come to its end."""
        return self._process.poll() is not None

    def reaches(self, task: str) -> bool:
        """Wait until a task begins whose name has ``task`` in it; false when the run ends before."""
        pattern = re.compile(rf"^TASK \[.*{re.escape(task)}", re.MULTILINE)
        while not self.ended:
            if pattern.search(self.output):
                return True
            time.sleep(0.02)
        return False

    def sees(self, node: Node, condition: str) -> bool:
        """Wait until a shell condition holds on a machine; false when the run ends before."""
        # The machine itself looks, as often as it can: the moments that tests wait for are short.
        script = f"until {condition}; do sleep 0.02; done >/dev/null 2>&1"
        watcher = subprocess.Popen(node.command("timeout", str(TIMEOUT), "sh", "-c", script))
        try:
            while watcher.poll() is None and not self.ended:
                time.sleep(0.02)
            return watcher.poll() == 0
        finally:
            watcher.kill()
            watcher.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to Ansible, and to those children that are in its process group."""
        os.killpg(self._process.pid, number)

    def kill(self) -> None:
        """SIGKILL for Ansible and all its children here. What it has started on machines goes on."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def wait(self, timeout: float = TIMEOUT) -> Result:
        """Wait for its end; it is killed when that does not come."""
        try:
            return Result(self._process.wait(timeout), self.output)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the playbook has not ended in {timeout:.0f} seconds\n{self.output}") from None


class Site:
    """An inventory of machines of the lab with the repository's group variables, in a folder of its own."""

    def __init__(
        self,
        folder: pathlib.Path,
        control_planes: t.Sequence[str],
        workers: t.Sequence[str],
        systems: t.Mapping[str, str] | None = None,
        variables: t.Mapping[str, t.Any] | None = None,
        kubernetes: t.Sequence[str] = (),
        machines: t.Collection[str] = (),
        more: t.Sequence[str] = (),
    ) -> None:
        """
        :param systems: a machine's system by its name, as ``lab nodes`` knows it.
        :param variables: what differs from the repository's group variables.
        :param kubernetes: releases that are needed, where it is not the lab's default alone.
        :param machines: names of those that have a kernel of their own.
        :param more: what the mirror serves besides.
        """
        self.folder = folder
        self.groups = {"kube_control_plane": list(control_planes), "kube_node": list(workers)}
        self._systems = dict(systems or {})
        self._kubernetes = kubernetes
        self._more = more
        self._machines = machines
        self.inventory = folder / "inventory"
        group_vars = self.inventory / "group_vars" / "all"
        group_vars.mkdir(parents=True)
        for path in (ROOT / "inventory" / "group_vars" / "all").iterdir():
            (group_vars / path.name).symlink_to(path)
        self._variables = group_vars / "zz_test.yml"
        self.configure({"cluster_name": "test", **(variables or {})})
        # Connections that are kept open are this site's: another machine may have had an address before.
        # The path of a socket may have some 100 characters only.
        self._sockets = tempfile.mkdtemp(prefix="slipway-cp-")
        self._runs: list[Run] = []
        self.nodes: dict[str, Node] = {}
        # A machine may be both.
        self.renew(*dict.fromkeys([*control_planes, *workers]))

    @property
    def control_plane(self) -> Node:
        """The first control plane."""
        return self.nodes[self.groups["kube_control_plane"][0]]

    @property
    def artifacts(self) -> pathlib.Path:
        """Where a run leaves what is for the controller."""
        return self.folder / "artifacts"

    def configure(self, variables: t.Mapping[str, t.Any]) -> None:
        """Set what differs from the repository's group variables, besides what was set before."""
        before = json.loads(self._variables.read_text()) if self._variables.exists() else {}
        self._variables.write_text(json.dumps({**before, **variables}))

    def renew(self, *names: str) -> None:
        """Make machines anew."""
        self._close_connections()
        words = {name: f"{name}:{self._systems[name]}" if name in self._systems else name for name in names}
        containers = [word for name, word in words.items() if name not in self._machines]
        machines = [word for name, word in words.items() if name in self._machines]
        self.nodes.update(start_nodes(*containers, kubernetes=self._kubernetes, machines=machines, more=self._more))
        self.write_inventory()

    def write_inventory(self) -> None:
        """Write the groups with the addresses of their machines."""
        groups = {
            group: {"hosts": {name: {"ansible_host": self.nodes[name].address} for name in members}}
            for group, members in self.groups.items()
        }
        (self.inventory / "hosts.yml").write_text(json.dumps({"all": {"vars": _CONNECTION, "children": groups}}))

    def close(self) -> None:
        """Remove the machines, and what a test that failed has left running."""
        for run in self._runs:
            if not run.ended:
                run.kill()
        self._close_connections()
        shutil.rmtree(self._sockets, ignore_errors=True)
        remove_nodes(self.nodes)

    def _close_connections(self) -> None:
        for socket in pathlib.Path(self._sockets).iterdir():
            subprocess.run(["ssh", "-o", f"ControlPath={socket}", "-O", "exit", "-"], capture_output=True, check=False)

    def start(self, *arguments: str, playbook: str = "site.yml", within: t.Sequence[str] = ()) -> Run:
        """Start a playbook of the repository.

        :param within: a command that runs it, when it shall not see what others see.
        """
        environment = {
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_HOME": str(self.folder / "ansible"),
            "ANSIBLE_LOCAL_TEMP": str(self.folder / "ansible" / "tmp"),
            "ANSIBLE_SSH_CONTROL_PATH_DIR": self._sockets,
            "PYTHONUNBUFFERED": "1",
        }
        argv = [*within, BIN / "ansible-playbook", playbook, "-i", self.inventory, *arguments]
        self._runs.append(Run(argv, environment, self.folder / f"run-{len(self._runs) + 1}.log"))
        return self._runs[-1]

    def run(self, *arguments: str, playbook: str = "site.yml") -> Result:
        """Run a playbook of the repository to its end."""
        return self.start(*arguments, playbook=playbook).wait()

    def bootstrap_tokens(self) -> list[str]:
        """Names of the Secrets of bootstrap tokens that the cluster has."""
        selector = "--field-selector=type=bootstrap.kubernetes.io/token"
        return self.control_plane.kubectl("get", "secrets", "--all-namespaces", selector, "--output=name").split()

    def identity(self) -> tuple[str, str]:
        """What another cluster would not have: the hash of the CA, and the uid of kube-system."""
        # An API server that has just started refuses what it has not read the roles for.
        ready = "kubectl --kubeconfig=/etc/kubernetes/admin.conf get --raw=/readyz"
        self.control_plane.shell(f"timeout {BOOT_TIMEOUT} sh -c 'until {ready}; do sleep 0.5; done' >/dev/null 2>&1")
        hashed = self.control_plane.execute("sha256sum", "/etc/kubernetes/pki/ca.crt").stdout.split()[0]
        uid = self.control_plane.kubectl("get", "namespace", "kube-system", "--output=jsonpath={.metadata.uid}")
        return hashed, uid

    def etcd_members(self) -> list[str]:
        """Names of etcd's members that vote, by its own account."""
        pki = "/etc/kubernetes/pki/etcd"
        flags = f"--cacert={pki}/ca.crt --cert={pki}/server.crt --key={pki}/server.key"
        pod = f"etcd-{self.control_plane.name}"
        listed = self.control_plane.kubectl(
            "exec", "--namespace=kube-system", pod, "--", "etcdctl", *flags.split(), "member", "list"
        )
        fields = [line.split(", ") for line in listed.splitlines()]
        return sorted(name for _id, _state, name, _peers, _clients, learner in fields if learner == "false")

    def versions(self) -> dict[str, str]:
        """The version of each node's kubelet."""
        nodes = json.loads(self.control_plane.kubectl("get", "nodes", "--output=json"))["items"]
        return {node["metadata"]["name"]: node["status"]["nodeInfo"]["kubeletVersion"][1:] for node in nodes}

    def serve_web(self, timeout: int = 180) -> str:
        """Make a service with two replicas of which one may go at a time, and return its address (http).

        The scenario upgrade has the same.

        :param timeout: seconds until its pods run.
        """
        manifest = (ROOT / "molecule" / "upgrade" / "files" / "service.yml").read_text(encoding="utf-8")
        kubectl = ("kubectl", "--kubeconfig=/etc/kubernetes/admin.conf")
        self.control_plane.execute(*kubectl, "apply", "--filename=-", stdin=manifest)
        address = "{.status.loadBalancer.ingress[0].ip}"
        self.control_plane.kubectl("rollout", "status", "deployment/web", f"--timeout={timeout}s")
        self.control_plane.kubectl("wait", "service/web", f"--for=jsonpath={address}", "--timeout=120s")
        return "http://" + self.control_plane.kubectl("get", "service", "web", f"--output=jsonpath={address}")

    def unready_nodes(self) -> list[str]:
        """Machines of the inventory that are not Ready, or no nodes at all."""
        template = '{range .items[*]}{.metadata.name} {.status.conditions[?(@.type=="Ready")].status}{"\\n"}{end}'
        lines = self.control_plane.kubectl("get", "nodes", f"--output=jsonpath={template}").splitlines()
        ready = {name for name, _value, status in (line.partition(" ") for line in lines) if status == "True"}
        return sorted(set(self.nodes) - ready)

    def expect_settled(self) -> None:
        """Assert that the cluster is complete: nothing to change, all nodes Ready, no token left, verified."""
        self.run().expect(changed=[])
        assert self.unready_nodes() == []
        assert self.bootstrap_tokens() == []
        self.run(playbook="playbooks/verify.yml").expect()
