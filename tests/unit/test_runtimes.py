# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A container runtime is one row of the table: a made-up one gets everything, and nothing else names a real one."""

from __future__ import annotations

import ast
import dataclasses
import re
import typing as t
from pathlib import Path

import jinja2
import pytest
import yaml
from ansible_collections.slipway.kubernetes.plugins.filter import container_runtime as filters
from ansible_collections.slipway.kubernetes.plugins.module_utils import _runtimes, _settings
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import Runner
from ansible_collections.slipway.kubernetes.plugins.module_utils._etcd import etcd
from ansible_collections.slipway.kubernetes.plugins.module_utils._etcd.etcd_backup import Backup, Settings
from ansible_collections.slipway.kubernetes.plugins.module_utils._machine import leftovers, mounts
from ansible_collections.slipway.kubernetes.plugins.module_utils._node import node_facts
from ansible_collections.slipway.kubernetes.plugins.module_utils._packages.interface import PackageManager
from ansible_collections.slipway.kubernetes.plugins.module_utils._pod_networks import declared
from ansible_collections.slipway.kubernetes.plugins.module_utils._runtimes.runtime import (
    Finding,
    Runtime,
    Source,
)
from ansible_collections.slipway.kubernetes.plugins.modules.kubeadm_reset import KubeadmReset
from ansible_collections.slipway.kubernetes.plugins.plugin_utils import _kubeadm_config
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight import sources as preflight_sources
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.checks import (
    machines,
    surroundings,
    upgrade,
)
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.checks.runtime import check_runtime
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import Host
from ansible_collections.slipway.kubernetes.tests.unit.plugins.etcd_fakes import fixture
from ansible_collections.slipway.kubernetes.tests.unit.plugins.package_fakes import FakeRunner
from ansible_collections.slipway.kubernetes.tests.unit.plugins.proc_fakes import process

ROOT = Path(__file__).resolve().parents[2]
SOCKET = "unix:///run/testrun.sock"
UPSTREAM = "https://download.opensuse.org/repositories/isv:/cri-o:/stable"


class Fake(Runtime):
    """A runtime that there is not."""

    def state(self, runner: Runner, packages: PackageManager, program: str) -> t.Dict[str, t.Any]:
        return {"mood": "good"}

    def containers(self, runner: Runner, cri_socket: str) -> t.List[str]:
        return runner.run(["testctl", "ps"]).stdout.split()

    def remove(self, runner: Runner, cri_socket: str, container: str) -> None:
        runner.run(["testctl", "rm", container])

    def has_image(self, runner: Runner, cri_socket: str, image: str) -> bool:
        return image in runner.run(["testctl", "images"]).stdout

    def remove_ended(self, runner: Runner, cri_socket: str, prefix: str) -> None:
        runner.run(["testctl", "prune", prefix])

    def holds_pod(self, words: t.Sequence[str], cri_socket: str) -> bool:
        return words[0] == "/usr/bin/testmon"

    def findings(self, settings: _settings.Settings, known: t.Mapping[str, t.Any]) -> t.Iterator[Finding]:
        if settings.mapping("container_runtime_config"):
            yield Finding("container_runtime_config", "is nothing that testrun has.", "Take it out.")


TESTRUN = Fake(
    name="testrun",
    socket="/run/testrun.sock",
    service="testrund",
    program="testrun",
    data="/var/lib/testrun",
    sources={"distribution": Source("testrun"), "docker": Source("testrun-ce", "testrepo")},
    mounts=r"/run/testrun/.+",
    tool=("testctl", "--socket={socket}", "run", "--volume={path}:{access}", "--name={name}", "{image}"),
    dropped=(("0.", (1, 30), "Upgrade it."),),
)


@pytest.fixture(autouse=True)
def table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(_runtimes.RUNTIMES, "testrun", TESTRUN)


