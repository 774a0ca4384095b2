# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime
import re
import sys

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils._documents import merged
from ansible_collections.slipway.kubernetes.plugins.module_utils._runtimes import containerd
from ansible_collections.slipway.kubernetes.plugins.module_utils._runtimes.registry_mirrors import authority
from ansible_collections.slipway.kubernetes.plugins.module_utils._toml import to_toml

if sys.version_info >= (3, 11):
    import tomllib as toml
else:
    toml = pytest.importorskip("tomli")

PAUSE = "registry.k8s.io/pause:3.10.2"


def test_merge_goes_into_dictionaries_and_replaces_the_rest():
    assert merged({"a": {"b": 1, "c": [1]}, "d": 1}, {"a": {"c": [2]}, "d": {"e": 1}}) == {
        "a": {"b": 1, "c": [2]},
        "d": {"e": 1},
    }


def test_toml_survives_a_round_trip():
    document = {
        "version": 2,
        "flag": True,
        "ratio": 0.5,
        "names": ["a", 'quo"te'],
        "tables": {"io.x.v1": {"empty": {}, "text": "back\\slash\nline"}, "plain-key": {"inline": [{"a": 1}]}},
    }
    assert toml.loads(to_toml(document)) == document


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"a": None}, "a is null, which TOML has not: leave the key out"),
        ({"plugins": {"cri": {"list": [{"x": None}]}}}, "plugins.cri.list[0].x is null"),
        ({"plugins": {"cri": {1: "x"}}}, "plugins.cri has the key 1, which is no text"),
        ({"plugins": {True: {}}}, "plugins has the key True, which is no text"),
        ({1: 2}, "the key 1 is no text"),
        ({"a": [{2: 2}]}, "a[0] has the key 2, which is no text"),
        ({"a": {"since": datetime.date(2026, 1, 2)}}, "a.since is a date, which is no text, number"),
        ({"a": {"b": float("inf")}}, "a.b is inf, which is no text, number"),
        ({"a": {"b": object()}}, "a.b is something, which is no text"),
        ({"a": float("nan")}, "a is nan, which is no text, number"),
    ],
)
def test_what_toml_cannot_say(document, expected):
    with pytest.raises(ValueError, match=re.escape(expected)):
        to_toml(document)


@pytest.mark.parametrize("version", ["1.6.20~ds1-1+deb12u1", "1.7.24", "1.7.27-0ubuntu1"])
def test_config_of_generation_1(version):
    text = containerd.containerd_config(version, sandbox_image=PAUSE)
    assert text.startswith("# Ansible managed")
    config = toml.loads(text)
    cri = config["plugins"]["io.containerd.grpc.v1.cri"]
    assert config["version"] == 2
    assert cri["sandbox_image"] == PAUSE
    assert cri["containerd"]["runtimes"]["runc"]["options"]["SystemdCgroup"] is True
    assert cri["containerd"]["runtimes"]["runc"]["runtime_type"] == "io.containerd.runc.v2"
    assert cri["registry"]["config_path"] == "/etc/containerd/certs.d"
    assert cri["cni"]["bin_dir"] == "/opt/cni/bin"


@pytest.mark.parametrize("version", ["2.4.2", "2.4.2-1", "2.0.5-0ubuntu1", "1:2.1.3"])
def test_config_of_generation_2(version):
    config = toml.loads(containerd.containerd_config(version, sandbox_image=PAUSE))
    assert config["version"] == 3
    plugins = config["plugins"]
    assert plugins["io.containerd.cri.v1.images"]["pinned_images"]["sandbox"] == PAUSE
    assert plugins["io.containerd.cri.v1.images"]["registry"]["config_path"] == "/etc/containerd/certs.d"
    assert plugins["io.containerd.cri.v1.runtime"]["containerd"]["runtimes"]["runc"]["options"]["SystemdCgroup"] is True


