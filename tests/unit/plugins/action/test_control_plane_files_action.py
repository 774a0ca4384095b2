# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action that reads files on the controller."""

from __future__ import annotations

import types
import typing as t
import unittest.mock
from pathlib import Path

from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible_collections.slipway.kubernetes.plugins.action import control_plane_files


def run(inventory: Path, *files: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
    """The arguments of the module, or the failure."""
    loader = DataLoader()
    loader.set_vault_secrets([("default", VaultSecret(b"open sesame"))])
    args = {"files": list(files)}
    task = types.SimpleNamespace(action="x", args=args, async_val=0, check_mode=False)
    mock = unittest.mock.MagicMock
    action = control_plane_files.ActionModule(task, mock(), mock(), loader, mock(), mock())
    with unittest.mock.patch.object(action, "_execute_module", return_value={}) as execute:
        result = action.run(task_vars={"inventory_dir": str(inventory)})
    return execute.call_args.kwargs["module_args"] if execute.called else result


def test_texts_come_from_the_folder_of_the_inventory(tmp_path: Path) -> None:
    (tmp_path / "audit.yaml").write_text("rules: []\n")
    assert run(tmp_path, {"name": "a", "source": "audit.yaml", "mode": "0644"})["files"] == [
        {"name": "a", "content": "rules: []\n", "mode": "0644"}
    ]


def test_a_file_from_the_vault_is_handed_over_as_a_secret(tmp_path: Path) -> None:
    vault = VaultLib([("default", VaultSecret(b"open sesame"))])
    (tmp_path / "keys.yaml").write_bytes(vault.encrypt("keys: []\n"))
    entry = {"name": "a", "source": str(tmp_path / "keys.yaml"), "secret": "yes"}
    assert run(tmp_path, entry)["files"] == [{"name": "a", "secret_content": "keys: []\n", "secret": "yes"}]
    assert run(tmp_path, {"name": "a", "content": "b", "secret": False})["files"][0]["content"] == "b"


def test_what_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for entry, expected in (
        ({"name": "a", "source": "none"}, "none does not exist on the controller"),
        ({"name": "a", "source": "."}, "is a folder"),
        ({"name": "a", "source": "binary"}, "is no text in UTF-8"),
        ({"name": "a", "source": "binary", "content": "b"}, "a has both"),
    ):
        result = run(tmp_path, entry)
        assert result["failed"] and expected in result["msg"]