def host(given: t.Optional[t.Dict[str, t.Any]] = None, **facts: t.Any) -> Host:
    variables = {"container_runtime_provider": "testrun", "preflight_minimum_disk_mb": 2048, **(given or {})}
    return Host("cp1", True, False, variables, facts={"kubernetes": {}, **facts})


def test_chosen_by_name_and_by_socket() -> None:
    assert _runtimes.chosen("testrun") is _runtimes.chosen(cri_socket=SOCKET) is TESTRUN
    assert _runtimes.chosen(cri_socket="/run/testrun.sock") is TESTRUN
    assert _runtimes.chosen("other") == _runtimes.chosen(cri_socket="unix:///run/other.sock") == Runtime()


def test_a_source_that_it_does_not_have(monkeypatch: pytest.MonkeyPatch) -> None:
    only = dataclasses.replace(TESTRUN, sources={"distribution": Source("testrun")})
    monkeypatch.setitem(_runtimes.RUNTIMES, "testrun", only)
    (problem,) = check_runtime([host({"container_runtime_source": "docker"})])
    assert (problem.subject, problem.message) == (
        "container_runtime_source",
        "is docker, from which there is no testrun.",
    )
    assert problem.remedy == "Set it to distribution."
    assert [*check_runtime([host({"container_runtime_source": source}) for source in ("distribution", "x", "")])] == []


def test_an_archive_that_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    node = {"runtime": {"testrun": {"installed": True}}, "kubernetes": {"completed": True, "kubelet_version": "1.37.1"}}
    given = {"container_runtime_provider": "testrun", "cluster_version": "1.37.1"}
    archive = {"container_runtime_shim_url": "https://m/shim.tgz", "container_runtime_shim_checksum": "sha256:1"}
    assert preflight_sources.sources({**given, **archive}, node, "w1") == []
    monkeypatch.setitem(_runtimes.RUNTIMES, "testrun", dataclasses.replace(TESTRUN, archive="container_runtime_shim"))
    assert preflight_sources.sources({**given, **archive}, node, "w1") == [
        {
            **{"subject": "container_runtime_shim_url", "kind": "archive", "name": "shim"},
            **{"url": "https://m/shim.tgz", "checksum": "sha256:1"},
        }
    ]
    assert preflight_sources.sources({**given, **archive, "container_runtime_shim_url": ""}, node, "w1") == []


def test_gates_that_its_kubelets_are_told_to_turn_off(monkeypatch: pytest.MonkeyPatch) -> None:
    gates = (("Sings", (1, 36), (1, 38)), ("Dances", (1, 37), (1, 40)))
    monkeypatch.setitem(_runtimes.RUNTIMES, "testrun", dataclasses.replace(TESTRUN, gates=gates))
    settings = {"name": "w1", "cri_socket": SOCKET, "endpoint": "e", "ca_cert_hashes": []}
    found = {}
    for version in ("1.35.9", "1.36.0", "v1.37.1", "1.38.0", ""):
        document = _kubeadm_config.kubeadm_join_config({**settings, "version": version})
        told = document["nodeRegistration"].get("kubeletExtraArgs", [])
        found[version] = [(item["name"], item["value"]) for item in told]
    assert found == {
        "1.35.9": [],
        "1.36.0": [("feature-gates", "Sings=false")],
        "v1.37.1": [("feature-gates", "Sings=false,Dances=false")],
        "1.38.0": [("feature-gates", "Dances=false")],
        "": [],
    }


def test_settings_machines_and_sources_by_preflight() -> None:
    (problem,) = check_runtime([host({"container_runtime_config": {"a": 1}})])
    assert (problem.host, problem.message) == ("cp1", "is nothing that testrun has.")
    mount = {"path": "/var/lib/testrun", "point": "/n", "type": "nfs", "options": []}
    around = {"surroundings": {"mounts": [mount]}}
    (problem,) = surroundings.check_mounts([host(**around)])
    assert "/var/lib/testrun is on /n (nfs), on which the container runtime" in problem.message
    (problem,) = surroundings.check_ftype([host(surroundings={"mounts": [{**mount, "ftype": False}]})])
    assert "made with ftype=0" in problem.message
    disks = {"disk": [{"path": "/var/lib/testrun", "free_mb": 1}], "memory_mb": 4000, "cpu_count": 4}
    found = [problem.message for problem in machines.check_resources([host(**disks)])]
    assert "1 MB are free in /var/lib/testrun, and 2048 MB are needed." in found


