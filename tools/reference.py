# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write docs/variables.md, the reference of all role variables, and the roles' README.md, from their argument_specs.

Also what docs/platforms.md says is assumed about distributions, from what check_platform.yml looks at.

With --check nothing is written; the exit code is 1 when a file is not what it should be.
"""

from __future__ import annotations

import argparse
import difflib
import json
import re
import sys
import typing as t
from pathlib import Path

import yaml

PROJECT = Path(__file__).resolve().parents[1]
HEAD = """\
# Variables

<!-- Made by `make docs` from roles/*/meta/argument_specs.yml: change them there. -->

Each variable can be set in the inventory, for all hosts, for a group or for one host. Names start with the name of
their role; those that several roles share are in [cluster](#cluster).
"""
# The order in which a run meets the roles; any other comes after them.
ORDER = (
    "cluster",
    "preflight",
    "node_prep",
    "kube_packages",
    "container_runtime",
    "control_plane",
    "node_join",
    "helm",
    "cni",
    "coredns",
    "metrics_server",
    "metallb",
    "addons",
    "kubeconfig",
    "verify",
)
# What systems are called in docs/platforms.md, and where its table is.
SYSTEMS = {"debian": "Debian, Ubuntu", "redhat": "RHEL family", "fedora": "Fedora", "amzn": "Amazon Linux"}
ASSUMPTIONS = re.compile(r"(<!-- assumptions: [^\n]* -->\n).*?(<!-- end of assumptions -->)", re.DOTALL)
# Ansible's markup and what it becomes, the first match wins.
MARKUP = (
    (re.compile(r"\b[CVE]\(((?:\\.|[^\\)])*)\)"), r"`\1`"),
    (re.compile(r"\bRV\(((?:\\.|[^\\)])*)\)"), r"`\1`"),
    # O(some.role#role:main:some_variable=value): readers need the variable only, whose name begins with the role's.
    (re.compile(r"\bO\((?:(?:[a-z0-9_.]+#role:)?[a-z_]+:)?((?:\\.|[^\\)])*)\)"), r"`\1`"),
    (re.compile(r"\bM\(([^)]*)\)"), r"`\1`"),
    (re.compile(r"\bP\(([^)#]*)#[a-z]+\)"), r"`\1`"),
    (re.compile(r"\bI\(([^)]*)\)"), r"*\1*"),
    (re.compile(r"\bB\(([^)]*)\)"), r"**\1**"),
    (re.compile(r"\bL\(([^,)]*), *([^)]*)\)"), r"[\1](\2)"),
    (re.compile(r"\bU\(([^)]*)\)"), r"<\1>"),
)

Option = t.Mapping[str, t.Any]


def markdown(text: str) -> str:
    """Turn Ansible's documentation markup into Markdown that fits into a table's cell."""
    for pattern, replacement in MARKUP:
        text = pattern.sub(replacement, text)
    text = re.sub(r"`([^`]*)`", lambda code: code.group(0).replace("\\)", ")").replace("\\\\", "\\"), text)
    return " ".join(text.split()).replace("|", "\\|")


def paragraphs(text: str | t.Sequence[str]) -> list[str]:
    """Return a description, which is a text or a list of texts, as a list."""
    return [text] if isinstance(text, str) else list(text)


def type_of(option: Option) -> str:
    """Name the type of an option, such as `list of str`."""
    kind = option.get("type", "str")
    return f"{kind} of {option['elements']}" if option.get("elements") else str(kind)


def default_of(option: Option, computed: t.Any = None) -> str:
    """Show the default of an option: its own or else the expression that defaults/main.yml computes it by."""
    if option.get("required"):
        return "required"
    value = option.get("default", computed)
    if value is None:
        return ""
    text = value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)
    text = " ".join(text.split())
    if len(text) > 100:
        return "see the role's defaults/main.yml"
    return f"`{text}`".replace("|", "\\|")


def rows(options: t.Mapping[str, Option], defaults: t.Mapping[str, t.Any], parent: str = "") -> t.Iterator[str]:
    """Write a table row for each option and, below it, for the fields of its elements."""
    for name, option in options.items():
        full = f"{parent}{name}"
        words = [markdown(text) for text in paragraphs(option.get("description", ""))]
        if option.get("choices"):
            words.append("One of " + ", ".join(f"`{choice}`" for choice in option["choices"]) + ".")
        yield f"| `{full}` | {type_of(option)} | {default_of(option, defaults.get(name))} | {' '.join(words)} |"
        inner = "[]." if option.get("type") == "list" else "."
        yield from rows(option.get("options") or {}, {}, f"{full}{inner}")


def role_section(role: str, specs: t.Mapping[str, t.Any], defaults: t.Mapping[str, t.Any]) -> list[str]:
    """Write the section of one role: its description and a table for each entry point that takes variables."""
    lines = [f"## {role}", ""]
    for number, (entry, spec) in enumerate(specs.items()):
        if number:
            lines += [f"### {role}: {entry}", ""]
        for text in [spec["short_description"] + ".", *paragraphs(spec.get("description", []))]:
            lines += [markdown(text), ""]
        if spec.get("options"):
            lines += ["| variable | type | default | what it does |", "|-|-|-|-|", *rows(spec["options"], defaults), ""]
    return lines


def readme(role: str, specs: t.Mapping[str, t.Any]) -> str:
    """Write the page of a role, which Galaxy asks for: what it does, how to use it, where its variables are."""
    spec = next(iter(specs.values()))
    words = [spec["short_description"] + ".", *paragraphs(spec.get("description", []))]
    lines = [f"# slipway.kubernetes.{role}", "", "<!-- Made by `make docs` from meta/argument_specs.yml. -->", ""]
    for text in words:
        lines += [markdown(text), ""]
    lines += [
        f"Its variables are in the [reference](../../docs/variables.md#{role}), and in the terminal by",
        f"`ansible-doc --type role slipway.kubernetes.{role}`.",
    ]
    return "\n".join(lines) + "\n"


def assumed(assumption: t.Mapping[str, t.Any]) -> str:
    """Write the row of what is assumed about distributions."""
    systems = [SYSTEMS[name] for name in assumption.get("systems", SYSTEMS)]
    where = ("all" if len(systems) == len(SYSTEMS) else ", ".join(systems)) + (
        ", nodes" if "built" in assumption else ""
    )
    cells = (assumption["name"], where, f"`{assumption['command']}`", assumption["means"])
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def platforms(project: Path) -> str:
    """Write the page about platforms anew: its table of assumptions is made, the rest stays."""
    page = (project / "docs/platforms.md").read_text(encoding="utf-8")
    assumptions = yaml.safe_load((project / "playbooks/vars/platform.yml").read_text(encoding="utf-8"))
    lines = ["| assumption | systems | command | expected |", "|-|-|-|-|", *map(assumed, assumptions["__assumptions"])]
    return ASSUMPTIONS.sub(lambda found: f"{found[1]}\n" + "\n".join(lines) + f"\n\n{found[2]}", page)


def render(project: Path) -> dict[Path, str]:
    """Write all pages."""
    roles = {path.parts[-3]: path.parents[1] for path in project.glob("roles/*/meta/argument_specs.yml")}
    order = [role for role in ORDER if role in roles] + sorted(set(roles).difference(ORDER))
    pages: dict[Path, str] = {}
    lines: list[str] = []
    for role in order:
        specs = yaml.safe_load((roles[role] / "meta/argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]
        defaults = roles[role] / "defaults/main.yml"
        known = yaml.safe_load(defaults.read_text(encoding="utf-8")) if defaults.exists() else None
        lines += role_section(role, specs, known or {})
        pages[roles[role] / "README.md"] = readme(role, specs)
    pages[project / "docs/platforms.md"] = platforms(project)
    return {project / "docs/variables.md": HEAD + "\n" + "\n".join(lines).rstrip() + "\n", **pages}


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="only compare")
    arguments = parser.parse_args()
    code = 0
    for path, wanted in render(PROJECT).items():
        present = path.read_text(encoding="utf-8") if path.exists() else ""
        if wanted == present:
            continue
        if arguments.check:
            name = str(path.relative_to(PROJECT))
            difference = difflib.unified_diff(present.splitlines(), wanted.splitlines(), name, "wanted", "", "", 0)
            print("\n".join(list(difference)[:20]))
            print(f"{name} is not up to date: run `make docs`")
            code = 1
        else:
            path.parent.mkdir(exist_ok=True)
            path.write_text(wanted, encoding="utf-8")
    return code


if __name__ == "__main__":
    sys.exit(main())
