"""`tinybms-ctl mqtt`: look at the topics, the discovery messages and the way to the broker."""

from __future__ import annotations

import sys
from importlib import metadata
from typing import Annotated, Final

import msgspec
import typer

from tinybms_config.model import Config
from tinybms_ctl.mqtt_check import mqtt_check
from tinybms_ctl.mqtt_talk import BrokerTalk, TalkError
from tinybms_ctl.options import ConfigOption, JsonOption, load_or_exit, print_json, say
from tinybms_mqtt_out.announcer import Memory
from tinybms_mqtt_out.announcing import load_memory, memory_file
from tinybms_mqtt_out.discovery import Battery, Discovery
from tinybms_mqtt_out.manifest import manifest
from tinybms_mqtt_out.publication import Kind, Publication
from tinybms_mqtt_out.root import root_topic
from tinybms_mqtt_out.statuses import retained_topics
from tinybms_mqtt_out.topics import value_topics
from tinybms_mqtt_out.transport import ConnectError
from tinybms_mqtt_out.values import qos_of
from tinybms_runtime.lock import holder_pid
from tinybms_runtime.paths import Paths
from tinybms_runtime.statefile import write_atomic

ALL_CELLS: Final = 16
SEARCH_S: Final = 2.0

mqtt_app = typer.Typer(no_args_is_help=True, help="Topics, discovery and the MQTT broker.")


@mqtt_app.command("manifest")
def show_manifest(
    config: ConfigOption = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="As published, as JSON.")] = False,
) -> None:
    """List every topic with its unit, TinyBMS register and GX registers."""
    settings = _settings(config)
    mqtt = settings.mqtt
    battery = _memory(settings).battery
    cells = battery.cell_count if battery is not None and battery.cell_count else ALL_CELLS
    topics = value_topics(cells, legacy=mqtt.legacy_topics, groups=mqtt.groups)
    root = _root(settings)
    if as_json:
        document = manifest(topics, root=root, qos_of=lambda topic: qos_of(topic, mqtt))
        sys.stdout.write(msgspec.json.format(document, indent=2).decode() + "\n")
        return
    for topic in topics:
        gx = ",".join(str(row.register) for row in topic.gx) or "-"
        address = "-" if topic.address is None else topic.address
        print(
            f"{root}/{topic.suffix:<36} {topic.unit or '-':<6} TinyBMS {address:<4} GX {gx:<8} "
            f"QoS {qos_of(topic, mqtt)}  {topic.label}"
        )


@mqtt_app.command("discovery")
def discovery(
    config: ConfigOption = None,
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the messages instead of publishing them.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Announce the battery to Home Assistant now, or print what would be announced."""
    settings = _settings(config)
    battery = _memory(settings).battery
    if battery is None:
        say("no battery has been seen yet, so there is nothing to announce; start the gateway once")
        raise typer.Exit(1)
    documents = _discovery(settings).documents(battery)
    if dry_run and as_json:
        print_json({topic: msgspec.Raw(one.payload) for topic, one in documents.items()}, indent=2)
        return
    if dry_run:
        for topic, document in documents.items():
            print(topic)
            print(msgspec.json.format(document.payload, indent=2).decode())
        return
    with _talk(settings) as talk:
        _publish(talk, [_retained(topic, one.payload) for topic, one in documents.items()])
    if as_json:
        print_json({"announced": list(documents)})
    else:
        print(f"announced {len(documents)} topics")


@mqtt_app.command("forget")
def forget(config: ConfigOption = None, *, as_json: JsonOption = False) -> None:
    """Take back what was announced to Home Assistant and, when stopped, all that is retained."""
    settings = _settings(config)
    memory, announcements = _memory(settings), _discovery(settings)
    topics = set(memory.announced)
    running = holder_pid(Paths.of(settings).lock("mqtt_out")) is not None
    words = () if running else retained_topics(_root(settings))
    with _talk(settings) as talk:
        topics |= _found(talk, announcements, memory.battery, words)
        _publish(talk, [_retained(topic, b"") for topic in sorted(topics)])
    left = msgspec.structs.replace(memory, announced={})
    if left != memory:
        _write(settings, left)
    if as_json:
        print_json({"withdrawn": sorted(topics)})
    else:
        for topic in sorted(topics):
            print(f"withdrawn: {topic}")
        print(f"{len(topics)} topics withdrawn")
    if running:
        say(f"mqtt_out runs: stop it to withdraw what it retains below {_root(settings)} too")
    if settings.mqtt.discovery:
        say("a running mqtt_out announces again at its next connection: mqtt.discovery = false")


@mqtt_app.command("test")
def check(config: ConfigOption = None, *, as_json: JsonOption = False) -> None:
    """Try the way to the broker step by step. Exit code 1 when a step fails."""
    settings = _settings(config)
    if not settings.mqtt.enabled:
        say("mqtt.enabled = false: the gateway itself does not connect")
    if as_json:
        findings = list(mqtt_check(settings))
        print_json(findings, indent=2)
        raise typer.Exit(0 if all(finding.ok for finding in findings) else 1)
    failed = False
    for finding in mqtt_check(settings):
        print(f"{'ok  ' if finding.ok else 'FAIL'} {finding.step:<8} {finding.text}", flush=True)
        if not finding.ok:
            failed = True
            print(f"              {finding.advice}", flush=True)
    if failed:
        raise typer.Exit(1)


def _settings(option: str | None) -> Config:
    return load_or_exit(option)[1].config


def _root(settings: Config) -> str:
    return root_topic(settings.mqtt.root_topic, settings.gateway.device)


def _discovery(settings: Config) -> Discovery:
    return Discovery(settings, _root(settings), version=metadata.version("tinybms-gateway"))


def _memory(settings: Config) -> Memory:
    file = memory_file(Paths.of(settings))
    try:
        return load_memory(file)
    except (OSError, msgspec.DecodeError) as error:
        say(f"{file} is of no use: {error}")
        return Memory()


def _write(settings: Config, memory: Memory) -> None:
    file = memory_file(Paths.of(settings))
    try:
        write_atomic(file, msgspec.json.encode(memory), durable=True)
    except OSError as error:
        say(f"{file} can't be written: {error.strerror}")


def _talk(settings: Config) -> BrokerTalk:
    try:
        talk = BrokerTalk(settings.mqtt, will_topic=f"{_root(settings)}/test")
        talk.log_in()
    except (ConnectError, TalkError) as error:
        say(f"{error}; for more: tinybms-ctl mqtt test")
        raise typer.Exit(1) from error
    return talk


def _publish(talk: BrokerTalk, publications: list[Publication]) -> None:
    try:
        talk.publish(publications)
    except TalkError as error:
        say(f"{error}; for more: tinybms-ctl mqtt test")
        raise typer.Exit(1) from error


def _found(
    talk: BrokerTalk, announcements: Discovery, battery: Battery | None, words: tuple[str, ...]
) -> set[str]:
    """Announcements of ours that the broker has, whatever we remember, and retained `words`."""
    for filters in filter(None, (announcements.searches(battery), words)):
        try:
            talk.subscribe(filters)
        except TalkError as error:
            say(str(error))
    talk.listen(SEARCH_S)
    return {
        topic
        for topic, payload, retained in talk.received
        if announcements.is_ours(payload) or (topic in words and retained and payload)
    }


def _retained(topic: str, payload: bytes) -> Publication:
    return Publication(topic=topic, payload=payload, qos=1, retain=True, kind=Kind.STATUS)