def test_where_its_package_comes_from() -> None:
    node = {"runtime": {"testrun": {"installed": False}}, "os": {"codename": "x"}}
    variables = {"container_runtime_provider": "testrun", "container_runtime_source": "distribution"}
    assert preflight_sources._packages(variables, node, control_plane=False) == ["testrun"]
    assert preflight_sources.runtime_repository(variables, node) is None
    repository = preflight_sources.runtime_repository({**variables, "container_runtime_source": "docker"}, node)
    assert repository is not None
    assert (repository["name"], repository["packages"]) == ("testrepo", {"testrun-ce": "*"})


def test_a_repository_for_each_minor_version_is_asked_again_for_another_one() -> None:
    node = {"runtime": {"testrun": {"installed": True, "version": "1.36.3"}}}
    variables = {
        **{"container_runtime_provider": "testrun", "container_runtime_source": "docker"},
        **{"__container_runtime_platform": {"packages": {"docker": "testrun-ce"}, "minor_path": "deb"}},
    }
    asked = {
        minor: preflight_sources.runtime_repository({**variables, "__container_runtime_minor": minor}, node) is not None
        for minor in ("1.3", "1.36", "1.37")
    }
    assert asked == {"1.3": True, "1.36": False, "1.37": True}


def test_a_version_that_the_kubelet_drops() -> None:
    node = {"name": "w1", "runtime": "testrun://0.9"}
    (problem,) = upgrade.check_removed([host({"cluster_version": "1.37.1"})], {"nodes": [node]})
    assert (problem.subject, problem.remedy, problem.severity) == ("testrun", "Upgrade it.", "error")


def test_what_a_machine_tells_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/mountinfo").write_text("1 0 8:1 / / rw - ext4 /dev/sda1 rw\n")
    assert "/var/lib/testrun" in [mount["path"] for mount in mounts.look(str(tmp_path))]
    facts = node_facts.NodeFacts(FakeRunner({"config default": ""}, tools=())).collect()
    assert facts["runtime"]["testrun"] == {
        **{
            "installed": False,
            "version": "",
            "active": False,
            "path": "",
            "release": "",
            "package": "",
            "mood": "good",
            "packages": {},
        }
    }


def test_reset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "".join(f"1 2 0:3 / {path} rw - tmpfs x rw\n" for path in ("/run/testrun/a", "/run/other/a"))
    assert leftovers.mounts(text) == ["/run/testrun/a"]
    process(tmp_path, 40, "/usr/bin/testmon")
    process(tmp_path, 41, "/usr/bin/othermon")
    assert leftovers.processes((), SOCKET, str(tmp_path)) == [40]
    monkeypatch.setattr(Runtime, "is_active", lambda _runtime, _socket: True)
    runner = FakeRunner({"testctl ps": "a b", "testctl rm": ""}, tools=())
    given = {"cri_socket": SOCKET, "users": [], "services": [], "leftovers": {kind: [] for kind in declared.KINDS}}
    reset = KubeadmReset(given, runner, True, str(tmp_path))
    reset._remove_containers()
    assert runner.called("rm") == [["testctl", "rm", "a"], ["testctl", "rm", "b"]]


