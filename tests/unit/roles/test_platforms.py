# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What differs by family or distribution: each role knows all that are supported, and what it makes of them."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import jinja2
import pytest
import yaml
from ansible_collections.slipway.kubernetes.plugins.module_utils._node.node_facts import parse_os_release
from ansible_collections.slipway.kubernetes.plugins.module_utils._runtimes import RUNTIMES
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.checks.machines import ARCHITECTURES

ROLES = Path(__file__).resolve().parents[3] / "roles"


def of_role(name: str, file: str = "vars") -> t.Dict[str, t.Any]:
    """The variables of a role."""
    return dict(yaml.safe_load((ROLES / name / file / "main.yml").read_text(encoding="utf-8")))


def compiled(template: str, **known: t.Any) -> t.Any:
    """The value of a variable that is one expression, as Ansible has it."""
    environment = jinja2.Environment(autoescape=False, undefined=jinja2.ChainableUndefined)
    environment.filters["regex_replace"] = lambda text, pattern, new: re.sub(pattern, new, text)
    environment.tests["version"] = lambda text, other, _sign: float(text) >= float(other)
    return environment.compile_expression(template.strip()[2:-2])(**known)


def entry_of(role: str, **known: t.Any) -> t.Any:
    """What a role takes of its table."""
    given = of_role(role)
    return compiled(given[f"__{role}_platform"], **{f"__{role}_platforms": given[f"__{role}_platforms"], **known})


TABLES = {
    "kube_packages": of_role("kube_packages")["__kube_packages_platforms"],
    "node_prep": of_role("node_prep")["__node_prep_platforms"],
    "api_endpoint": of_role("api_endpoint")["__api_endpoint_platforms"],
    **{name: of_role("container_runtime")["__container_runtime_platforms"][name] for name in RUNTIMES},
}


#: Distributions that are like another one by their ``ID_LIKE``; others are a family by themselves.
LIKES = {
    **{"almalinux": "rhel centos fedora", "amzn": "fedora", "centos": "rhel fedora", "ol": "fedora", "rhel": "fedora"},
    **{"rocky": "rhel centos fedora", "ubuntu": "debian"},
}


def system(name: str, version: str = "") -> t.Dict[str, t.Any]:
    """What node_facts says of a distribution."""
    return parse_os_release(f'ID="{name}"\nID_LIKE="{LIKES.get(name, "")}"\nVERSION_ID="{version}"\n')


@pytest.mark.parametrize("table", TABLES)
def test_each_role_knows_both_families_and_else_distributions_that_are_supported(table: str) -> None:
    supported = of_role("preflight", "defaults")["preflight_supported_os"]
    assert list(TABLES[table])[:2] == ["debian", "redhat"]
    assert {*TABLES[table]} <= {*supported, "redhat"}
    role, known = ("container_runtime", {"container_runtime_provider": table}) if table in RUNTIMES else (table, {})
    for name in supported:
        own = TABLES[table].get(name) or TABLES[table][system(name)["family"]]
        assert entry_of(role, cluster_node={"os": system(name)}, **known) == own, name
    # Ansible validates variables of roles before anything was looked at.
    assert entry_of(role, cluster_node={}, **known) == TABLES[table]["debian"]


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_packages_of_a_runtime_are_those_of_its_sources(runtime: str) -> None:
    known = {source: entry.package for source, entry in RUNTIMES[runtime].sources.items()}
    for entry in TABLES[runtime].values():
        assert entry["packages"] and entry["packages"].items() <= known.items()


@pytest.mark.parametrize(
    ("name", "sources", "folder", "repository"),
    [
        ("debian", ["distribution", "docker"], "debian", ["components", "suite"]),
        ("rocky", ["docker"], "centos", ["path"]),
        ("fedora", ["distribution", "docker"], "fedora", ["path"]),
        ("amzn", ["distribution"], "amzn", []),
    ],
)
def test_where_containerd_comes_from(name: str, sources: t.List[str], folder: str, repository: t.List[str]) -> None:
    entry = entry_of("container_runtime", cluster_node={"os": system(name)}, container_runtime_provider="containerd")
    assert sorted(entry["packages"]) == sorted(entry["generations"]) == sources
    assert sorted(entry.get("repository", {})) == repository
    assert entry.get("distribution", system(name)["id"]) == folder
    assert ("key_file" in entry) == ("docker" in sources)


def packages(name: str, version: str, kernel: str, joined: bool, proxy_mode: str = "nftables") -> t.Any:
    """What node_prep installs on a machine."""
    node = {"os": {**system(name, version), "kernel": kernel}, "kubernetes": {"joined": joined}}
    known: t.Dict[str, t.Any] = {"cluster_node": node, "__node_prep_platforms": TABLES["node_prep"]}
    known["cluster_kube_proxy_mode"] = proxy_mode
    for variable in ("platform", "has_extra_modules", "kernel", "packages"):
        known[f"__node_prep_{variable}"] = compiled(of_role("node_prep")[f"__node_prep_{variable}"], **known)
    return known["__node_prep_packages"]


