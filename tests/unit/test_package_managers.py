# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A further package manager is one file and its line in the table: this one is neither, and everything works with it.

It is as unlike the first one as package managers are: it keeps no index whose age counts, wants its keys armoured, has
nothing to say of a repository but its URL, and its packages have other names and another order of versions.
"""

from __future__ import annotations

import ast
import base64
import contextlib
import re
import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils import _packages
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import CommandResult, SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._packages.interface import (
    Fetched,
    Installed,
    Neighbour,
    Offer,
    PackageManager,
    PackageSource,
    Refused,
    Repository,
    State,
    Transaction,
    same_url,
)
from ansible_collections.slipway.kubernetes.plugins.modules import package_set, package_source, source_probe
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight import failures
from ansible_collections.slipway.kubernetes.tests.unit.plugins.package_fakes import FIXTURES, FakeRunner
from ansible_collections.slipway.kubernetes.tests.unit.plugins.utils import ModuleRunner

ROOT = Path(__file__).resolve().parents[2]
URL = "https://mirror.example.com/rpm"
KEY = (FIXTURES / "kubernetes.asc").read_text()


class Machine:
    """What there is on the machine and in the repositories."""

    root = Path("/nonexistent")
    packages: t.ClassVar[t.Dict[str, Installed]] = {}
    offers: t.ClassVar[t.Dict[str, Offer]] = {}
    urls: t.ClassVar[t.List[str]] = []
    is_known = False
    problem = ""


class TestPackages(PackageManager):
    """The package manager ``testpkg``."""

    __test__ = False
    name, tool, systems, audit = "testpkg", "testpkg", "Testux", "testpkg check"
    names = re.compile(r"[A-Za-z0-9_.+-]+")

    @classmethod
    def compare_parts(cls, one: str, other: str) -> int:
        left, right = ([int(number) for number in re.findall(r"\d+", text)] for text in (one, other))
        return (left > right) - (left < right)

    def installed(self) -> t.Dict[str, Installed]:
        return dict(Machine.packages)

    def offered(self, names: t.Iterable[str]) -> t.Dict[str, Offer]:
        return {name: Machine.offers[name] for name in names if name in Machine.offers}

    def known_names(self, beginning: str) -> t.List[str]:
        return [name for name in Machine.offers if name.startswith(beginning)]

    def indexes(self) -> t.List[t.List[str]]:
        return [[f"{url}/repodata/repomd.xml"] for url in Machine.urls]

    def repair(self) -> None:
        for name, package in self.installed().items():
            Machine.packages[name] = package._replace(state=State.WHOLE, words="installed")

    def plan(self, transaction: Transaction) -> t.Dict[str, t.Optional[str]]:
        if Machine.problem:
            raise Refused(Machine.problem, CommandResult(["testpkg"], 1, "", ""))
        return {**transaction.targets, "libTest": "1.0-1"}

    def install(self, transaction: Transaction) -> None:
        for name, version in self.plan(transaction).items():
            if version is None:
                del Machine.packages[name]
            else:
                Machine.packages[name] = Installed(version)

    def hold(self, held: t.Sequence[str], released: t.Sequence[str]) -> None:
        for name in [*held, *released]:
            Machine.packages[name] = Machine.packages[name]._replace(hold=name in held)

    def source(self, repository: Repository, timeout: int) -> PackageSource:
        stem = f"slipway-{repository.name}"
        return TestSource(self, repository, f"{Machine.root}/{stem}.repo", f"{Machine.root}/keys/{stem}")


class TestSource(PackageSource):
    """A repository in a file of its own."""

    __test__ = False
    logins = "Put them into testpkg.conf."

    def key_file(self, key: bytes) -> bytes:
        block = b"-----%s PGP PUBLIC KEY BLOCK-----\n"
        return block % b"BEGIN" + b"\n" + base64.b64encode(key) + b"\n" + block % b"END"

    def render(self, key_path: str, key: bytes, key_url: t.Optional[str]) -> bytes:
        return f"baseurl={self.repository.url}\ngpgkey=file://{key_path}\n".encode()

    def neighbours(self) -> t.List[Neighbour]:
        found = []
        for path in Machine.root.glob("*.repo"):
            said = dict(line.split("=", 1) for line in path.read_text().splitlines())
            if str(path) != self.path and same_url(said["baseurl"], self.repository.url):
                found.append(Neighbour(str(path), said["gpgkey"][len("file://") :], True))
        return found

    def known(self, content: bytes, names: t.Collection[str]) -> t.Dict[str, Offer]:
        return self.manager.offered(names) if Machine.is_known else {}

    @contextlib.contextmanager
    def fetched(self, key: bytes) -> t.Iterator[Fetched]:
        if Machine.problem:
            raise SlipwayError(Machine.problem)
        yield Fetched(self.manager, lambda: setattr(Machine, "is_known", True))


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has this package manager, and the table that has its line."""
    monkeypatch.setattr(_packages, "MANAGERS", (*_packages.MANAGERS, TestPackages))
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/testpkg").touch(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin")
    for name, value in {
        "root": tmp_path,
        "packages": {"Bash": Installed("5.2-1")},
        "offers": {"Kubelet": Offer("1:1.37.1-150500.2", ("1:1.37.1-150500.2", "1:1.37.1-150500.10", "1:1.36.4-1"))},
        "urls": [],
        "is_known": False,
        "problem": "",
    }.items():
        monkeypatch.setattr(Machine, name, value)