def test_etcd_s_tools(tmp_path: Path) -> None:
    runner = FakeRunner({"testctl images": "etcd:1", "testctl": ""}, tools=("testctl",))
    tools = etcd.Tools(runner, "etcd:1", SOCKET)
    tools.run(["etcdctl", "version"], {"/a": False, "/b": True})
    name = runner.calls[0][5]
    assert name.startswith("--name=slipway-etcd-")
    volumes = ["--volume=/a:ro", "--volume=/b:rw"]
    start = ["/usr/bin/testctl", "--socket=/run/testrun.sock", "run", *volumes]
    assert runner.calls == [[*start, name, "etcd:1", "etcdctl", "version"]]
    assert tools.has_image()
    tools.remove_leftovers()
    assert runner.calls[-1] == ["testctl", "prune", "slipway-etcd-"]
    # The timer's program is told by its settings, which the role writes.
    manifest = tmp_path / "etcd.yaml"
    manifest.write_text(fixture("etcd.yaml"))
    told = filters.container_runtime(SOCKET)
    backup = Backup(Settings("/b", "lab", 1, told["tool"], str(manifest), "/k", "/p"))
    argv = backup.save_argv("/b/snapshot.db")
    assert argv[:5] == ["testctl", "--socket=/run/testrun.sock", "run", "--volume=/p/etcd:ro", "--volume=/b:rw"]
    assert argv[6:8] == ["registry.k8s.io/etcd:3.7.0-0", "etcdctl"] and told["service"] == "testrund"


# The roles, and the word


def role(name: str, path: str) -> t.Dict[str, t.Any]:
    return dict(yaml.safe_load((ROOT / "roles" / name / path).read_text(encoding="utf-8")))


