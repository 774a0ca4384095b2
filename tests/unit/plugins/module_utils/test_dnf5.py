# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What dnf 5 does otherwise than dnf 4. What it prints was recorded from dnf5 5.4.6."""

from __future__ import annotations

import functools
import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils import _packages
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._packages.dnf5 import Dnf5
from ansible_collections.slipway.kubernetes.plugins.module_utils._packages.interface import (
    Offer,
    Refused,
    Repository,
    Transaction,
    Update,
)
from ansible_collections.slipway.kubernetes.tests.unit.plugins.package_fakes import (
    FIXTURES,
    FakeRunner,
    recorded,
    write,
)

fixture = functools.partial(recorded, "dnf5")
KERNEL = "installonlypkg(kernel)\nkernel-uname-r = 5.14.3-1.el9\n"
KEY = (FIXTURES / "subkey.gpg").read_bytes()
LOCKED = "Failed to obtain rpm transaction lock. Another transaction is in progress.\n"


def manager(root: Path, answers: t.Mapping[str, t.Any], **options: t.Any) -> t.Tuple[Dnf5, FakeRunner]:
    """dnf 5 of a machine that holds one package."""
    write(root, "etc/dnf/dnf.conf", "[main]\nbest=True\nexcludepkgs=demo-held\n")
    runner = FakeRunner(answers)
    return Dnf5(runner, root=str(root), **options), runner


@pytest.mark.parametrize(
    ("tools", "kind"),
    [(["dnf5"], "dnf5"), (["dnf5", "dnf-3"], "dnf"), (["apt-get", "dnf5"], "apt")],
)
def test_which_machine_has_it(tools: t.List[str], kind: str) -> None:
    assert _packages.package_manager(FakeRunner({}, tools)).name == kind
    assert _packages.package_manager_named("dnf5") is Dnf5


def test_what_would_change() -> None:
    assert Dnf5.planned(fixture("upgrade-all")) == {
        "kernel-core": "5.14.4-1.el9",
        "demo": "2-1.el9",
        "demo-dep": "2-1.el9",
        "demo-epoch": "1:2-1.el9",
        "demo-excluded": "2-1.el9",
        "demo-sec": "3-1.el9",
        "demo-next": "2-1.el9",
        "demo-old": None,
        "demo-new": "1-1.el9",
    }
    assert Dnf5.replaced(fixture("upgrade-all")) == {"demo-old": "demo-next"}
    assert Dnf5.planned(fixture("install-kernel")) == {"kernel-core": "5.14.4-1.el9", "demo": "2-1.el9"}
    assert Dnf5.planned(fixture("do-both")) == {"demo-excluded": None, "demo": "2-1.el9"}
    assert Dnf5.planned(fixture("install-nothing")) == {}


def test_what_there_is_to_update(tmp_path: Path) -> None:
    packages, runner = manager(
        tmp_path,
        {
            "--assumeno": (1, fixture("upgrade-all"), ""),
            "--upgrades": fixture("upgrades"),
            "updateinfo": fixture("advisories"),
            "--all": fixture("rpm-all"),
            "--provides kernel-core": KERNEL,
        },
    )
    found = packages.updates()
    assert found.brought == (
        Update("demo", "1-1.el9", "2-1.el9"),
        Update("demo-dep", "1-1.el9", "2-1.el9"),
        Update("demo-epoch", "1:1-1.el9", "1:2-1.el9", security=True),
        Update("demo-excluded", "1-1.el9", "2-1.el9"),
        Update("demo-sec", "1-1.el9", "3-1.el9", security=True),
        Update("kernel-core", "5.14.3-1.el9", "5.14.4-1.el9"),
    )
    assert (found.held, found.kept_back) == (("demo-held",), ("demo-broken", "demo-old"))
    (query,) = runner.called("--upgrades")
    assert r"%{name} %{evr} %{repoid}\n" in query and "--setopt=disable_excludes=*" in query


def test_what_is_offered(tmp_path: Path) -> None:
    packages, _runner = manager(tmp_path, {"repoquery": [fixture("repoquery"), ""], "rpm": (1, "", "")})
    assert packages.offered(["demo-sec", "demo-epoch", "nosuch"]) == {
        "demo-sec": Offer("3-1.el9", ("1-1.el9", "2-1.el9", "3-1.el9")),
        "demo-epoch": Offer("1:2-1.el9", ("1:1-1.el9", "1:2-1.el9")),
    }


