# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What haproxy and keepalived are told of an endpoint of either family."""

from __future__ import annotations

import typing as t
from pathlib import Path

import jinja2
import pytest

TEMPLATES = Path(__file__).resolve().parents[3] / "roles" / "api_endpoint" / "templates"


def rendered(name: str, vip: str, prefix: int, *backends: str) -> str:
    """A template as Ansible renders it, for the first of the control planes."""
    machines: t.List[t.Dict[str, str]] = [{"name": f"cp{n}", "address": text} for n, text in enumerate(backends)]
    template = jinja2.Environment(trim_blocks=True, autoescape=True).from_string((TEMPLATES / name).read_text())
    return template.render(
        inventory_hostname="cp0",
        api_endpoint_vip=vip,
        api_endpoint_backends=machines,
        api_endpoint_password="s3cret",
        __api_endpoint_own=machines[0],
        __api_endpoint_prefix=prefix,
        __api_endpoint_interface="eth0",
        __api_endpoint_port=8443,
    )


@pytest.mark.parametrize(
    ("vip", "prefix", "backends", "bind", "password"),
    [
        ("192.0.2.9", 32, ("192.0.2.1", "192.0.2.2"), "bind *:8443", True),
        # Version 3 of VRRP has no password.
        ("2001:db8::9", 128, ("2001:db8::1", "2001:db8::2"), "bind [::]:8443", False),
    ],
)
def test_families(vip: str, prefix: int, backends: t.Tuple[str, str], bind: str, password: bool) -> None:
    text = rendered("keepalived.conf.j2", vip, prefix, *backends)
    assert f"    unicast_src_ip {backends[0]}\n    unicast_peer {{\n        {backends[1]}\n    }}\n" in text
    assert f"        {vip}/{prefix} dev eth0\n" in text and text.count("{") == text.count("}")
    assert ("auth_type PASS" in text, "s3cret"[:8] in text) == (password, password)
    assert "VRRP" not in text and bind in rendered("haproxy.cfg.j2", vip, prefix, *backends)
