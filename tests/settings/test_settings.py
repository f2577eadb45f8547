"""Settings: sources in their sequence, strict values, names that mean nothing, secrets that stay hidden."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from txtrader.settings import Settings, SettingsError, is_loopback
from txtrader.settings.table import IGNORED, LATER, SETTINGS


def problems_of(environ: dict[str, str], **options: object) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        Settings.load(environ, **options)  # type: ignore[arg-type]
    return caught.value.problems


def envdir(folder: Path, **values: str) -> str:
    folder.mkdir(exist_ok=True, mode=0o750)
    for key, value in values.items():
        path = folder / f"TXTRADER_{key}"
        path.write_text(value)
        path.chmod(0o640)
    return str(folder)


def test_every_default_is_a_right_value() -> None:
    settings = Settings.load({})
    assert settings.mode == ("demo",)
    assert (settings.http_port, settings.tcp_port) == (50080, 50090)
    assert settings.for_mode("tws").api_port == 7497
    assert settings.key_retention == 7 * 86400
    assert settings.warnings == ()


def test_each_setting_has_one_name_a_meaning_and_a_group() -> None:
    keys = [key for s in SETTINGS.values() for key in (s.key, *s.older)]
    assert len(keys) == len(set(keys))
    assert not set(keys) & (IGNORED | LATER.keys())
    assert all(s.doc and s.group for s in SETTINGS.values())


def test_later_sources_win(tmp_path: Path) -> None:
    folder = envdir(tmp_path / "env", TCP_PORT="1001\n", HTTP_PORT="1002", API_PORT="1003", MAX_CLIENTS="4")
    dotenv = tmp_path / ".env"
    dotenv.write_text(
        'export TXTRADER_HTTP_PORT="2002" # a note\nTXTRADER_API_PORT=2003\nTXTRADER_MAX_CLIENTS=5\nX=1\n'
    )
    settings = Settings.load(
        {"TXTRADER_API_PORT": "3003", "TXTRADER_MAX_CLIENTS": "6", "PATH": "/bin"},
        envdir=folder,
        dotenv=str(dotenv),
        command_line={"TXTRADER_MAX_CLIENTS": "7"},
    )
    assert (settings.tcp_port, settings.http_port, settings.api_port, settings.max_clients) == (1001, 2002, 3003, 7)


def test_a_missing_dotenv_is_no_problem_and_a_missing_envdir_is_one(tmp_path: Path) -> None:
    Settings.load({}, dotenv=str(tmp_path / ".env"))
    assert "No such file" in problems_of({}, envdir=str(tmp_path / "none"))[0]


def test_a_line_that_dotenv_cannot_read_is_named(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text("TXTRADER_TCP_PORT=1\n'oops\n")
    assert "line 2 is not NAME=VALUE" in problems_of({}, dotenv=str(dotenv))[0]


def test_an_empty_value_is_an_unset_one(tmp_path: Path) -> None:
    folder = envdir(tmp_path / "env", TCP_PORT="1001", HTTP_PORT="")
    settings = Settings.load({"TXTRADER_TCP_PORT": " "}, envdir=folder)
    assert (settings.tcp_port, settings.http_port) == (50090, 50080)


def test_a_brokers_own_value_wins_for_that_broker_and_for_its_daemon() -> None:
    environ = {
        "TXTRADER_MODE": "tws,demo",
        "TXTRADER_TWS_TCP_PORT": "7001",
        "TXTRADER_TCP_PORT": "7000",
        "TXTRADER_DEMO_API_CLIENT_ID": "9",
        "TXTRADER_CQG_TCP_PORT": "7003",
    }
    settings = Settings.load(environ, command_line={"TXTRADER_TCP_PORT": "7002"})
    assert settings.broker == "tws"
    assert settings.tcp_port == 7001
    assert settings.for_mode("demo").tcp_port == 7002
    assert (settings.api_client_id, settings.for_mode("demo").api_client_id) == (0, 9)


def test_names_that_begin_like_a_broker_are_still_their_own() -> None:
    settings = Settings.load({"TXTRADER_TWS_MAX_VERSION": "157", "TXTRADER_TWS_CALLBACK_TIMEOUT": "11"})
    assert settings.for_mode("demo").tws_max_version == 157
    assert settings.timeout_default == 11


def test_older_names_work_and_may_not_contradict() -> None:
    assert Settings.load({"TXTRADER_XMLRPC_PORT": "8000"}).http_port == 8000
    assert Settings.load({"TXTRADER_XMLRPC_PORT": "8000", "TXTRADER_HTTP_PORT": "8000"}).http_port == 8000
    (problem,) = problems_of({"TXTRADER_XMLRPC_PORT": "8000", "TXTRADER_HTTP_PORT": "8001"})
    assert "TXTRADER_HTTP_PORT" in problem and "TXTRADER_XMLRPC_PORT" in problem


def test_a_file_may_hold_the_value(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("correct horse\n")
    secret.chmod(0o600)
    environ = {"TXTRADER_USERNAME": "ann", "TXTRADER_PASSWORD_FILE": str(secret)}
    assert Settings.load(environ).password == "correct horse"
    assert "is set in the same place" in problems_of(environ | {"TXTRADER_PASSWORD": "x"})[0]
    folder = envdir(tmp_path / "env", PASSWORD="old")
    assert Settings.load(environ, envdir=folder).password == "correct horse"


def test_all_wrong_values_are_named_with_their_reasons() -> None:
    found = problems_of({"TXTRADER_TCP_PORT": "70000", "TXTRADER_LOG_FORMAT": "xml", "TXTRADER_API_TIMEZONE": "Moon"})
    assert [p.split(":")[0] for p in sorted(found)] == [
        "TXTRADER_API_TIMEZONE",
        "TXTRADER_LOG_FORMAT",
        "TXTRADER_TCP_PORT",
    ]
    assert any("write one of text, json, not 'xml' (from environment)" in p for p in found)


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("TCP_PORT", "+5"),
        ("TCP_PORT", "1_000"),
        ("TCP_PORT", "٣"),
        ("TCP_PORT", "-1"),
        ("TCP_PORT", "Off"),
        ("PAPER", "yes"),
        ("TIMEOUT_ORDER", "1e3"),
        ("TIMEOUT_ORDER", ".5"),
        ("TIMEOUT_ORDER", "3 weeks"),
        ("QUEUE_CLOSE", "1.0000001MiB"),
        ("MODE", "tws,,demo"),
        ("MODE", "tws,tws"),
        ("USERNAME", "Ann"),
        ("API_TIMEZONE", "../../etc/passwd"),
        ("OPTIONS", "[]"),
        ("SUPPRESS_ERROR_CODES", "2100;2101"),
    ],
)
def test_a_wrong_value_is_refused(key: str, text: str) -> None:
    assert problems_of({f"TXTRADER_{key}": text})[0].startswith(f"TXTRADER_{key}: ")


def test_units_may_follow_a_number() -> None:
    settings = Settings.load(
        {
            "TXTRADER_TIMEOUT_ORDER": "1500ms",
            "TXTRADER_KEY_RETENTION": "36 h",
            "TXTRADER_QUEUE_CLOSE": "1MiB",
            "TXTRADER_RECONNECT_MIN": "0.1",
            "TXTRADER_HTTP_PORT": "off",
        }
    )
    assert settings.timeout_order == 1.5
    assert settings.key_retention == 36 * 3600
    assert settings.queue_close == 1 << 20
    assert settings.reconnect_min == pytest.approx(0.1)
    assert settings.http_port is None


def test_an_unknown_name_is_a_warning_and_strictly_a_problem() -> None:
    environ = {"TXTRADER_TCP_PROT": "1"}
    (warning,) = Settings.load(environ).warnings
    assert "TXTRADER_TCP_PROT: no such setting" in warning and "TXTRADER_TCP_PORT is one" in warning
    assert problems_of(environ, strict=True) == [warning]


def test_names_without_meaning_are_said_and_those_of_later_versions_refused() -> None:
    (warning,) = Settings.load({"TXTRADER_TESTING": "1"}, strict=True).warnings
    assert "means nothing" in warning
    for key in ("TLS_CERT", "NATS_URL", "PAPER", "NETSTRING_PORT", "TLS_KEY_FILE"):
        (problem,) = problems_of({f"TXTRADER_{key}": "1"})
        assert f"TXTRADER_{key}" in problem and "not offered by this version" in problem
    assert Settings.load({"TXTRADER_PAPER": "0", "TXTRADER_NETSTRING_PORT": "off"}).netstring_port is None


def test_off_loopback_needs_an_explicit_word() -> None:
    for host in ("0.0.0.0", "192.0.2.1", "::", "trader.example"):
        assert "TXTRADER_HOST" in problems_of({"TXTRADER_HOST": host})[0]
        Settings.load({"TXTRADER_HOST": host}, listens=False)
        Settings.load({"TXTRADER_HOST": host, "TXTRADER_ALLOW_PLAINTEXT": "1"})
    assert is_loopback("127.0.0.9") and is_loopback("::1") and not is_loopback("::ffff:8.8.8.8")


def test_values_that_contradict_are_refused() -> None:
    assert "TXTRADER_HTTP_PORT" in problems_of({"TXTRADER_HTTP_PORT": "5000", "TXTRADER_TCP_PORT": "5000"})[0]
    assert "TXTRADER_RECONNECT_MIN" in problems_of({"TXTRADER_RECONNECT_MIN": "90"})[0]
    assert "TXTRADER_QUEUE_CLOSE" in problems_of({"TXTRADER_QUEUE_CLOSE": "4KiB"})[0]
    assert "TXTRADER_PASSWORD" in problems_of({"TXTRADER_USERNAME": "ann"})[0]
    assert "nobody" in problems_of({"TXTRADER_HTTP_PORT": "off", "TXTRADER_TCP_PORT": "off"})[0]
    Settings.load({"TXTRADER_HTTP_PORT": "0", "TXTRADER_TCP_PORT": "0"})


def test_files_that_others_may_read_or_change_are_refused(tmp_path: Path) -> None:
    folder = Path(envdir(tmp_path / "env", USERNAME="ann", PASSWORD="secret", TCP_PORT="1"))
    Settings.load({}, envdir=str(folder))
    (folder / "TXTRADER_PASSWORD").chmod(0o644)
    assert "may be read by everybody" in problems_of({}, envdir=str(folder))[0]
    Settings.load({"TXTRADER_ALLOW_LOOSE_FILES": "1"}, envdir=str(folder))
    (folder / "TXTRADER_PASSWORD").chmod(0o640)
    (folder / "TXTRADER_TCP_PORT").chmod(0o666)
    assert "may be changed by others" in problems_of({}, envdir=str(folder))[0]
    (folder / "TXTRADER_TCP_PORT").unlink()
    (folder / "TXTRADER_TCP_PORT").symlink_to("/dev/null")
    (tmp_path / "port").write_text("1")
    (folder / "TXTRADER_TCP_PORT").unlink()
    (folder / "TXTRADER_TCP_PORT").symlink_to(tmp_path / "port")
    assert "symbolic link" in problems_of({}, envdir=str(folder))[0]


def test_a_loose_file_cannot_vouch_for_itself(tmp_path: Path) -> None:
    folder = Path(envdir(tmp_path / "env", ALLOW_LOOSE_FILES="1", PASSWORD="secret", USERNAME="ann"))
    (folder / "TXTRADER_PASSWORD").chmod(0o644)
    assert "may be read by everybody" in problems_of({}, envdir=str(folder))[0]


@pytest.mark.skipif(os.geteuid() != 0, reason="changing owners needs root")
def test_files_of_another_user_are_refused(tmp_path: Path) -> None:
    folder = Path(envdir(tmp_path / "env", TCP_PORT="1"))
    os.chown(folder / "TXTRADER_TCP_PORT", 12345, -1)
    assert "belongs to user 12345" in problems_of({}, envdir=str(folder))[0]


def test_a_dotenv_with_a_password_must_be_closed(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text("TXTRADER_USERNAME=ann\nTXTRADER_PASSWORD=hidden\n")
    dotenv.chmod(0o644)
    assert "may be read by everybody" in problems_of({}, dotenv=str(dotenv))[0]
    dotenv.chmod(0o600)
    assert Settings.load({}, dotenv=str(dotenv)).password == "hidden"


def test_no_secret_is_shown() -> None:
    settings = Settings.load({"TXTRADER_USERNAME": "ann", "TXTRADER_PASSWORD": "canary-1234"})
    assert "canary-1234" not in repr(settings) + str(settings)
    found = problems_of({"TXTRADER_USERNAME": "ann", "TXTRADER_PASSWORD": "canary-" + "x" * 300})
    assert "canary" not in "".join(found)


def test_settings_are_immutable_and_replace_makes_others() -> None:
    settings = Settings.load({"TXTRADER_TWS_API_PORT": "4002"})
    with pytest.raises(AttributeError):
        settings.tcp_port = 1  # type: ignore[misc]
    other = settings.replace(api_port=4001)
    assert (settings.for_mode("tws").api_port, other.for_mode("tws").api_port) == (4002, 4001)
    with pytest.raises(TypeError):
        settings.replace(api_prot=1)


@given(
    st.dictionaries(
        st.sampled_from([s.variable for s in SETTINGS.values()] + [f"TXTRADER_{key}" for key in LATER]),
        st.text(st.characters(exclude_characters="\0"), max_size=12),
        max_size=4,
    )
)
def test_no_text_brings_anything_but_a_settings_error(environ: dict[str, str]) -> None:
    try:
        Settings.load(environ)
    except SettingsError as error:
        assert error.problems


def test_fix_fields_are_tags_with_values_and_none_of_the_gateways_own() -> None:
    fine = Settings.load({"TXTRADER_FIX_ORDER_FIELDS": "528=A, 100=NYSE", "TXTRADER_ENVDIR": "/nonexistent"})
    assert fine.fix_order_fields == ((528, "A"), (100, "NYSE"))
    for text in ("528", "528=", "=A", "x=A", "0=A", "528=A,528=B", "44=1", "11=me"):
        (problem,) = problems_of({"TXTRADER_FIX_ORDER_FIELDS": text, "TXTRADER_ENVDIR": "/nonexistent"})
        assert problem.startswith("TXTRADER_FIX_ORDER_FIELDS")