@pytest.mark.parametrize(
    ("name", "version", "kernel", "joined", "extra"),
    [
        ("rocky", "9.6", "5.14.0-570.12.1.el9_6.x86_64", False, None),
        ("almalinux", "10.0", "6.12.0-55.12.1.el10_0.x86_64", False, "6.12.0-55.12.1.el10_0"),
        # It may have been upgraded, and not booted yet.
        ("almalinux", "10.0", "6.12.0-55.12.1.el10_0.x86_64", True, "*"),
        ("ol", "10", "6.12.0-100.28.2.el10uek.x86_64", False, None),
        # These have all modules with the kernel, whatever number their versions have.
        ("fedora", "44", "6.19.2-300.fc44.x86_64", False, None),
        ("amzn", "2023", "6.12.20-23.97.amzn2023.x86_64", False, None),
    ],
)
def test_what_these_distributions_leave_out(
    name: str, version: str, kernel: str, joined: bool, extra: t.Optional[str]
) -> None:
    common = [{"name": "iproute-tc"}, {"name": "container-selinux"}]
    modules = [{"name": "kernel-modules-extra", "version": extra}] if extra else []
    assert packages(name, version, kernel, joined) == [*common, *modules]
    assert packages("debian", "13", "6.12.38+deb13-amd64", joined) == []
    assert packages("debian", "13", "6.12.38+deb13-amd64", joined, "ipvs") == [{"name": "ipset"}, {"name": "ipvsadm"}]


def test_the_folder_of_haproxys_sockets_is_made_where_its_package_makes_none() -> None:
    path = "/etc/systemd/system/haproxy.service.d/slipway.conf"
    assert {family: entry["haproxy_has_folder"] for family, entry in TABLES["api_endpoint"].items()} == {
        "debian": True,
        "redhat": False,
    }
    role = ROLES / "api_endpoint"
    tasks = yaml.safe_load((role / "tasks/main_keepalived.yml").read_text(encoding="utf-8"))
    written = [file["path"] for file in tasks[1]["slipway.kubernetes.config_files"]["files"]]
    # Files that are absent are left out of the module's `paths`, so this one has to come last.
    assert written.index(path) == len(written) - 1 == 4
    units = [task["slipway.kubernetes.systemd_unit"] for task in tasks if "slipway.kubernetes.systemd_unit" in task]
    assert [unit["restart_after"] for unit in units] == [
        f"{{{{ __api_endpoint_configured.paths[{places}] }}}}" for places in ("4:", "2:4", "2:4")
    ]
    assert "RuntimeDirectory=haproxy" in (role / "templates/haproxy.service.conf.j2").read_text(encoding="utf-8")
    assert path in of_role("node_reset", "defaults")["node_reset_services"][1]["files"]


def test_each_machine_gets_helm_for_its_architecture() -> None:
    url = jinja2.Environment(autoescape=False).from_string(of_role("helm", "defaults")["helm_archive_url"])
    name = jinja2.Environment(autoescape=False).from_string(of_role("helm")["__helm_architecture"])
    for architecture in ARCHITECTURES:
        known = name.render(cluster_node={"os": {"architecture": architecture}})
        assert url.render(helm_download_url="https://h", helm_version="3.22.0", __helm_architecture=known) == (
            f"https://h/helm-v3.22.0-linux-{architecture}.tar.gz"
        )


def test_each_machine_gets_cri_dockerd_for_its_architecture() -> None:
    defaults = of_role("container_runtime", "defaults")
    url = jinja2.Environment(autoescape=False).from_string(defaults["container_runtime_cri_dockerd_url"])
    name = of_role("container_runtime")["__container_runtime_architecture"]
    for architecture in ARCHITECTURES:
        known = jinja2.Environment(autoescape=False).from_string(name)
        given = {
            **{key: value for key, value in defaults.items() if "cri_dockerd" in key},
            "__container_runtime_architecture": known.render(cluster_node={"os": {"architecture": architecture}}),
        }
        version = defaults["container_runtime_cri_dockerd_version"]
        assert url.render(given).endswith(f"/download/v{version}/cri-dockerd-{version}.{architecture}.tgz")
        assert url.render({**given, "container_runtime_cri_dockerd_package": "cri-dockerd"}) == ""


def test_nothing_else_names_an_architecture() -> None:
    """Repositories of apt give what dpkg asks for, those of dnf have $basearch, images have one index for all."""
    words = re.compile(r"amd64|arm64|x86_64|aarch64")
    files = [*ROLES.glob("*/*/*"), *ROLES.parent.glob("playbooks/**/*.yml")]
    texts = {path: path.read_text(encoding="utf-8") for path in files if path.is_file()}
    found = {str(path.relative_to(ROLES)) for path, text in texts.items() if words.search(text)}
    roles = ("cni", "container_runtime", "helm", "kube_packages")
    assert found == {f"{role}/vars/main.yml" for role in roles}
