# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``kubectl config view --raw --output=json`` for tests, as kubectl 1.32 does it, and kubeconfigs."""

from __future__ import annotations

import base64
import json
import typing as t
from pathlib import Path

import yaml

ADMIN = """\
apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: {authority}
    server: {server}
  name: lab
contexts:
- context:
    cluster: lab
    user: kubernetes-admin
  name: kubernetes-admin@lab
current-context: kubernetes-admin@lab
kind: Config
users:
- name: kubernetes-admin
  user:
    client-certificate-data: {key}
    client-key-data: {key}
"""
#: What somebody has, with the names that kubeadm gives.
OTHERS = """\
# mine
apiVersion: v1
kind: Config
clusters:
- name: shop
  cluster: {server: "https://192.0.2.9:6443", certificate-authority: certs/shop.crt}
- name: lab
  cluster: {server: "https://192.0.2.10:6443", certificate-authority-data: QQ==}
users:
- name: kubernetes-admin
  user: {client-certificate-data: QQ==, client-key-data: QQ==}
- name: sso
  user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: ./login, args: ["on", "-1", "ä: b"]}}
contexts:
- name: kubernetes-admin@lab
  context: {cluster: lab, user: kubernetes-admin, namespace: x}
- name: shop
  context: {cluster: shop, user: sso}
current-context: shop
preferences: {colors: true}
"""


def pem(word: str) -> str:
    """A certificate, as far as anybody looks into it here."""
    body = base64.b64encode(word.encode()).decode()
    return f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n"


def admin(authority: str = "ours", server: str = "https://192.0.2.1:6443", key: str = "QQ==") -> str:
    """kubeadm's admin.conf."""
    return ADMIN.format(authority=base64.b64encode(pem(authority).encode()).decode(), server=server, key=key)


def view(argv: t.List[str]) -> t.Any:
    """What kubectl prints, or its return code with what it says."""
    [path] = [word.partition("=")[2] for word in argv if word.startswith("--kubeconfig=")]
    assert {"config", "view", "--raw", "--output=json"} <= set(argv)
    try:
        found = yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {}
        assert isinstance(found, dict) and found.get("kind", "Config") == "Config"
    except (OSError, ValueError, yaml.YAMLError, AssertionError):
        return (1, "", "error: error loading config file")
    shown = {"kind": "Config", "apiVersion": "v1", "preferences": found.get("preferences") or {}}
    for kind in ("cluster", "user", "context"):
        named = {entry["name"]: entry.get(kind) or {} for entry in found.get(f"{kind}s") or []}
        shown[f"{kind}s"] = [{"name": name, kind: named[name]} for name in sorted(named)] or None
    return json.dumps({**shown, "current-context": found.get("current-context") or ""})
