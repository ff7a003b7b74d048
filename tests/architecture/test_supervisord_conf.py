"""supervisord.conf agrees with the process table and keeps the settings that matter."""

from __future__ import annotations

from configparser import RawConfigParser
from pathlib import Path

import pytest

from tinybms_runtime.processes import PROCESSES, Process

CONF = Path(__file__).parents[2] / "supervisord.conf"
RUN_DIR = "%(ENV_TINYBMS_RUN_DIR)s"
LOG_DIR = "%(ENV_TINYBMS_LOG_DIR)s"
PACKAGES = Path(__file__).parents[2] / "services"


@pytest.fixture
def conf() -> RawConfigParser:
    parser = RawConfigParser(inline_comment_prefixes=None)
    parser.read_string(CONF.read_text(encoding="utf-8"))
    return parser


def test_it_has_the_programs_of_the_process_table_and_no_other(conf: RawConfigParser) -> None:
    programs = {name.removeprefix("program:") for name in conf.sections() if ":" in name}
    assert programs - {"rpcinterface:supervisor"} == {process.name for process in PROCESSES}


@pytest.mark.parametrize("process", PROCESSES, ids=lambda process: process.name)
def test_a_program_is_set_as_the_table_says(conf: RawConfigParser, process: Process) -> None:
    assert dict(conf[f"program:{process.name}"]) == {
        "command": f"python -P -m {process.module}",
        "priority": str(process.priority),
        "autostart": "true",
        "autorestart": "true",
        "startsecs": "1",
        "startretries": "1000",
        "stopsignal": "TERM",
        "stopwaitsecs": str(process.stop_wait_s),
        "stopasgroup": "true",
        "killasgroup": "true",
        "umask": "007",
        "redirect_stderr": "true",
        "stdout_logfile": f"{LOG_DIR}/{process.name}.log",
        "stdout_logfile_maxbytes": "2MB",
        "stdout_logfile_backups": "3",
    }


@pytest.mark.parametrize("process", PROCESSES, ids=lambda process: process.name)
def test_a_program_is_a_package_that_can_be_run(process: Process) -> None:
    assert (PACKAGES / process.module / "__main__.py").is_file()


def test_it_is_reached_by_a_unix_socket_of_its_group_only(conf: RawConfigParser) -> None:
    assert not conf.has_section("inet_http_server")
    assert dict(conf["unix_http_server"]) == {
        "file": f"{RUN_DIR}/supervisor.sock",
        "chmod": "0770",
    }


def test_its_own_files_lie_in_the_folders_of_the_environment(conf: RawConfigParser) -> None:
    supervisord = conf["supervisord"]
    assert supervisord["pidfile"] == f"{RUN_DIR}/supervisord.pid"
    assert supervisord["logfile"] == f"{LOG_DIR}/supervisord.log"
    assert supervisord["childlogdir"] == LOG_DIR
    assert supervisord["logfile_maxbytes"] == "1MB"


def test_no_two_programs_share_a_log_file(conf: RawConfigParser) -> None:
    logs = [conf[section]["stdout_logfile"] for section in conf if section.startswith("program:")]
    assert len(set(logs)) == len(logs) == len(PROCESSES)


def test_numbers_of_priority_differ_so_that_the_order_is_defined() -> None:
    assert len({process.priority for process in PROCESSES}) == len(PROCESSES)