@pytest.mark.parametrize("version", ["1.6.20~ds1-1+deb12u1", "1.7.24", "2.0.5-0ubuntu1", "1:2.1.3"])
def test_layers_are_on_the_disk_when_they_are_there(version):
    """Power that fails after a pull would leave empty files, which no pull mends. 1.6 cannot be told."""
    plugins = toml.loads(containerd.containerd_config(version))["plugins"]
    of_cri, of_diff = (plugins.get(name, {}) for name in (containerd._CRI, containerd._DIFF))
    assert of_cri.get("image_pull_with_sync_fs", False) is version.startswith("1.7")
    assert of_diff == ({} if version.startswith("1.") else {"sync_fs": True})
    if of_diff:
        off = {"plugins": {containerd._DIFF: {"sync_fs": False}}}
        assert "sync_fs = false" in containerd.containerd_config(version, overrides=off)


@pytest.mark.parametrize("version", ["1.7.24", "2.4.2"])
def test_without_a_sandbox_image_containerd_keeps_its_own(version):
    assert "sandbox" not in containerd.containerd_config(version)


def test_overrides_win():
    text = containerd.containerd_config("2.4.2", overrides={"debug": {"level": "debug"}, "version": 4})
    assert toml.loads(text)["debug"] == {"level": "debug"}
    assert toml.loads(text)["version"] == 4


@pytest.mark.parametrize("version", ["", "latest"])
def test_no_version(version):
    with pytest.raises(ValueError, match="is no version"):
        containerd.containerd_config(version)


def test_hosts_of_a_mirror_with_a_path():
    (file,) = containerd.registry_hosts({"registry.k8s.io": [{"url": "http://172.30.0.1:5000/v2/registry.k8s.io/"}]})
    assert file["path"] == "/etc/containerd/certs.d/registry.k8s.io/hosts.toml"
    assert file["mode"] == "0644"
    assert toml.loads(file["content"]) == {
        "server": "https://registry.k8s.io",
        "host": {
            "http://172.30.0.1:5000/v2/registry.k8s.io": {"capabilities": ["pull", "resolve"], "override_path": True}
        },
    }


def test_hosts_keep_the_order_of_mirrors_and_have_no_login():
    mirrors = [
        {"url": "https://b.example.com", "username": "u", "password": "p", "ca": "/etc/ssl/b-on-nodes.pem"},
        {"url": "https://a.example.com", "capabilities": ["pull"]},
    ]
    (file,) = containerd.registry_hosts({"docker.io": mirrors}, config_path="/x")
    assert (file["path"], file["mode"]) == ("/x/docker.io/hosts.toml", "0644")
    hosts = toml.loads(file["content"])
    assert hosts["server"] == "https://registry-1.docker.io"
    assert list(hosts["host"]) == ["https://b.example.com", "https://a.example.com"]
    assert "header" not in hosts["host"]["https://b.example.com"]
    assert hosts["host"]["https://b.example.com"]["ca"] == "/etc/ssl/b-on-nodes.pem"
    assert "override_path" not in hosts["host"]["https://a.example.com"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"url": "https://m/v2/x"}, True),
        ({"url": "https://m/v2/x", "override_path": True}, True),
        ({"url": "https://m/x", "override_path": False}, None),
        ({"url": "https://m"}, None),
        ({"url": "https://m/"}, None),
        ({"url": "https://m", "override_path": True}, True),
    ],
)
def test_override_path_is_honoured_as_given(given, expected):
    (file,) = containerd.registry_hosts({"quay.io": [given]})
    ((_url, host),) = toml.loads(file["content"])["host"].items()
    assert host.get("override_path") is expected


def test_mirrors_of_any_registry_have_no_server():
    (file,) = containerd.registry_hosts({"_default": [{"url": "https://m"}]})
    assert list(toml.loads(file["content"])) == ["host"]
    assert file["path"].endswith("/certs.d/_default/hosts.toml")


LOGIN = {"url": "https://m.example.com:5000/v2/x", "username": "u", "password": 'p"\\\x7fé\U0001f600'}