def test_the_role_has_the_runtimes_of_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(_runtimes.RUNTIMES, "testrun")
    options = role("container_runtime", "meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    provider = options["container_runtime_provider"]
    assert provider["choices"] == list(_runtimes.RUNTIMES) and provider["default"] == _runtimes.DEFAULT.name
    sources = {source for runtime in _runtimes.RUNTIMES.values() for source in runtime.sources}
    assert set(options["container_runtime_source"]["choices"]) == sources
    platforms = role("container_runtime", "vars/main.yml")["__container_runtime_platforms"]
    for name, runtime in _runtimes.RUNTIMES.items():
        assert (ROOT / f"roles/container_runtime/tasks/main_{name}.yml").exists()
        packages = {source: entry.package for source, entry in runtime.sources.items() if entry.package}
        assert runtime.tool, "etcd's tools have to be run somehow"
        assert {family: entry["packages"] for family, entry in platforms[name].items()}["debian"] == packages
    repositories = role("container_runtime", "vars/main.yml")["__container_runtime_repositories"]
    assert {name: set(entry) for name, entry in repositories.items()} == {
        name: {source for source, entry in runtime.sources.items() if entry.repository}
        for name, runtime in _runtimes.RUNTIMES.items()
    }


def rendered(text: str, **variables: t.Any) -> str:
    """What a variable of a role comes to."""
    environment = jinja2.Environment(autoescape=False, undefined=jinja2.StrictUndefined)
    environment.filters["slipway.kubernetes.container_runtime"] = filters.container_runtime
    environment.tests["match"] = lambda value, pattern: re.match(pattern, value) is not None
    environment.filters["split"] = str.split
    environment.filters["regex_replace"] = lambda value, pattern, new: re.sub(pattern, new, value, count=1)
    return environment.from_string(text).render(variables)


def test_the_socket_follows_the_runtime() -> None:
    socket = role("cluster", "defaults/main.yml")["cluster_cri_socket"]
    assert rendered(socket) == _runtimes.CRI_SOCKET["default"]
    for name, runtime in _runtimes.RUNTIMES.items():
        assert rendered(socket, container_runtime_provider=name) == f"unix://{runtime.socket}"
        assert runtime.name == _runtimes.chosen(cri_socket=runtime.socket).name


@pytest.mark.parametrize(
    ("provider", "source", "version", "url", "key"),
    [
        ("containerd", "docker", "2.4.2", "https://download.docker.com/linux/debian", "/gpg"),
        (
            "crio",
            "crio",
            "",
            "https://download.opensuse.org/repositories/isv:/cri-o:/stable:/v1.37/deb/",
            "Release.key",
        ),
        ("crio", "crio", "1.36.*", "https://download.opensuse.org/repositories/isv:/cri-o:/stable:/v1.36/deb/", "Rel"),
        ("docker", "docker", "", "https://download.docker.com/linux/debian", "/gpg"),
    ],
)
def test_where_repositories_are(provider: str, source: str, version: str, url: str, key: str) -> None:
    own, defaults = role("container_runtime", "vars/main.yml"), role("container_runtime", "defaults/main.yml")
    known: t.Dict[str, t.Any] = {
        "container_runtime_provider": provider,
        "container_runtime_source": source,
        "container_runtime_version": version,
        "cluster_version": "1.37.1",
        "__container_runtime_distribution": "debian",
        "__container_runtime_repositories": own["__container_runtime_repositories"],
        "__container_runtime_platform": own["__container_runtime_platforms"][provider]["debian"],
    }
    for name in ("__container_runtime_minor", "__container_runtime_path", "__container_runtime_key_file"):
        known[name] = rendered(own[name], **known)
    for name in ("", "_url", "_key"):
        known[f"container_runtime_repository{name}"] = rendered(
            defaults[f"container_runtime_repository{name}"], **known
        )
    assert known["container_runtime_repository_url"] == url
    assert known["container_runtime_repository_key"].startswith(f"{url.rstrip('/')}/{key.lstrip('/')}")


def test_one_without_a_repository_needs_no_key() -> None:
    """Ansible validates all variables of the role, also the address of a key that nobody fetches."""
    environment = jinja2.Environment(autoescape=False, undefined=jinja2.StrictUndefined)
    key = environment.from_string(role("container_runtime", "vars/main.yml")["__container_runtime_key_file"])
    assert key.render(__container_runtime_platform={"packages": {}}) == ""
    assert key.render(__container_runtime_platform={"key_file": "gpg"}) == "gpg"


#: Where a runtime may be named: its file, the table, and what is public for everybody to read.
OWN = ("module_utils/_runtimes/", "doc_fragments/cri_socket.py")
PAGES = ("DOCUMENTATION", "EXAMPLES", "RETURN")
#: By their programs: docker is a registry, a bridge and a repository, too.
PROGRAMS = [runtime.program for runtime in _runtimes.RUNTIMES.values()]
NAMES = re.compile(rf"(?i:{'|'.join(PROGRAMS)})|\bctr\b")


def named(text: str) -> t.List[str]:
    """Lines of a plugin that name a runtime, those of its documentation left out."""
    lines = text.splitlines()
    for node in ast.parse(text).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id in PAGES:
            lines[node.lineno - 1 : node.end_lineno] = [""] * ((node.end_lineno or 0) - node.lineno + 1)
    return [line for line in lines if NAMES.search(line)]


def test_code_names_no_runtime() -> None:
    folder = ROOT / "plugins"
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*.py")}
    found = {name: named(path.read_text(encoding="utf-8")) for name, path in files.items() if not name.startswith(OWN)}
    assert found and not {name: lines for name, lines in found.items() if lines}


def test_a_name_is_found() -> None:
    name = _runtimes.DEFAULT.name
    assert named(f'DOCUMENTATION = """\n{name}\n"""\nx = "{name.upper()}"  # ctr\n') == [f'x = "{name.upper()}"  # ctr']


def test_tasks_name_no_runtime() -> None:
    # What is assumed about distributions names their packages, and does nothing with them.
    assumptions = ROOT / "playbooks/vars/platform.yml"
    tasks = {*(ROOT / "roles").glob("*/tasks/*.yml"), *(ROOT / "playbooks").rglob("*.yml")} - {assumptions}
    others = [path for path in tasks if path.stem[len("main_") :] not in _runtimes.RUNTIMES]
    assert others and not [path for path in others if NAMES.search(path.read_text(encoding="utf-8"))]