@pytest.mark.parametrize(
    ("output", "targets", "said"),
    [
        ("install-missing", {"demo": "9-1.el9"}, r"\ANo match for argument: demo-9-1\.el9\Z"),
        (
            "install-held",
            {"demo-held": "2-1.el9"},
            r"matches only excluded packages\.\ndemo-held-2-1\.el9: excludepkgs in",
        ),
        (
            "install-locked",
            {"demo-sec": "3-1.el9"},
            r"excluded by versionlock\.\ndemo-sec-3-1\.el9: .*list of versionlock",
        ),
        ("install-broken", {"demo-broken": "2-1.el9"}, r"\AProblem: conflicting requests\n  - nothing provides absent"),
        # It goes on without what it does not take, and would install the rest.
        ("do-held", {"demo": "2-1.el9", "demo-held": None}, r"\AArgument 'demo-held' matches only excluded packages"),
        (
            "repository-refused",
            {"demo": "2-1.el9"},
            r"while the repository epel is not as it should be: it cannot be read",
        ),
    ],
)
def test_why_nothing_is_done(tmp_path: Path, output: str, targets: t.Dict[str, t.Optional[str]], said: str) -> None:
    packages, _runner = manager(tmp_path, {"--assumeno": (1, fixture(output), "")})
    with pytest.raises(Refused, match=said):
        packages.plan(Transaction(targets))


def test_installing_and_removing_at_once(tmp_path: Path) -> None:
    answers = {"--assumeno": (1, fixture("do-both"), ""), "--assumeyes": "Complete!\n"}
    packages, runner = manager(tmp_path, answers)
    packages.install(Transaction({"demo": "2-1.el9", "demo-excluded": None}))
    assert [call[-5:] for call in runner.calls] == [
        ["do", "--action=remove", "demo-excluded", "--action=install", "demo-2-1.el9"]
    ] * 2
    assert runner.stdins == [None, None]
    packages.plan(Transaction({"demo-excluded": None}))
    assert runner.calls[-1][-3:] == ["do", "--action=remove", "demo-excluded"]


def test_it_waits_for_locks(tmp_path: Path, clock: t.Any) -> None:
    packages, runner = manager(tmp_path, {"makecache": [(1, "", LOCKED), (1, LOCKED, ""), "Metadata cache created.\n"]})
    assert packages.refresh() == "" and len(runner.calls) == 3
    packages, _runner = manager(tmp_path, {"makecache": (1, "", LOCKED)}, lock_timeout=0)
    with pytest.raises(SlipwayError, match="holding a lock of the package manager for 0 s: Failed to obtain rpm"):
        packages.refresh()


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("fetch-not-signed", "its index is not signed (there is no repodata/repomd.xml.asc)"),
        ("fetch-wrong-key", "its index is not signed by the key given"),
        ("fetch-tampered", "its index is not signed by the key given"),
        ("fetch-corrupt", "its files are not those that its index names"),
        ("fetch-not-found", "there is no repository at this URL"),
        ("fetch-refused", "it cannot be reached (Could not connect to server"),
        ("fetch-unresolved", "it cannot be reached (Could not resolve hostname"),
    ],
)
def test_why_a_repository_is_not_fetched(tmp_path: Path, output: str, said: str) -> None:
    packages, _runner = manager(tmp_path, {"makecache": (1, fixture(output), "")})
    source = packages.source(Repository("x", "https://example.com/rpm"), 5)
    with pytest.raises(SlipwayError) as refusal, source.fetched(KEY):
        raise AssertionError("not reached")
    assert said in str(refusal.value)


def test_the_index_is_put_where_it_looks_for_it(tmp_path: Path) -> None:
    def fetch(words: t.List[str]) -> str:
        (cache,) = [word.partition("=system_cachedir=")[2] for word in words if "=system_cachedir=" in word]
        write(Path(cache), "slipway-x-0123456789abcdef/repodata/repomd.xml", "new")
        assert "--setopt=plugins=0" in words and "--setopt=disable_excludes=*" in words
        return fixture("fetch-good")

    packages, _runner = manager(tmp_path, {"makecache": fetch, "repoquery": fixture("repoquery")})
    with packages.source(Repository("x", "https://example.com/rpm"), 5).fetched(KEY) as index:
        assert index.manager.offered(["demo-sec"])["demo-sec"].candidate == "3-1.el9"
        index.keep()
    assert (tmp_path / "var/cache/libdnf5/slipway-x-0123456789abcdef/repodata/repomd.xml").read_text() == "new"


def test_a_list_of_versionlock_is_named(tmp_path: Path) -> None:
    packages, _runner = manager(tmp_path, {})
    write(tmp_path, "etc/dnf/versionlock.toml", 'version = "1.0"\n\n[[packages]]\nname = "demo-sec"\n')
    hint = "(others are hidden by dnf versionlock)"
    assert hint in packages.explain_missing("demo-sec", "3", Offer("2-1", ("2-1",)))
    assert hint not in packages.explain_missing("demo", "3", Offer("2-1", ("2-1",)))
