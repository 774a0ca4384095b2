# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import pwd
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.slipway.kubernetes.plugins.module_utils import _kubeconfig
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
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
        self.root = root
        self.source = root / "admin.conf"
        self.source.write_text(SECRET, encoding="utf-8")
        for name in ("ada", "bob"):
            (root / name).mkdir()
        self._run_module = run_module
        self.runner = FakeRunner({"config view": kubectl_config.view}, tools=("kubectl",))
        monkeypatch.setattr(kubeconfig_copy, "Runner", lambda _module: self.runner)
        monkeypatch.setattr(pwd, "getpwnam", self._account)

    def _account(self, name: str) -> pwd.struct_passwd:
        if name not in ("ada", "bob", "homeless"):
            raise KeyError(name)
        return pwd.struct_passwd((name, "x", os.getuid(), os.getgid(), "", str(self.root / name), "/bin/sh"))

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
    monkeypatch.setattr(os, "chown", lambda path, uid, gid: owners.append((path, uid, gid)))
    monkeypatch.setattr(
        pwd, "getpwnam", lambda name: pwd.struct_passwd((name, "x", 4321, 4322, "", str(host.root / name), ""))
    )
    host.run("ada")
    assert [(uid, gid) for _path, uid, gid in owners] == [(4321, 4322)] * 2
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
    failed = host.run("homeless")
    assert failed["failed"] and failed["msg"].startswith(f"{host.config('homeless')} could not be written: ")
    host.config("ada").mkdir(parents=True)
    failed = host.run("ada")
    assert failed["msg"].startswith(f"{host.config('ada')} could not be written: ")
    assert os.listdir(host.config("ada").parent) == ["config"]


def test_only_earlier_copies_are_refreshed(host: Host) -> None:
    old, other, new = "a: 1\n  client-key-data: x\n", "b: 2\n  client-key-data: x\n", "a: 1\n  client-key-data: y\n"
    for name, content in (("ada", old), ("bob", other)):
        host.config(name).parent.mkdir()
        host.config(name).write_text(content)
    host.source.write_text(new)
    result = host.run("ada", "bob", only_copies=True)
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


def test_a_link_is_followed_unless_it_leads_to_another_users_file(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.source.write_text(admin())
    target = host.root / "dotfiles"
    target.write_text(OTHERS)
    host.config("ada").parent.mkdir()
    host.config("ada").symlink_to(target)
    host.run("ada")
    assert host.config("ada").is_symlink() and len(host.read("ada")["clusters"]) == 3
    assert (host.root / "dotfiles.before-slipway").read_text() == OTHERS
    monkeypatch.setattr(kubeconfig_copy, "_owner", lambda _path: 77)
    assert "belongs to another user" in host.run("ada")["msg"]


def test_what_kubectl_would_read_otherwise_is_not_written(host: Host) -> None:
    host.source.write_text(admin())
    host.has("ada", OTHERS)

    def view(argv: t.List[str]) -> t.Any:
        return "{}" if ".slipway-" in " ".join(argv) else kubectl_config.view(argv)

    host.runner.answers["config view"] = view
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
    assert _kubeconfig.merged(theirs, config()) == theirs