KUBELET = {"packages": [{"name": "Kubelet", "version": "1.37.1", "hold": True}]}


def test_packages_are_installed_and_held(run_module: ModuleRunner) -> None:
    predicted = run_module(package_set.main, KUBELET, check=True)
    assert predicted["changed"] and list(Machine.packages) == ["Bash"]
    done = run_module(package_set.main, KUBELET)
    assert done["installed"] == predicted["installed"] == ["Kubelet", "libTest"]
    assert done["versions"] == predicted["versions"] == {"Kubelet": "1:1.37.1-150500.2"}
    assert (
        done["diff"]
        == predicted["diff"]
        == {
            "before": "Kubelet: not installed\nlibTest: not installed\n",
            "after": "Kubelet: 1:1.37.1-150500.2 (held)\nlibTest: 1.0-1\n",
        }
    )
    assert Machine.packages["Kubelet"].hold
    for check in (True, False):
        again = run_module(package_set.main, KUBELET, check=check)
        assert not again["changed"] and again["diff"] == {"before": "", "after": ""}
    released = run_module(package_set.main, {"packages": [{"name": "Kubelet", "hold": False}]})
    assert released["released"] == ["Kubelet"] and not Machine.packages["Kubelet"].hold
    gone = run_module(package_set.main, {"packages": [{"name": "Kubelet", "state": "absent"}]})
    assert gone["removed"] == ["Kubelet"] and "Kubelet" not in Machine.packages


def test_the_order_of_versions_is_its_own(run_module: ModuleRunner) -> None:
    Machine.packages["Kubelet"] = Installed("1:1.37.1-150500.10")
    older = {"packages": [{"name": "Kubelet", "version": "1.36.4"}]}
    assert "is installed, which is newer than the wanted 1:1.36.4-1" in run_module(package_set.main, older)["msg"]
    assert run_module(package_set.main, {**older, "allow_downgrade": True})["downgraded"] == ["Kubelet"]


def test_an_interrupted_transaction_is_finished(run_module: ModuleRunner) -> None:
    Machine.packages["Kubelet"] = Installed("1:1.37.1-1", state=State.BROKEN, words="half there")
    predicted = run_module(package_set.main, KUBELET, check=True)
    assert predicted["repaired"] and Machine.packages["Kubelet"].broken
    done = run_module(package_set.main, KUBELET)
    assert done["repaired"] and done["held"] == ["Kubelet"] and Machine.packages["Kubelet"].present


def test_what_goes_wrong_is_said_in_its_words(run_module: ModuleRunner, tmp_path: Path) -> None:
    missing = run_module(package_set.main, {"packages": [{"name": "Kubelt"}]}, check=True)
    assert missing["versions"] == {"Kubelt": "newest version"}
    Machine.problem = "nothing provides libc"
    message = run_module(package_set.main, KUBELET)["msg"]
    assert message == "The packages Kubelet could not be installed (rc 1): nothing provides libc"
    assert "is not the name of a package" in run_module(package_set.main, {"packages": [{"name": "a=b"}]})["msg"]
    (tmp_path / "bin/testpkg").unlink()
    for module, options in ((package_set, KUBELET), (package_source, {"name": "x", "state": "absent"})):
        message = run_module(module.main, options)["msg"]
        assert f"there is no {' or '.join(manager.tool for manager in _packages.MANAGERS)}." in message


SOURCE = {"name": "kubernetes", "url": URL, "key_content": KEY, "packages": {"Kubelet": "1.37.1"}}


def test_a_repository_is_set_up(run_module: ModuleRunner, tmp_path: Path) -> None:
    predicted = run_module(package_source.main, SOURCE, check=True)
    assert predicted["changed"] and not (tmp_path / "keys").exists() and not Machine.is_known
    done = run_module(package_source.main, SOURCE)
    path, key = tmp_path / "slipway-kubernetes.repo", tmp_path / "keys/slipway-kubernetes"
    assert path.read_text() == f"baseurl={URL}\ngpgkey=file://{key}\n" == done["diff"]["after"]
    assert predicted["diff"] == done["diff"] and key.read_text().startswith("-----BEGIN PGP PUBLIC KEY BLOCK-----")
    assert done["versions"] == predicted["versions"] == {"Kubelet": "1:1.37.1-150500.10"}
    for check in (True, False):
        again = run_module(package_source.main, SOURCE, check=check)
        assert not again["changed"] and not again["index_refreshed"]
    key.write_text(key.read_text() + "\n")
    assert run_module(package_source.main, SOURCE)["changed"]
    assert run_module(package_source.main, {"name": "kubernetes", "state": "absent"})["changed"] and not path.exists()


