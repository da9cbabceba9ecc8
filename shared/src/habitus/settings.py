# SPDX-License-Identifier: Apache-2.0
"""Settings: one TOML file and the environment (`HABITUS_<SECTION>_<KEY>`), checked at start.

The environment wins over the file. A key that does not exist is an error that names it.
"""

import os
import tomllib
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from habitus.console_settings import ConsoleSettings
from habitus.llm_settings import LlmSettings
from habitus.sections import Names, Paths, Section
from habitus.settings_faults import not_json, of_validation

PREFIX = "HABITUS_"
# Below these, names are many by nature.
PATH_CHILDREN: Final = {
    "/tmp": 8, "/var/tmp": 8, "/dev/shm": 8, "/var/log": 16, "/var/cache": 16, "/var/lib": 16,  # noqa: S108
}  # fmt: skip


class SettingsFault(ValueError):
    """Settings that cannot be used; the text names the offending key in one line."""


class NatsSettings(Section):
    """Where the broker is."""

    url: str = Field(default="nats://127.0.0.1:4222", description="server, or several by comma")
    token: str | None = Field(default=None, description="token, where the server asks for one")
    credentials: Path | None = Field(default=None, description="a .creds file")
    connect_timeout_s: float = Field(default=10, gt=0, description="give up at start after this")
    replicas: int = Field(default=1, ge=1, le=5, description="copies of each stream")


