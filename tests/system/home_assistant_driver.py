"""Run by the Python of Home Assistant's own environment: starts it with MQTT alone.

Usage: home_assistant_driver.py FOLDER HOST PORT. Writes states.json and registry.json into FOLDER
twice a second until standard input ends.
"""

import asyncio
import json
import sys
from pathlib import Path

from homeassistant import bootstrap
from homeassistant.helpers import entity_registry
from homeassistant.runner import RuntimeConfig


def prepare(folder: Path, host: str, port: int) -> None:
    entry = {
        "entry_id": "tinybms",
        "version": 1,
        "minor_version": 1,
        "domain": "mqtt",
        "title": "mqtt",
        "data": {"broker": host, "port": port, "discovery": True},
        "options": {},
        "pref_disable_new_entities": False,
        "pref_disable_polling": False,
        "source": "user",
        "unique_id": None,
        "disabled_by": None,
    }
    store = {
        "version": 1,
        "minor_version": 1,
        "key": "core.config_entries",
        "data": {"entries": [entry]},
    }
    (folder / ".storage").mkdir(parents=True, exist_ok=True)
    (folder / ".storage" / "core.config_entries").write_text(json.dumps(store))
    (folder / "configuration.yaml").write_text("logger:\n  default: warning\n")


def write(file: Path, document: object) -> None:
    new = file.with_suffix(".new")
    new.write_text(json.dumps(document, default=str))
    new.replace(file)


async def main(folder: Path, host: str, port: int) -> None:
    prepare(folder, host, port)
    hass = await bootstrap.async_setup_hass(
        RuntimeConfig(config_dir=str(folder), skip_pip=True, log_no_color=True)
    )
    await hass.async_start()
    ended = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    while not ended.done():
        await asyncio.sleep(0.5)
        states = {one.entity_id: one for one in hass.states.async_all()}
        registry = entity_registry.async_get(hass).entities.values()
        write(folder / "registry.json", {one.unique_id: one.entity_id for one in registry})
        write(
            folder / "states.json",
            {key: {"state": one.state, **one.attributes} for key, one in states.items()},
        )
    await hass.async_stop()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
