"""Where a client finds its gateway and its login."""

from __future__ import annotations

from pathlib import Path

import pytest

from txtrader.client.config import ClientConfig
from txtrader.errors import ConfigError


def write(folder: Path, **values: str) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in values.items():
        (folder / f"TXTRADER_{name}").write_text(value + "\n")
    return str(folder)


def test_arguments_beat_config_beats_environment_beats_dotenv_beats_envdir(tmp_path: Path) -> None:
    envdir = write(tmp_path / "dir", HTTP_PORT="1", TCP_PORT="1", USERNAME="envdir", HOST="h1", PASSWORD="x")
    Path(".env").write_text("TXTRADER_HTTP_PORT=2\nTXTRADER_TCP_PORT=2\nTXTRADER_USERNAME=dotenv\n")
    config = ClientConfig.load(
        environ={"TXTRADER_ENVDIR": envdir, "TXTRADER_HTTP_PORT": "3", "TXTRADER_TCP_PORT": "3"},
        config={"TXTRADER_TCP_PORT": 4},
        arguments={"tcp_port": None},
    )
    assert config.host == "h1"
    assert config.login() == ("dotenv", "x")
    assert config.port("http_port") == 3
    assert config.port("tcp_port") == 4
    assert (
        ClientConfig.load(environ={}, config={"TXTRADER_TCP_PORT": 4}, arguments={"tcp_port": 5}).port("tcp_port") == 5
    )


def test_a_mode_has_settings_of_its_own_and_older_names_work() -> None:
    environ = {"TXTRADER_HTTP_PORT": "1", "TXTRADER_CQG_XMLRPC_PORT": "2", "TXTRADER_XMLRPC_TIMEOUT": "7"}
    assert ClientConfig.load(mode="cqg", environ=environ).port("http_port") == 2
    assert ClientConfig.load(mode="tws", environ=environ).port("http_port") == 1
    assert ClientConfig.load(environ=environ | {"TXTRADER_MODE": "cqg,tws"}).port("http_port") == 2
    assert ClientConfig.load(environ=environ).get("client_timeout") == 7


def test_a_password_may_lie_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "word").write_text("open sesame\n")
    config = ClientConfig.load(environ={"TXTRADER_USERNAME": "alice", "TXTRADER_PASSWORD_FILE": str(tmp_path / "word")})
    assert config.login() == ("alice", "open sesame")


def test_the_service_settings_are_read_by_who_may(tmp_path: Path) -> None:
    write(tmp_path / "etc", USERNAME="alice", PASSWORD="from the service")
    assert ClientConfig.load(environ={}).login() == ("alice", "from the service")


def test_the_clone_knows_the_daemon_that_make_run_started_beside_an_installed_one(tmp_path: Path) -> None:
    write(tmp_path / "etc", USERNAME="alice", PASSWORD="from the service")
    write(Path(".run/env"), USERNAME="run", PASSWORD="random", HTTP_PORT="5")
    config = ClientConfig.load(environ={})
    assert (config.login(), config.port("http_port")) == (("run", "random"), 5)


def test_an_envdir_that_was_asked_for_must_be_there() -> None:
    with pytest.raises(ConfigError) as caught:
        ClientConfig.load(environ={"TXTRADER_ENVDIR": "nowhere"})
    assert caught.value.path == "TXTRADER_ENVDIR"


def test_a_missing_login_is_named() -> None:
    with pytest.raises(ConfigError) as caught:
        ClientConfig.load(environ={"TXTRADER_USERNAME": "alice"}).login()
    assert caught.value.path == "TXTRADER_PASSWORD"


def test_a_wrong_value_is_named_and_a_secret_is_not_shown(tmp_path: Path) -> None:
    config = ClientConfig.load(
        environ={"TXTRADER_HTTP_PORT": "eighty", "TXTRADER_PASSWORD": "a\0b", "TXTRADER_USERNAME": "u"}
    )
    with pytest.raises(ConfigError, match="eighty") as caught:
        config.port("http_port")
    assert caught.value.path == "TXTRADER_HTTP_PORT"
    with pytest.raises(ConfigError) as caught:
        config.login()
    assert "a" + chr(0) not in str(caught.value)
    assert "a" + chr(0) not in repr(config)


def test_a_daemon_that_binds_everywhere_is_dialled_at_home() -> None:
    assert ClientConfig.load(environ={"TXTRADER_HOST": "0.0.0.0"}).host == "127.0.0.1"


def test_a_port_that_is_off_cannot_be_dialled() -> None:
    with pytest.raises(ConfigError, match="off"):
        ClientConfig.load(environ={"TXTRADER_HTTP_PORT": "off"}).port("http_port")