@pytest.mark.parametrize(
    ("version", "plugin"), [("1.6.20", "io.containerd.grpc.v1.cri"), ("2.4.2", "io.containerd.cri.v1.images")]
)
def test_logins_stand_in_the_configuration_by_the_host_of_the_mirror(version, plugin):
    mirrors = {"docker.io": [LOGIN, {"url": "https://other"}], "quay.io": [LOGIN]}
    config, *hosts = containerd.containerd_files(version, mirrors)
    registry = toml.loads(config["secret_content"])["plugins"][plugin]["registry"]
    login = {"username": "u", "password": LOGIN["password"]}
    assert registry == {"config_path": "/etc/containerd/certs.d", "configs": {"m.example.com:5000": {"auth": login}}}
    assert (config["mode"], "content" in config) == ("0600", False)
    assert [file["mode"] for file in hosts] == ["0644", "0644"]
    assert not any("Basic" in file["content"] or LOGIN["password"] in file["content"] for file in hosts)


def test_only_passwords_make_a_configuration_secret():
    (config,) = containerd.containerd_files("2.4.2", {}, overrides={"debug": {"level": "debug"}})
    assert (config["mode"], "content" in config) == ("0644", True)
    auth = {"plugins": {"x": {"registry": {"configs": {"m": {"auth": {"password": "p"}}}}}}}
    header = {"plugins": {"x": {"registry": {"headers": {"Authorization": ["Basic dTpw"]}}}}}
    for overrides in (auth, header):
        (config,) = containerd.containerd_files("2.4.2", {}, overrides=overrides)
        assert (config["mode"], "content" in config) == ("0600", False)


def test_one_host_has_one_login():
    with pytest.raises(ValueError, match=r"m\.example\.com:5000 have several logins") as error:
        containerd.registry_logins({"docker.io": [LOGIN], "quay.io": [{**LOGIN, "password": "another"}]})
    assert "another" not in str(error.value)


@pytest.mark.parametrize("version", ["1.6.20", "1.7.24", "2.4.2"])
def test_drop_ins_of_others_are_imported(version):
    assert toml.loads(containerd.containerd_config(version))["imports"] == ["/etc/containerd/conf.d/*.toml"]


PEM = "-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----"


def test_the_authority_of_a_mirror_is_put_on_nodes(tmp_path):
    path = tmp_path / "ca.crt"
    path.write_text(PEM)
    mirrors = {"docker.io": [{"url": "https://a", "ca": PEM}, {"url": "https://b", "ca": str(path)}]}
    first, second, hosts = containerd.registry_hosts(mirrors)
    assert first["content"] == second["content"] == containerd.MANAGED + PEM + "\n"
    paths = [file["path"] for file in (first, second)]
    assert paths == [f"/etc/containerd/certs.d/docker.io/slipway-{number}.crt" for number in (1, 2)]
    assert [host["ca"] for host in toml.loads(hosts["content"])["host"].values()] == paths


@pytest.mark.parametrize("text", ["no certificate", f"{PEM}\n-----BEGIN RSA PRIVATE KEY-----\nc2VjcmV0\n"])
def test_a_file_that_is_no_authority_gets_to_no_node(tmp_path, text):
    path = tmp_path / "ca.crt"
    path.write_text(text)
    for given in (str(path), f"{text}\n-----"):
        with pytest.raises(ValueError, match=r"no certificate|private key") as error:
            authority({"ca": given})
        assert "c2VjcmV0" not in str(error.value)


@pytest.mark.parametrize("url", ["https://u:hunter2@m", "u:hunter2@m", "https://u:hunter2@[m", "ftp://u:hunter2@m"])
def test_a_password_in_a_url_is_not_shown(url):
    with pytest.raises(ValueError, match="is no http") as error:
        containerd.registry_hosts({"quay.io": [{"url": url}]})
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize(
    "url", ["mirror:5000", "ftp://mirror", "https://", "", "https://a/b c", " https://a", "https://a\n", "https://a?b"]
)
def test_a_mirror_needs_a_url(url):
    with pytest.raises(ValueError, match=r"(?s)mirror .* of quay\.io is no http"):
        containerd.registry_hosts({"quay.io": [{"url": url}]})
