# SPDX-License-Identifier: Apache-2.0
"""What the pages name exists: commands with their options, settings, files, headings."""

import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main

from habitus.settings import Settings
from habitus_console.cli import app

ROOT = Path(__file__).parents[2]
LISTED = ["git", "ls-files", "-co", "--exclude-standard", "*.md"]
NAMES = subprocess.run(LISTED, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
PAGES = {name: (ROOT / name).read_text() for name in NAMES}
COMMANDS = typer.main.get_command(app)
# Figures and decisions tell of the day on which they were written.
LIVING = [name for name in PAGES if not name.startswith(("docs/measured/", "docs/decisions/", "CHANGELOG"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")
SETTING = re.compile(rf"(?:{'|'.join(Settings.model_fields)})\.[a-z_]+")


def fenced(text: str, *kinds: str) -> Iterator[str]:
    return (body for kind, body in FENCE.findall(text) if kind in kinds)


def prose(text: str) -> str:
    return FENCE.sub("", text)


def words_of(line: str) -> list[str]:
    """The words of one command, without comment, variables, pipe and the marks of what is optional."""
    plain = re.sub(r"[\[\]…]", " ", line.split(" # ", maxsplit=1)[0]).split("|")[0]
    words = shlex.split(plain)
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        words.pop(0)
    return words


def check(words: list[str]) -> object:
    """Walk from the root to the command that `words` name, check its options, and return the last group."""
    node, group, words = COMMANDS, COMMANDS, words[1:]
    while words and hasattr(node, "commands") and not words[0].startswith("-"):
        group = node
        assert words[0] in node.commands, f"no command {words[0]!r}"
        node = node.commands[words.pop(0)]
    group = node if hasattr(node, "commands") else group
    options = {spelling for one in node.params for spelling in (*one.opts, *one.secondary_opts)}
    given = [word.split("=")[0] for word in words if word.startswith("-") and word != "-"]
    assert set(given) <= options | {"--help", "-h"}, f"{given} of {node.name}"
    return group


def cells(text: str) -> Iterator[list[str]]:
    """The code spans that stand together: those of a table's cell, else of a paragraph's line."""
    for line in prose(text).splitlines():
        for part in line.split(" | ") if line.startswith("|") else [line]:
            yield SPAN.findall(part)


@pytest.mark.parametrize("name", LIVING)
def test_every_command_that_a_page_names_exists_with_its_options(name):
    for body in fenced(PAGES[name], "sh", "bash", "console"):
        for line in body.replace("\\\n", " ").splitlines():
            words = words_of(line)
            if words[:1] == ["habitus"]:
                check(words)
    for spans in cells(PAGES[name]):
        group = None
        for span in spans:
            if span.startswith("habitus "):
                group = check(words_of(span))
            elif group is not None and name.startswith("README") and not span.startswith("-"):
                # `habitus alerts ack`, `benign`: of the same group; `alerts show`: from the root
                first = words_of(span)[:1]
                inside = first and first[0] in group.commands
                if first and re.fullmatch(r"[a-z]+", first[0]):
                    check(["habitus", *([group.name] if inside else []), *words_of(span)])


@pytest.mark.parametrize("name", LIVING)
def test_every_target_of_make_that_a_page_names_exists(name):
    shown = [*fenced(PAGES[name], "sh", "bash", "console"), *SPAN.findall(prose(PAGES[name]))]
    target = re.compile(r"^make ([a-z-]+)(?![a-z-…])", re.MULTILINE)
    named = {found for text in shown for found in target.findall(text) if not found.endswith("-")}
    there = re.findall(r"^([a-z-]+):.* ## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert named - set(there) == set()


def test_the_index_of_the_documentation_names_every_page():
    pages = {Path(name).name for name in PAGES if re.fullmatch(r"docs/[^/]+\.md", name)} - {"README.md"}
    assert pages <= set(LINK.findall(PAGES["docs/README.md"]))


@pytest.mark.parametrize("name", LIVING)
def test_every_setting_that_a_page_names_exists(name):
    known = {f"{section}.{key}" for section, key in keys()}
    variables = {f"HABITUS_{one.replace('.', '_').upper()}" for one in known} | {"HABITUS_SETTINGS"}
    named = set(re.findall(r"HABITUS_[A-Z_]*[A-Z]\b", PAGES[name]))
    assert named - variables == set()
    dotted = {span for span in SPAN.findall(prose(PAGES[name])) if SETTING.fullmatch(span)}
    assert {one for one in dotted if not one.endswith((".py", ".md", ".toml", ".db"))} - known == set()


@pytest.mark.parametrize("name", LIVING)
def test_every_example_of_settings_is_accepted(name, tmp_path, monkeypatch):
    for body in fenced(PAGES[name], "toml"):
        tables = tomllib.loads(body)
        if set(tables) <= set(Settings.model_fields):
            Settings(**tables)


@pytest.mark.parametrize("name", list(PAGES))
def test_every_link_of_a_page_leads_somewhere(name):
    for target in LINK.findall(prose(PAGES[name])):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, heading = target.partition("#")
        file = (ROOT / name).parent / path if path else ROOT / name
        assert file.exists(), target
        if heading:
            assert heading in headings(file.read_text()), target


def test_both_readmes_list_the_same_commands():
    assert listed(PAGES["README.md"]) == listed(PAGES["README.zh-CN.md"])


def test_every_group_of_commands_stands_in_the_readme():
    named = {words[0] for words in listed(PAGES["README.md"])}
    assert named == set(COMMANDS.commands)


def listed(text: str) -> set[tuple[str, ...]]:
    """The commands of the table, each from the root on."""
    found: set[tuple[str, ...]] = set()
    for line in text.splitlines():
        group = ""
        for span in SPAN.findall(line.split(" | ")[0]) if line.startswith("| `habitus ") else []:
            words = [word for word in words_of(span) if re.fullmatch("[a-z]+", word)]
            if words[:1] == ["habitus"]:
                words = words[1:]
                group = words[0]
            elif words and words[0] not in COMMANDS.commands:
                words = [group, *words]
            found.add(tuple(words))
    return found - {()}


def keys() -> Iterator[tuple[str, str]]:
    for section, field in Settings.model_fields.items():
        yield from ((section, key) for key in type(field.default).model_fields)


def headings(text: str) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    titles = re.findall(r"^#+ (.+)$", prose(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
