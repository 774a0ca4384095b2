# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import sys

import pytest
from ansible_collections.slipway.kubernetes.plugins.plugin_utils import _containerd

if sys.version_info >= (3, 11):
    import tomllib as toml
else:
    toml = pytest.importorskip("tomli")

PAUSE = "registry.k8s.io/pause:3.10.2"


def test_merge_goes_into_dictionaries_and_replaces_the_rest():
    assert _containerd.merge({"a": {"b": 1, "c": [1]}, "d": 1}, {"a": {"c": [2]}, "d": {"e": 1}}) == {
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
    assert toml.loads(_containerd.to_toml(document)) == document


def test_toml_has_no_null():
    with pytest.raises(ValueError, match="leave the key out"):
        _containerd.to_toml({"a": None})


@pytest.mark.parametrize("version", ["1.6.20~ds1-1+deb12u1", "1.7.24", "1.7.27-0ubuntu1"])
def test_config_of_generation_1(version):
    text = _containerd.containerd_config(version, sandbox_image=PAUSE)
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
    config = toml.loads(_containerd.containerd_config(version, sandbox_image=PAUSE))
    assert config["version"] == 3
    plugins = config["plugins"]
    assert plugins["io.containerd.cri.v1.images"]["pinned_images"]["sandbox"] == PAUSE
    assert plugins["io.containerd.cri.v1.images"]["registry"]["config_path"] == "/etc/containerd/certs.d"
    assert plugins["io.containerd.cri.v1.runtime"]["containerd"]["runtimes"]["runc"]["options"]["SystemdCgroup"] is True


@pytest.mark.parametrize("version", ["1.7.24", "2.4.2"])
def test_without_a_sandbox_image_containerd_keeps_its_own(version):
    assert "sandbox" not in _containerd.containerd_config(version)


def test_overrides_win():
    text = _containerd.containerd_config("2.4.2", overrides={"debug": {"level": "debug"}, "version": 4})
    assert toml.loads(text)["debug"] == {"level": "debug"}
    assert toml.loads(text)["version"] == 4


@pytest.mark.parametrize("version", ["", "latest"])
def test_no_version(version):
    with pytest.raises(ValueError, match="is no version"):
        _containerd.containerd_config(version)


def test_hosts_of_a_mirror_with_a_path():
    (file,) = _containerd.registry_hosts({"registry.k8s.io": [{"url": "http://172.30.0.1:5000/v2/registry.k8s.io/"}]})
    assert file["path"] == "/etc/containerd/certs.d/registry.k8s.io/hosts.toml"
    assert file["mode"] == "0644"
    assert toml.loads(file["content"]) == {
        "server": "https://registry.k8s.io",
        "host": {
            "http://172.30.0.1:5000/v2/registry.k8s.io": {"capabilities": ["pull", "resolve"], "override_path": True}
        },
    }


def test_hosts_keep_the_order_of_mirrors_and_secrets_private():
    mirrors = [
        {"url": "https://b.example.com", "username": "u", "password": "p", "ca": "/etc/ssl/b.pem"},
        {"url": "https://a.example.com", "capabilities": ["pull"]},
    ]
    (file,) = _containerd.registry_hosts({"docker.io": mirrors}, config_path="/x")
    assert file["path"] == "/x/docker.io/hosts.toml"
    assert file["mode"] == "0600"
    assert "content" not in file
    hosts = toml.loads(file["secret_content"])
    assert hosts["server"] == "https://registry-1.docker.io"
    assert list(hosts["host"]) == ["https://b.example.com", "https://a.example.com"]
    assert hosts["host"]["https://b.example.com"]["header"] == {"Authorization": "Basic dTpw"}
    assert hosts["host"]["https://b.example.com"]["ca"] == "/etc/ssl/b.pem"
    assert "override_path" not in hosts["host"]["https://a.example.com"]


@pytest.mark.parametrize("url", ["mirror:5000", "ftp://mirror", "https://", ""])
def test_a_mirror_needs_a_url(url):
    with pytest.raises(ValueError, match=r"mirror .* of quay\.io is no http"):
        _containerd.registry_hosts({"quay.io": [{"url": url}]})
