# SPDX-License-Identifier: Apache-2.0
"""`habitus profile export` and `import`: a profile as YAML that lives in git, or as another tool's policy."""

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer
import yaml

from habitus.bus import Bus
from habitus.images import image_key
from habitus.text import printable
from habitus_console import profiles, terminal
from habitus_console.enforcement import habits, kubearmor, network, seccomp, tetragon
from habitus_console.enforcement.habits import Policy, PolicyFault, Target
from habitus_console.options import AsJson, ImageBegun, SettingsFile
from habitus_console.render import safe
from habitus_console.terminal import err

_WIDTH: Final = 110
_LARGEST: Final = 32 << 20


class Form(StrEnum):
    """What a profile is written as."""

    YAML = "yaml"
    JSON = "json"
    SECCOMP = "seccomp"
    NETWORK_POLICY = "networkpolicy"
    KUBEARMOR = "kubearmor"
    TETRAGON = "tetragon"


def add_to(app: typer.Typer) -> None:
    """Add the commands to `habitus profile`."""
    app.command("export")(export)
    app.command("import")(take)


def export(
    image: ImageBegun,
    form: Annotated[Form, typer.Option("--as", help="What to write.")] = Form.YAML,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="File; standard output if left out.")
    ] = None,
    selector: Annotated[
        list[str] | None, typer.Option(help="KEY=VALUE label of the Pods that a policy is for; repeatable.")
    ] = None,
    namespace: Annotated[str, typer.Option(help="Namespace of those Pods.")] = "default",
    *,
    enforce: Annotated[
        bool, typer.Option("--enforce", help="seccomp, kubearmor: refuse instead of log what was never seen.")
    ] = False,
    settings_file: SettingsFile = None,
    as_json: AsJson = False,
) -> None:
    """Write a profile as YAML, or as a policy that is never tighter than the profile."""
    labels = _labels(selector or [])

    async def write(bus: Bus) -> None:
        key = await profiles.named(bus, image)
        document = await profiles.document(bus, key)
        try:
            policy = _policy(document, form, Target(habits.name_of(key), namespace, labels), enforce=enforce)
        except PolicyFault as fault:
            terminal.fail(str(fault), terminal.EXIT_FAILED)
        for remark in policy.remarks:
            err.print(f"note: {safe(remark)}", markup=False, highlight=False)
        text = written(policy.document, Form.JSON if as_json else form)
        if output:
            output.write_text(text)
        else:
            sys.stdout.write(text)

    terminal.with_bus(terminal.load(settings_file), write)


def _policy(document: dict[str, Any], form: Form, target: Target, *, enforce: bool) -> Policy:
    if form is Form.SECCOMP:
        return seccomp.policy(document, enforce=enforce)
    if form is Form.NETWORK_POLICY:
        return network.policy(document, target)
    if form is Form.KUBEARMOR:
        return kubearmor.policy(document, target, enforce=enforce)
    if form is Form.TETRAGON:
        return tetragon.policy(document, target)
    return Policy(document, [])


def written(document: dict[str, Any], form: Form) -> str:
    if form in {Form.JSON, Form.SECCOMP}:
        return json.dumps(document, indent=2) + "\n"
    text = _yaml(document, allow_unicode=True)
    # YAML takes direction marks for printable: whoever reviews the file would be shown another order.
    hostile = any(printable(line) != line for line in text.split("\n"))
    return _yaml(document, allow_unicode=False) if hostile else text


def _yaml(document: dict[str, Any], *, allow_unicode: bool) -> str:
    return str(yaml.safe_dump(document, sort_keys=False, allow_unicode=allow_unicode, width=_WIDTH))


def take(
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="YAML or JSON of `export`.")
    ],
    image: Annotated[
        str | None,
        typer.Option("--image", help="Image that it is the profile of; else the one that it names."),
    ] = None,
    *,
    replace: Annotated[bool, typer.Option("--replace", help="Replace the profile that is there.")] = False,
    settings_file: SettingsFile = None,
    as_json: AsJson = False,
) -> None:
    """Take a profile that `export` wrote; the embedder makes its vectors anew."""
    document = read(file)
    key = image_key(image or str(document.get("image", "")))

    async def give(bus: Bus) -> None:
        await profiles.take(bus, key, document, replace=replace)
        if as_json:
            terminal.document({"operation": "import", "image_key": key, "state": document.get("state")})
        else:
            err.print(f"imported {safe(key)}", markup=False, highlight=False)

    terminal.with_bus(terminal.load(settings_file), give)


def read(file: Path) -> dict[str, Any]:
    """Read a document; a fault ends the command with one line."""
    if file.stat().st_size > _LARGEST:
        terminal.fail(f"{safe(str(file))}: more than {_LARGEST >> 20} MiB", terminal.EXIT_USAGE)
    try:
        document = yaml.safe_load(file.read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as fault:
        terminal.fail(
            f"{safe(str(file))}: not YAML: {safe(' '.join(str(fault).split()))}", terminal.EXIT_USAGE
        )
    if not isinstance(document, dict) or document.get("habitus") != "profile":
        terminal.fail(
            f"{safe(str(file))}: no profile: the key `habitus` must say `profile`", terminal.EXIT_USAGE
        )
    return document


def _labels(pairs: list[str]) -> dict[str, str]:
    for pair in pairs:
        if "=" not in pair:
            terminal.fail(f"--selector {safe(pair)}: not KEY=VALUE", terminal.EXIT_USAGE)
    return dict(pair.split("=", 1) for pair in pairs)