class LogSettings(Section):
    """What the services say of themselves."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    json_lines: bool = Field(default=False, description="one JSON object a line")


class CollectorSettings(Section):
    """What is watched on this node."""

    node: str = Field(default_factory=lambda: os.uname().nodename, description="this node's name")
    loader: str = Field(default="core", description="plugin of group habitus.loaders")
    sensors: Names = Field(
        default=["process", "file", "network", "uring", "cpu"],
        description="what is watched: process, file, network, uring, cpu",
    )
    objects: Path | None = Field(default=None, description="folder of the built *.bpf.o")
    replay_file: Path | None = Field(default=None, description="JSON Lines for the loader `replay`")
    discovery: Names = Field(
        default=["cri", "docker", "podman", "bundle"], description="plugins of habitus.discovery"
    )
    cri_sockets: Names = Field(
        default=[
            "/run/containerd/containerd.sock",
            "/run/crio/crio.sock",
            "/run/k3s/containerd/containerd.sock",
        ],
        description="CRI sockets tried in this order",
    )
    cri_events: bool = Field(
        default=True, description="follow events too; off with containerd 1.x and a kubelet's EventedPLEG"
    )
    docker_socket: Path = Path("/run/docker.sock")
    podman_socket: Path = Path("/run/podman/podman.sock")
    host_root: Path = Field(
        default=Path("/"), description="the node's file system, for the discovery `bundle`"
    )
    max_argv_bytes: int = Field(default=4096, ge=128, le=16384, description="argv beyond is cut")
    file_totals: bool = Field(
        default=True, description="what is read and written of open files is told, with sums at their close"
    )
    file_rung: Literal["auto", "fentry", "sys_exit"] = Field(
        default="auto",
        description="by which hooks files are seen; auto: fentry where the kernel takes it",
    )
    batch_events: int = Field(default=200, ge=1, le=10_000, description="events a message at most")
    batch_ms: int = Field(default=10, ge=1, le=10_000, description="a message waits this long at most")
    ring_mb: float | None = Field(
        default=None, gt=0, le=1024, description="room of each sensor's ring; None: what the sensor asks for"
    )
    verdict_cache: bool = Field(default=True, description="known events stay in the kernel")
    targets: list[dict[str, str]] = Field(
        default=[], description="watch only these: {namespace|label|image|container = pattern}, any of them"
    )
    cpu_every_s: float = Field(default=5, gt=0, description="window of the sensor `cpu`")
    spool: Path | None = Field(
        default=None,
        description="folder for events while the broker is away; None: spool in the state folder",
    )
    spool_mb: int = Field(default=256, ge=0, description="size of that folder at most; 0: no spool")


class ProfilerSettings(Section):
    """How profiles learn and when they are learned."""

    window_s: float = Field(default=3600, gt=0, description="sliding window of convergence")
    epsilon: int = Field(default=0, ge=0, description="new nodes + vectors allowed inside the window")
    min_events: int = Field(default=100, ge=1, description="events a profile must have seen")
    max_alerts_per_day: float = Field(
        default=10, ge=0, description="forecast of alerts a day above which it goes on learning; inf: any"
    )
    forecast_confidence: float = Field(
        default=0,
        ge=0,
        lt=1,
        description="0: the forecast itself must be below; 0.95: its upper bound, which takes "
        "3 / max_alerts_per_day days without news, and as long again before",
    )
    detect: Literal["evidence", "command"] = Field(
        default="evidence", description="what ends learning: the evidence, or `habitus profile detect` alone"
    )
    guard: Literal["auto", "on", "off"] = Field(
        default="auto",
        description="what high-confidence rules hit is not learned; auto: unless no scorer ever answered",
    )
    replicas: int = Field(
        default=1, ge=1, le=64, description="a habit counts when so many containers show it"
    )
    tuning_replicas: int = Field(
        default=3,
        ge=0,
        le=64,
        description="news scored low on so many replicas, and on half of them, becomes a mark; 0: never",
    )
    tuning_after_s: float = Field(default=86_400, gt=0, description="for how long it must be seen before")
    tuning_below: float = Field(default=20, ge=0, le=100, description="scores that count as low")
    snapshot_s: float = Field(default=5, gt=0, description="a dirty profile is kept this often")
    partitions: str = Field(default="0-31", description="partitions served by this process")
    max_children: int = Field(default=64, ge=2, description="siblings before they collapse")
    path_children: dict[str, Annotated[int, Field(ge=-1)]] = Field(
        default=PATH_CHILDREN, description="the same below a path; -1: never (sensitive places never do)"
    )
    max_vectors: int = Field(default=256, ge=1, description="vectors a leaf keeps at most")
    manuals: Path | None = Field(
        default=None,
        description="manual pages of your own: a folder of `*.page.toml`, which go before the built-in ones",
    )
    memory_mb: int = Field(
        default=0, ge=0, description="beyond, profiles without events leave memory until one comes; 0: any"
    )
    threshold: float | None = Field(
        default=None, ge=0, le=1, description="cosine; None takes the model's own"
    )


class EmbedderSettings(Section):
    """Which model turns texts into vectors."""

    model: str = Field(default="lexical", description="plugin of group habitus.models")
    path: Path | None = Field(default=None, description="folder of a model that has one; see `habitus model`")
    file: str | None = Field(default=None, description="graph in that folder, where it has several")
    served_name: str | None = Field(default=None, description="name for callers; None: the model's own")
    url: str | None = Field(
        default=None,
        pattern=r"^https?://\S+$",
        description="of `openai`: where TEI, infinity, vLLM are, with /v1",
    )
    key_file: Path | None = Field(default=None, description="of `openai`: file that holds the server's key")
    provider: Literal["cpu", "cuda", "tensorrt", "openvino", "rocm"] = Field(
        default="cpu", description="what ONNX Runtime runs on: cpu, cuda, tensorrt, openvino, rocm"
    )
    device: int = Field(default=0, ge=0, description="number of the GPU")
    threads: int = Field(default=0, ge=0, description="of one run; 0: every processor that we may use")
    numa_node: int | None = Field(default=None, ge=0, description="stay on this node's processors")
    spin: bool = Field(default=False, description="threads wait busily: faster alone, bad beside others")
    dimension: int | None = Field(default=None, ge=1, description="of a vector; None: the model's own")
    max_length: int | None = Field(default=None, ge=2, description="tokens of a text; None: 2048 at most")
    instruction: str | None = Field(
        default=None, max_length=2000, description="task said before each text, for models that take one"
    )
    threshold: float | None = Field(
        default=None, ge=-1, le=1, description="cosine that means the same; None: the model's own"
    )
    host: str = "127.0.0.1"
    port: int = Field(default=8601, ge=0, le=65535, description="HTTP; 0 takes a free one")
    max_batch: int = Field(default=64, ge=1, description="texts a run of the model")
    batch_tokens: int | None = Field(
        default=None, ge=1, description="texts × longest of a run, in tokens; None: the model's own"
    )
    queue: int = Field(default=4096, ge=1, description="texts waiting before `overloaded` is answered")
    cache: int = Field(default=16384, ge=0, description="vectors kept in memory, about 4 KiB each")
    shared_cache_mb: int = Field(
        default=256, ge=0, description="vectors kept in the broker for all embedders; 0: none"
    )


class ScorerSettings(Section):
    """Which engines score, with which weight, and when a person is told."""

    engines: Names = Field(
        default=["profile", "rule", "cluster", "llm"], description="plugins of habitus.engines, in order"
    )
    weights: dict[str, float] = Field(
        default={"rule": 40, "cluster": 20, "llm": 35, "profile": 5},
        description="points an engine can give",
    )
    default_weight: float = Field(default=20, gt=0, description="for an engine that `weights` lacks")
    timeout_s: float = Field(default=5, gt=0, description="an engine that takes longer abstains")
    alert_at: float = Field(default=40, ge=0, le=100, description="total from which a person is told")
    cooldown_s: float = Field(default=3600, ge=0, description="the same pattern folds into its incident")
    fold_across: bool = Field(
        default=True, description="the same deed in other containers of the image is the same incident"
    )
    rules: Paths = Field(default=[], description="further folders of Sigma rules")
    sinks: Names = Field(
        default=[], description="where alerts go: kinds of habitus.sinks, or names of tables of `sink`"
    )
    sink: dict[str, dict[str, Any]] = Field(
        default={}, description="tables by sink's name: kind, min_severity, language, … (docs/sinks.md)"
    )
    engine: dict[str, dict[str, Any]] = Field(default={}, description="tables for the engines themselves")


class Settings(BaseSettings):
    """All settings of all services; each service reads its own section."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="_",
        env_nested_max_split=1,
        extra="forbid",
        frozen=True,
    )

    nats: NatsSettings = NatsSettings()
    log: LogSettings = LogSettings()
    collector: CollectorSettings = CollectorSettings()
    profiler: ProfilerSettings = ProfilerSettings()
    embedder: EmbedderSettings = EmbedderSettings()
    scorer: ScorerSettings = ScorerSettings()
    llm: LlmSettings = LlmSettings()
    console: ConsoleSettings = ConsoleSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment first, then the file that HABITUS_SETTINGS names."""
        del dotenv_settings, file_secret_settings
        path = os.environ.get(f"{PREFIX}SETTINGS")
        toml = (TomlConfigSettingsSource(settings_cls, Path(path)),) if path else ()
        return (init_settings, env_settings, *toml)


def load(path: Path | None = None) -> Settings:
    """Read the settings from `path` (or HABITUS_SETTINGS) and the environment.

    Raises:
        SettingsFault: one line that names the file and the key.
    """
    if path is not None:
        os.environ[f"{PREFIX}SETTINGS"] = str(path)
    source = os.environ.get(f"{PREFIX}SETTINGS")
    _refuse_unknown_variables()
    try:
        if source and not Path(source).is_file():
            raise SettingsFault(f"settings file {source}: no such file")
        return Settings()
    except OSError as error:
        raise SettingsFault(f"settings file {source}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SettingsFault(f"settings file {source}: no TOML: {error}") from None
    except ValidationError as error:
        raise SettingsFault(of_validation(error, source, PREFIX)) from None
    except SettingsError as error:
        raise SettingsFault(not_json(Settings, PREFIX) or str(error)) from None


def _refuse_unknown_variables() -> None:
    sections = {*Settings.model_fields, "settings"}
    for variable in os.environ:
        section = variable.removeprefix(PREFIX).split("_", 1)[0].lower()
        if variable.startswith(PREFIX) and section not in sections:
            raise SettingsFault(
                f"environment variable {variable}: no such setting; sections are {_words(sections)}"
            )


def _words(names: set[str]) -> str:
    return ", ".join(sorted(names))
