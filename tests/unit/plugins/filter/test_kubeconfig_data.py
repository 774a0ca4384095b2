# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.slipway.kubernetes.plugins.filter import kubeconfig_data as module
from ansible_collections.slipway.kubernetes.tests.unit.plugins import kubectl_config

OURS = kubectl_config.ADMIN.format(authority="QQ==", server="https://192.0.2.9:6443", key="a2V5")
kubeconfig_data = module.FilterModule().filters()["kubeconfig_data"]


def changed(**user: t.Any) -> str:
    config = yaml.safe_load(OURS)
    config["users"][0]["user"] = user
    return yaml.safe_dump(config)


def test_what_kubeadm_writes_stays_as_it_is() -> None:
    assert kubeconfig_data(OURS) == OURS
    assert kubeconfig_data("") == ""


@pytest.mark.parametrize("user", [{"token": "abc"}, {"username": "a", "password": "1"}, {}])
def test_other_data(user: t.Dict[str, str]) -> None:
    text = changed(**user)
    assert yaml.safe_load(kubeconfig_data(text)) == yaml.safe_load(text)


def test_what_is_there_twice_is_there_once() -> None:
    doubled = changed(token="abc").replace("users:", "users: [{name: a, user: {exec: {command: sh}}}]\nusers:")
    assert "exec" not in kubeconfig_data(doubled)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (changed(exec={"command": "sh"}), "it has exec"),
        (changed(**{"auth-provider": {"name": "gcp"}}), "it has auth-provider"),
        (changed(tokenFile="/home/somebody/.ssh/id_ed25519"), "it has tokenFile"),
        (changed(**{"client-key": "/etc/x.key"}), "it has client-key"),
        (changed(token="a").replace("  name: kub", "  exec: {}\n  name: kub"), "it has exec"),
        (OURS.replace("    client-key-data: a2V5\n", "    !!binary ZXhlYw==: {command: sh}\n"), "it has b'exec'"),
        (OURS + "\x1b[2J: 1\n", "it cannot be read"),
        (OURS + '"\\e[2J": 1\n', r"it has \\x1b\[2J"),
        (OURS + "---\n" + OURS, "it cannot be read"),
        ("[]", "it has another form"),
        (changed() + "clusters: [1]\n", "it has another form"),
        (changed() + "clusters: 1\n", "not iterable"),
        (changed() + "preferences: 2026-01-01\n", "not JSON serializable"),
    ],
)
def test_what_would_do_something_on_the_controller(text: str, said: str) -> None:
    with pytest.raises(AnsibleFilterError, match=f"is not kept on the controller: .*{said}"):
        kubeconfig_data(text)


def test_the_role_asks() -> None:
    role = Path(__file__).parents[4] / "roles/kubeconfig/tasks/main.yml"
    tasks = [task for task in yaml.safe_load(role.read_text("utf-8")) if task.get("delegate_to") == "localhost"]
    texts = [file["secret_content"] for task in tasks for file in task["slipway.kubernetes.config_files"]["files"]]
    assert texts and all("slipway.kubernetes.kubeconfig_data" in text for text in texts)
