"""A configuration is taken as it stands or refused with everything that is wrong with it."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_config.model import Config
from tinybms_config.parse import parse
from tinybms_config.problems import ConfigError
from tinybms_config.redact import redact


def refused(text: str, environ: dict[str, str] | None = None) -> dict[str, str]:
    """The refused keys and what each allows."""
    with pytest.raises(ConfigError) as caught:
        parse(text, environ or {}, file="gateway.toml")
    return {problem.key: problem.allowed for problem in caught.value.problems}


def test_an_empty_file_gives_the_documented_defaults() -> None:
    config = parse("", {}).config
    assert config == Config()
    assert config.acquisition.poll_interval_s == 0.1
    assert config.acquisition.allow_writes is False
    assert config.can.bitrate == 500_000
    assert config.mqtt.root_topic == "victron/tinybms"
    assert config.health.listen == "127.0.0.1:8088"


def test_every_problem_is_reported_at_once() -> None:
    keys = refused(
        """
        colour = "red"
        [gateway]
        device = "Pack 1"
        [acquisition]
        poll_interval_s = 99
        speed = 1
        [can]
        bitrate = 3
        [mqtt]
        host = 3
        """
    )
    assert set(keys) == {
        "colour",
        "gateway.device",
        "acquisition.poll_interval_s",
        "acquisition.speed",
        "can.bitrate",
        "mqtt.host",
    }


def test_a_problem_names_file_key_value_and_what_is_allowed() -> None:
    with pytest.raises(ConfigError) as caught:
        parse("[acquisition]\npoll_interval_s = 99\n", {}, file="/etc/tinybms/gateway.toml")
    line = str(caught.value)
    assert line.startswith("/etc/tinybms/gateway.toml: acquisition.poll_interval_s = 99:")
    assert "from 0.1 to 2.0" in line


def test_an_unknown_key_is_an_error_that_names_the_known_ones() -> None:
    assert "channel" in refused("[can]\nchanel = 'can0'\n")["can.chanel"]


def test_a_syntax_error_says_where() -> None:
    assert "(syntax)" in refused("[gateway\n")


def test_a_section_that_is_no_table_is_refused() -> None:
    assert refused("can = 3\n") == {"can": "a table"}


def test_zero_is_a_limit_and_not_a_missing_one() -> None:
    assert parse("[charge]\nmax_charge_current_a = 0\n", {}).config.charge.max_charge_current_a == 0


@pytest.mark.parametrize("value", ["true", '"0.1"', "nan", "[0.1]"])
def test_a_number_must_be_a_number(value: str) -> None:
    assert "acquisition.poll_interval_s" in refused(f"[acquisition]\npoll_interval_s = {value}\n")


def test_the_environment_wins_over_the_file_and_says_so() -> None:
    parsed = parse(
        '[gateway]\nrun_dir = "/run/a"\n', {"TINYBMS_RUN_DIR": "/run/b", "TINYBMS_LOG_DIR": "/log"}
    )
    assert parsed.config.gateway.run_dir == "/run/b"
    assert parsed.config.gateway.log_dir == "/log"
    assert len(parsed.warnings) == 1
    assert "/run/a" in parsed.warnings[0]


def test_an_equal_value_in_file_and_environment_is_no_warning() -> None:
    parsed = parse('[gateway]\nrun_dir = "/run/a"\n', {"TINYBMS_RUN_DIR": "/run/a"})
    assert parsed.warnings == ()


def test_a_run_dir_too_long_for_sockets_is_refused() -> None:
    assert "gateway.run_dir" in refused(f'[gateway]\nrun_dir = "/{"r" * 100}"\n')


def test_folders_are_absolute() -> None:
    assert "gateway.state_dir" in refused('[gateway]\nstate_dir = "state"\n')


@pytest.mark.parametrize("name", ["pylontech", "byd-box", "lg_resu"])
def test_names_with_rules_of_their_own_on_the_gx_are_refused(name: str) -> None:
    assert "gateway.device" in refused(f'[gateway]\ndevice = "{name}"\n')


@pytest.mark.parametrize("root", ["/victron", "victron/", "a/+/b", "a/#", "...", " "])
def test_a_root_topic_that_no_broker_would_take_is_refused(root: str) -> None:
    assert "mqtt.root_topic" in refused(f'[mqtt]\nroot_topic = "{root}"\n')


def test_a_root_topic_may_hold_the_device() -> None:
    assert parse('[mqtt]\nroot_topic = "fleet/{device}"\n', {}).config.mqtt.root_topic


def test_ages_must_rise_along_the_ladder() -> None:
    keys = refused("[ageing]\nstale_after_s = 25\nalarm_after_s = 20\n")
    assert "above ageing.stale_after_s" in keys["ageing.alarm_after_s"]


def test_a_certificate_needs_its_key() -> None:
    assert "mqtt.tls.cert_file" in refused('[mqtt.tls]\ncert_file = "/c.pem"\n')


def test_a_host_with_an_empty_label_is_refused() -> None:
    assert "mqtt.host" in refused('[mqtt]\nhost = "bad..host"\n')


def test_a_port_out_of_range_is_refused() -> None:
    assert "health.listen" in refused('[health]\nlisten = "127.0.0.1:99999"\n')


def test_an_address_that_others_reach_needs_a_token_file() -> None:
    for listen in ("0.0.0.0:8088", "[::]:8088", "192.0.2.1:8088", "gateway.local:8088"):
        assert "health.token_file" in refused(f'[health]\nlisten = "{listen}"\n')["health.listen"]
        parse(f'[health]\nlisten = "{listen}"\ntoken_file = "/etc/token"\n', {})
    for listen in ("127.0.0.1:8088", "[::1]:8088", "localhost:8088"):
        parse(f'[health]\nlisten = "{listen}"\n', {})


def test_a_password_in_the_file_is_refused_without_being_shown() -> None:
    with pytest.raises(ConfigError) as caught:
        parse('[mqtt]\npassword = "s3cr3t!@/:"\n', {})
    assert "s3cr3t" not in str(caught.value)


def test_a_shown_configuration_holds_no_secret() -> None:
    config = parse('[mqtt]\nusername = "canary-user"\n', {}).config
    assert "canary-user" not in str(redact(config))
    assert "127.0.0.1" in str(redact(config))


@given(st.text(max_size=200))
def test_any_text_gives_a_configuration_or_a_refusal(text: str) -> None:
    with contextlib.suppress(ConfigError):
        assert isinstance(parse(text, {}).config, Config)
