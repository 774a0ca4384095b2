# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import itertools
import json
import os
import pwd
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.slipway.kubernetes.plugins.module_utils import _module
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import kubeconfig
from ansible_collections.slipway.kubernetes.plugins.modules import kubeconfig_copy
from ansible_collections.slipway.kubernetes.tests.unit.plugins import kubectl_config
from ansible_collections.slipway.kubernetes.tests.unit.plugins.kubectl_config import OTHERS, admin
from ansible_collections.slipway.kubernetes.tests.unit.plugins.package_fakes import FakeRunner
from ansible_collections.slipway.kubernetes.tests.unit.plugins.utils import ModuleRunner

NAMES = ("clusters", "users", "contexts")
SECRET = "client-key-data: c2VjcmV0 Ä\n"


class Host:
    """A host with users whose homes are folders of the test."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch, run_module: ModuleRunner) -> None:
        self.root, self.owner = root, os.getuid()
        self.source = root / "admin.conf"
        self.source.write_text(SECRET, encoding="utf-8")
        for name in ("ada", "bob"):
            (root / name).mkdir()
        self._run_module = run_module
        self.runner = FakeRunner({"config view": kubectl_config.view}, tools=("kubectl",))
        monkeypatch.setattr(_module, "Runner", lambda _module: self.runner)
        monkeypatch.setattr(pwd, "getpwnam", self._account)

    def _account(self, name: str) -> pwd.struct_passwd:
        if name not in ("ada", "bob", "homeless"):
            raise KeyError(name)
        return pwd.struct_passwd((name, "x", self.owner, os.getgid(), "", str(self.root / name), "/bin/sh"))

    def config(self, name: str) -> Path:
        return self.root / name / ".kube" / "config"

    def has(self, name: str, text: str) -> Path:
        path = self.config(name)
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600)
        return path

    def read(self, name: str) -> t.Dict[str, t.Dict[str, t.Any]]:
        """What there is of each kind, by name."""
        found = yaml.safe_load(self.config(name).read_text("utf-8"))
        kinds = {kind: {entry["name"]: entry[kind[:-1]] for entry in found[kind]} for kind in NAMES}
        return {**kinds, "current": found["current-context"]}

    def run(self, *users: str, check: bool = False, **options: t.Any) -> t.Dict[str, t.Any]:
        given = {"source": str(self.source), "users": list(users), **options}
        return self._run_module(kubeconfig_copy.main, given, check=check)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_module: ModuleRunner) -> Host:
    return Host(tmp_path, monkeypatch, run_module)


def test_check_run_and_again(host: Host) -> None:
    checked = host.run("ada", "bob", check=True)
    assert checked["changed"] and not host.config("ada").parent.exists()
    result = host.run("ada", "bob")
    assert result["changed_paths"] == checked["changed_paths"] == [str(host.config("ada")), str(host.config("bob"))]
    assert result["diff"] == checked["diff"]
    for name in ("ada", "bob"):
        assert host.config(name).read_text("utf-8") == SECRET
        assert host.config(name).stat().st_mode & 0o7777 == 0o600
        assert host.config(name).parent.stat().st_mode & 0o7777 == 0o700
        assert os.listdir(host.config(name).parent) == ["config"]
    for check in (True, False):
        again = host.run("ada", "bob", check=check)
        assert (again["changed"], again["changed_paths"], again["diff"]) == (False, [], [])


def test_drift_of_one_copy(host: Host) -> None:
    host.run("ada", "bob")
    host.config("bob").chmod(0o644)
    assert host.run("ada", "bob")["changed_paths"] == [str(host.config("bob"))]
    assert host.config("bob").stat().st_mode & 0o7777 == 0o600
    host.source.write_text("client-key-data: new")
    assert len(host.run("ada", "bob")["changed_paths"]) == 2
    assert host.config("ada").read_text() == "client-key-data: new"


def test_owner(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    owners: t.List[t.Tuple[str, int, int]] = []
    monkeypatch.setattr(
        os, "fchown", lambda handle, uid, gid: owners.append((os.readlink(f"/proc/self/fd/{handle}"), uid, gid))
    )
    monkeypatch.setattr(
        pwd, "getpwnam", lambda name: pwd.struct_passwd((name, "x", os.getuid(), 4322, "", str(host.root / name), ""))
    )
    host.run("ada")
    assert [(uid, gid) for _path, uid, gid in owners] == [(os.getuid(), 4322)] * 2
    assert owners[0][0] == str(host.config("ada").parent)
    # The copy belongs to somebody else still, as chown did nothing.
    assert host.run("ada", check=True)["changed"]


def test_content_is_returned_only_when_asked_for(host: Host) -> None:
    result = host.run("ada")
    assert "content" not in result and "c2VjcmV0" not in json.dumps(result)
    assert host.run("ada", return_content=True)["content"] == SECRET
    assert "c2VjcmV0" not in json.dumps(host.run("bob", return_content=True)["diff"])


def test_source_that_is_absent(host: Host) -> None:
    host.source.unlink()
    result = host.run("ada", check=True, return_content=True)
    assert (result["changed"], result["content"]) == (True, "")
    assert host.run("ada")["msg"] == f"{host.source} does not exist on this host: is it a control plane?"
    assert not host.config("ada").exists()


def test_all_unknown_users_are_named_before_anything_is_written(host: Host) -> None:
    assert "There is no user eve, joe on this host" in host.run("ada", "eve", "joe")["msg"]
    assert not host.config("ada").exists()
    with pytest.raises(SlipwayError):
        kubeconfig_copy.accounts(["eve"])


def test_home_that_is_absent(host: Host) -> None:
    for check in (True, False):
        failed = host.run("ada", "homeless", check=check)
        assert failed["failed"] and failed["msg"].startswith("homeless has no home, ")
    # All are looked at before the first is changed.
    assert not host.config("ada").exists()
    host.config("ada").mkdir(parents=True)
    failed = host.run("ada")
    assert failed["msg"].startswith(f"{host.config('ada')} cannot be read: it is no file.")
    assert os.listdir(host.config("ada").parent) == ["config"]


def test_only_earlier_copies_are_refreshed(host: Host) -> None:
    old, other, new = "a: 1\n  client-key-data: x\n", "b: 2\n  client-key-data: x\n", "a: 1\n  client-key-data: y\n"
    for name, content in (("ada", old), ("bob", other)):
        host.config(name).parent.mkdir()
        host.config(name).write_text(content)
    host.source.write_text(new)
    # A user who has left has no copy, and keeps no other control plane from being renewed.
    result = host.run("ada", "bob", "eve", only_copies=True)
    assert result["changed_paths"] == [str(host.config("ada"))]
    assert (host.config("ada").read_text(), host.config("bob").read_text()) == (new, other)
    host.config("bob").unlink()
    assert not host.run("ada", "bob", only_copies=True)["changed"]


# A user's file with something else in it


def test_other_clusters_of_a_user_stay_and_ours_is_merged_in(host: Host) -> None:
    host.source.write_text(admin())
    path = host.has("ada", OTHERS)
    before = host.read("ada")
    checked = host.run("ada", check=True)
    assert (checked["changed_paths"], path.read_text("utf-8")) == ([str(path)], OTHERS)
    assert os.listdir(path.parent) == ["config"]
    done = host.run("ada")
    assert done["copies"] == [f"{path}.before-slipway"] and done["copies"][0] in str(done["warnings"])
    assert Path(done["copies"][0]).read_text("utf-8") == OTHERS
    after = host.read("ada")
    assert after.pop("current") == before.pop("current") == "shop"
    for kind, entries in before.items():
        assert entries.items() <= after[kind].items()
    # Their "lab" is another cluster, so ours has another name.
    [name] = set(after["clusters"]) - set(before["clusters"])
    assert name.startswith("lab-") and after["clusters"][name]["server"] == "https://192.0.2.1:6443"
    assert {key: after["contexts"][name][key] for key in ("cluster", "user")} == {
        "cluster": name,
        "user": f"{name}-admin",
    }
    assert path.stat().st_mode & 0o777 == 0o600
    for check in (True, False):
        again = host.run("ada", check=check)
        assert (again["changed"], again["copies"]) == (False, [])
    assert sorted(os.listdir(path.parent)) == ["config", "config.before-slipway"]


def test_ours_has_the_clusters_name_when_nobody_else_has_it(host: Host) -> None:
    host.source.write_text(admin())
    host.has("ada", OTHERS.replace("lab", "garden").replace("current-context: shop", ""))
    host.run("ada")
    after = host.read("ada")
    assert after["contexts"]["lab"]["user"] == "lab-admin" and after["current"] == "lab"


def test_what_a_user_has_added_to_our_copy_stays(host: Host) -> None:
    """Its entries are ours; a renewal and a new endpoint reach them, a namespace does not go."""
    host.source.write_text(admin(server="https://192.0.2.7:8443", key="Qg=="))
    mine = admin().replace("    user: kubernetes-admin\n", "    user: kubernetes-admin\n    namespace: shop\n")
    host.has("ada", mine)
    host.run("ada")
    after = host.read("ada")
    assert set(after["clusters"]) == {"lab"} and set(after["users"]) == {"kubernetes-admin"}
    assert after["contexts"]["kubernetes-admin@lab"]["namespace"] == "shop"
    assert after["clusters"]["lab"]["server"] == "https://192.0.2.7:8443"
    assert after["users"]["kubernetes-admin"]["client-key-data"] == "Qg=="
    assert not host.run("ada")["changed"]


def test_a_renewal_reaches_what_was_merged_and_no_other_file(host: Host) -> None:
    host.source.write_text(admin())
    host.has("ada", OTHERS)
    host.run("ada")
    host.has("bob", OTHERS)
    host.source.write_text(admin(key="Qg=="))
    result = host.run("ada", "bob", only_copies=True)
    assert (result["changed_paths"], result["copies"]) == ([str(host.config("ada"))], [])
    assert "Qg==" in [user.get("client-key-data") for user in host.read("ada")["users"].values()]
    assert host.config("bob").read_text("utf-8") == OTHERS


def test_clusters_that_share_a_home_do_not_take_each_others_entries(host: Host) -> None:
    """Two clusters of one name, whose control planes have the same homes: each comes, and comes again."""
    texts = {server: admin(server, f"https://{server}:6443") for server in ("192.0.2.1", "198.51.100.1")}
    host.has("ada", OTHERS.replace("lab", "garden"))
    for server in [*texts, *texts]:
        host.source.write_text(texts[server])
        host.run("ada")
    after = host.read("ada")
    assert set(after["clusters"]) > {"garden", "lab", "shop"} and len(after["clusters"]) == 4
    assert {f"https://{server}:6443" for server in texts} < {one["server"] for one in after["clusters"].values()}
    assert not host.run("ada")["changed"]
    # The second one keeps its name when the first one's is free.
    host.has("ada", host.config("ada").read_text("utf-8").replace("name: lab\n", "name: old\n"))
    assert not host.run("ada")["changed"]


@pytest.mark.parametrize("admin_of", [{"authority": "rebuilt"}, {"server": "https://192.0.2.7:6443"}])
def test_our_own_entry_follows_the_cluster(host: Host, admin_of: t.Dict[str, str]) -> None:
    """A cluster that was built anew has another authority, one that has moved another address."""
    host.source.write_text(admin())
    host.has("ada", OTHERS.replace("lab", "garden"))
    host.run("ada")
    host.source.write_text(admin(**admin_of))
    host.run("ada")
    after = host.read("ada")
    assert set(after["clusters"]) == {"garden", "lab", "shop"}
    assert after["clusters"]["lab"]["server"] == admin_of.get("server", "https://192.0.2.1:6443")


def test_the_file_of_a_cluster_that_was_here_before_is_replaced_and_kept(host: Host) -> None:
    host.source.write_text(admin())
    host.has("ada", admin("an earlier one"))
    assert host.run("ada")["copies"] == [f"{host.config('ada')}.before-slipway"]
    assert host.config("ada").read_text() == admin()
    # At another address it is another cluster.
    host.has("bob", admin("another", "https://192.0.2.3:6443"))
    host.run("bob")
    assert len(host.read("bob")["clusters"]) == 2


@pytest.mark.parametrize("text", ["not: [yaml", "apiVersion: v1\nkind: Pod\n", "shell script"])
def test_a_file_that_cannot_be_read_is_refused_before_anything_is_written(host: Host, text: str) -> None:
    host.source.write_text(admin())
    host.has("bob", text)
    message = host.run("ada", "bob")["msg"]
    assert str(host.config("bob")) in message and "take bob out of kubeconfig_users" in message
    assert not host.config("ada").exists() and host.config("bob").read_text() == text
    assert not host.run("bob", only_copies=True)["changed"]


def test_names_that_are_all_taken_are_refused(host: Host) -> None:
    host.source.write_text(admin())
    host.has("ada", OTHERS)
    host.run("ada")
    taken = host.config("ada").read_text("utf-8").replace("name: slipway.kubernetes", "name: somebody")
    host.has("ada", taken)
    assert "of somebody else" in host.run("ada")["msg"]
    assert host.config("ada").read_text("utf-8") == taken


def test_a_link_is_followed_to_what_is_the_users(host: Host) -> None:
    host.source.write_text(admin())
    target = host.root / "dotfiles"
    target.write_text(OTHERS)
    host.config("ada").parent.mkdir()
    host.config("ada").symlink_to(target)
    assert host.run("ada")["copies"] == [f"{target}.before-slipway"]
    assert host.config("ada").is_symlink() and len(host.read("ada")["clusters"]) == 3
    assert (host.root / "dotfiles.before-slipway").read_text() == OTHERS
    # A folder that is not there yet is made where the link leads.
    (host.root / "bob/.kube").symlink_to(host.root / "elsewhere")
    host.run("bob")
    assert (host.root / "elsewhere/config").read_text() == admin()
    assert (host.root / "elsewhere").stat().st_mode & 0o777 == 0o700


def test_a_home_behind_a_link_is_the_administrators_choice(host: Host) -> None:
    (host.root / "bob").rename(host.root / "disk")
    (host.root / "bob").symlink_to(host.root / "disk")
    host.run("bob")
    assert host.config("bob").read_text("utf-8") == SECRET


@pytest.mark.parametrize(
    "what", ["the source", "nothing", "nothing in nothing", "an empty file", "a folder", "a hard link"]
)
def test_nothing_of_others_is_written_or_given_away(host: Host, what: str) -> None:
    """Root's file and another user's: neither by a link of the file, nor of its folder."""
    host.source.write_text(admin())
    host.owner = 4321
    victim = host.root / "victim"
    (host.root / "victim").mkdir()
    kube = host.root / "ada/.kube"
    if what == "a folder":
        (victim / "config").write_text(OTHERS)
        kube.symlink_to(victim)
    else:
        kube.mkdir()
        target = {"the source": host.source, "nothing in nothing": victim / "a/b/preload"}.get(what, victim / "preload")
        if what == "an empty file":
            target.touch()
        if what == "a hard link":
            target.write_text(OTHERS)
            os.link(target, kube / "config")
        else:
            (kube / "config").symlink_to(target)
    before = {
        path: (path.stat().st_uid, path.is_file() and path.read_text())
        for path in host.root.rglob("*")
        if path.exists()
    }
    for check in (True, False):
        message = host.run("ada", check=check)["msg"]
        assert str(host.config("ada")) in message and "take ada out of kubeconfig_users" in message
    # A renewal leaves it alone, and goes on.
    assert not host.run("ada", only_copies=True)["changed"]
    after = {
        path: (path.stat().st_uid, path.is_file() and path.read_text())
        for path in host.root.rglob("*")
        if path.exists()
    }
    assert after == before


def test_a_link_of_the_sources_owner_to_the_source_is_as_it_shall_be(host: Host) -> None:
    host.source.write_text(admin())
    host.source.chmod(0o640)
    host.config("ada").parent.mkdir()
    host.config("ada").symlink_to(host.source)
    assert not host.run("ada")["changed"]
    assert host.source.stat().st_mode & 0o777 == 0o640 and host.source.read_text() == admin()


def test_a_link_that_is_made_while_the_file_is_read_is_not_followed(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.source.write_text(admin())
    host.has("ada", OTHERS)
    monkeypatch.setattr(os.path, "realpath", str)
    host.config("ada").unlink()
    host.config("ada").symlink_to(host.source)
    assert "cannot be read: Too many levels of symbolic links" in host.run("ada")["msg"]


def test_a_pipe_holds_nobody_up(host: Host) -> None:
    host.config("ada").parent.mkdir()
    os.mkfifo(host.config("ada"))
    assert "cannot be read: it is no file" in host.run("ada")["msg"]


def test_a_copy_that_is_a_link_is_not_written_through(host: Host) -> None:
    host.source.write_text(admin())
    path = host.has("ada", OTHERS)
    other = host.root / "theirs"
    other.write_text(OTHERS)
    (path.parent / "config.before-slipway").symlink_to(other)
    (path.parent / "config.before-slipway.2").write_text("an earlier one")
    assert host.run("ada")["copies"] == [f"{path}.before-slipway.3"]
    assert Path(f"{path}.before-slipway.3").stat().st_mode & 0o777 == 0o600


def test_an_address_that_a_user_has_changed_is_put_back_and_kept(host: Host) -> None:
    """A tunnel, or an endpoint of ours that has moved: nobody can tell."""
    host.source.write_text(admin())
    tunnel = admin(server="https://localhost:16443")
    path = host.has("ada", tunnel)
    for _run in range(2):
        assert host.run("ada")["copies"] == [f"{path}.before-slipway"]
        assert (path.read_text(), Path(f"{path}.before-slipway").read_text()) == (admin(), tunnel)
        path.write_text(tunnel)
    # A renewal alone is nothing to keep.
    host.has("bob", admin(key="Qg=="))
    assert host.run("bob")["copies"] == []


def test_what_kubectl_would_read_otherwise_is_not_written(host: Host) -> None:
    host.source.write_text(admin())
    host.has("ada", OTHERS)

    calls = itertools.count()
    # After the source and the user's file comes what is to be written.
    host.runner.answers["config view"] = lambda argv: kubectl_config.view(argv) if next(calls) < 2 else "{}"
    assert "kubectl reads something else" in host.run("ada")["msg"]
    assert host.config("ada").read_text("utf-8") == OTHERS


def test_without_a_source_other_files_are_said_to_change(host: Host) -> None:
    host.source.unlink()
    host.has("ada", OTHERS)
    assert host.run("ada", check=True)["changed"]
    host.source.write_text("apiVersion: v1\nkind: Config\n")
    assert "no cluster with a CA of its own" in host.run("ada")["msg"]


def test_extensions_of_others_are_where_kubectl_has_them() -> None:
    """A file with ours and one of a later name is as it shall be, and is not written again each time."""

    def config(*extensions: str) -> t.Dict[str, t.Any]:
        more: t.Dict[str, t.Any] = {}
        if extensions:
            more = {"extensions": [{"name": name, "extension": {"managed": True}} for name in extensions]}
        return {
            "clusters": [{"name": "lab", "cluster": {"certificate-authority-data": "QQ==", **more}}],
            "users": [{"name": "admin", "user": {"token": "t", **more}}],
            "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "admin", **more}}],
            "current-context": "lab",
        }

    theirs = config("a.example", "slipway.kubernetes", "vendor.example")
    assert kubeconfig.merged(theirs, config()) == theirs