def test_a_repository_that_another_file_names_serves(run_module: ModuleRunner, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(KEY)
    (tmp_path / "other.repo").write_text(f"baseurl={URL}/\ngpgkey=file://{tmp_path}/key\n")
    result = run_module(package_source.main, SOURCE)
    assert not result["changed"] and result["source_path"] == f"{tmp_path}/other.repo"


@pytest.mark.parametrize(
    ("options", "problem", "message"),
    [
        ({}, "another key.", f"The package repository {URL} cannot be used: another key. The key given is E23C"),
        ({"packages": {"Kubelet": "9"}}, "", "lacks what is wanted: Kubelet has no version 9; available are 1:1.37.1"),
        ({"settings": {"suite": "x"}}, "", "settings: suite cannot be said of a repository here; known are none."),
        ({"url": "https://me:hidden@mirror/"}, "", "Put them into testpkg.conf."),
    ],
)
def test_a_repository_that_cannot_be_used(
    run_module: ModuleRunner, tmp_path: Path, options: t.Dict[str, t.Any], problem: str, message: str
) -> None:
    Machine.problem = problem
    assert message in run_module(package_source.main, {**SOURCE, **options})["msg"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bin"]


def test_preflight_asks_its_sources(run_module: ModuleRunner) -> None:
    def ask(**versions: str) -> t.List[str]:
        wanted = {"subject": "packages", "kind": "packages", "packages": ["Kubelet"], "versions": versions}
        return [found["message"] for found in run_module(source_probe.main, {"sources": [wanted]})["failures"]]

    assert ask() == ask(Kubelet="1.37.1") == []
    assert ask(Kubelet="9") == [
        "Kubelet has no version 9; available are 1:1.37.1-150500.10, 1:1.37.1-150500.2, 1:1.36.4-1."
    ]
    Machine.urls.append("http://127.0.0.1:1/rpm")
    (message,) = ask()
    assert "the package source http://127.0.0.1:1/rpm/repodata/repomd.xml cannot be reached: connection" in message


def test_the_controller_knows_it_by_its_name() -> None:
    known = _packages.package_manager_named("testpkg")
    assert known.version_matches("1.37.1", "1:1.37.1-150500.2") and known.compare_parts("9", "10") < 0
    failure = failures.explain({"failed": True, "msg": "python3: not found"})
    assert failure and " or testpkg install python3)" in failure.remedy


def test_of_a_machine_without_one_nothing_is_known() -> None:
    none = _packages.package_manager(FakeRunner({}, tools=()))
    assert (none.name, none.owner("/bin/sh"), none.is_pristine("/etc/hosts")) == ("", None, False)
    assert (none.versions(["a"]), none.sources_of_others(), none.indexes(), none.index_age()) == ({}, [], [], 0.0)


def code(path: Path) -> str:
    """The lines of a file but for the documentation of a module."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    for node in ast.parse(text).body:
        names = [target.id for target in getattr(node, "targets", ()) if isinstance(target, ast.Name)]
        if {"DOCUMENTATION", "EXAMPLES", "RETURN"} & set(names):
            lines[node.lineno - 1 : node.end_lineno] = [""] * ((node.end_lineno or 0) - node.lineno + 1)
    return "\n".join(lines)


def test_one_file_names_a_package_manager() -> None:
    known = re.compile(r"\b(apt|apt-get|dpkg|deb|dnf|dnf5|yum|rpm|rpmdb)\b", re.IGNORECASE)
    real = [manager for manager in _packages.MANAGERS if manager is not TestPackages]
    files = [ROOT / f"plugins/module_utils/_packages/{manager.name}.py" for manager in real]
    named = {
        str(path.relative_to(ROOT / "plugins")): [line for line in code(path).splitlines() if known.search(line)]
        for path in (ROOT / "plugins").rglob("*.py")
        if path not in files
    }
    table = named.pop("module_utils/_packages/__init__.py")
    assert {path: lines for path, lines in named.items() if lines} == {}
    *imports, row = table
    names = [manager.__name__ for manager in real]
    assert sorted(line.split()[-1] for line in imports) == sorted(names)
    assert re.findall(r"\w+(?=[,)])", row.partition(" = ")[2]) == names


def test_tasks_know_nothing_of_a_family() -> None:
    words = re.compile(r"\b(suites?|codename|components|architectures|keyrings?)\b|\.list\b|\bapt\b|debian|ubuntu")
    for role in ("kube_packages", "container_runtime"):
        for path in (ROOT / "roles" / role / "tasks").glob("*.yml"):
            assert not words.findall(path.read_text(encoding="utf-8")), path


def test_updates_of_a_package_manager_that_cannot_say_them() -> None:
    class Other(_packages.PackageManager):
        name = "other"

    with pytest.raises(SlipwayError, match=r"Updates of the distribution are not supported with other yet"):
        Other(FakeRunner({})).updates()
