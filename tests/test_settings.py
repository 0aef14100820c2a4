import os
from pathlib import Path

import pytest

from hub import settings


def refused(path: Path | None, env: dict[str, str]) -> tuple[str, str]:
    with pytest.raises(settings.ConfigError) as caught:
        settings.load(path, env)
    return caught.value.code, caught.value.name


def write(tmp_path: Path, text: str) -> Path:
    (tmp_path / "hub.toml").write_text(text, "utf-8")
    return tmp_path / "hub.toml"


def test_defaults_lie_in_the_home_folder(tmp_path: Path) -> None:
    found = settings.load(env={"HUB_HOME": str(tmp_path)})
    assert found.var == tmp_path / "var"
    assert found.keys == tmp_path / "var" / "keys.json"
    assert (found.host, found.port, found.business_clock, found.test_mode) == ("127.0.0.1", 8080, None, False)
    assert settings.load(env={}).home == Path(settings.__file__).parents[1]


def test_the_environment_goes_before_the_file_and_the_file_before_defaults(tmp_path: Path) -> None:
    path = write(
        tmp_path, 'port = 9000\nhost = "0.0.0.0"\ntest_mode = true\nvar = "data"\n[addresses]\nA = "file"\nB = "file"\n'
    )
    found = settings.load(path, {"HUB_PORT": "9001", "HUB_ADDRESS_A": "env", "HUB_SECRET_S": "hush"})
    assert (found.port, found.host, found.test_mode) == (9001, "0.0.0.0", True)
    assert found.addresses == {"A": "env", "B": "file"} and found.secrets == {"S": "hush"}
    assert found.var == tmp_path / "data" and found.keys == tmp_path / "data" / "keys.json"
    assert settings.load(path, {"HUB_VAR": str(tmp_path / "other")}).var == tmp_path / "other"
    assert settings.load(env={"HUB_SETTINGS": str(path)}).port == 9000
    assert settings.load(env={"HUB_HOME": str(tmp_path)}).port == 9000


def test_names_are_expanded_and_a_missing_one_is_named() -> None:
    found = settings.load(env={"HUB_ADDRESS_MOFA_URL": "http://mofa.example", "HUB_SECRET_KEY": "hush"})
    assert found.expand("${MOFA_URL}/v2/${KEY}") == "http://mofa.example/v2/hush"
    assert found.expand("no name, $HOME, ${lower}") == "no name, $HOME, ${lower}"
    with pytest.raises(settings.ConfigError) as caught:
        found.expand("${MOFA_URL}/${BANK_URL}")
    assert (caught.value.code, caught.value.name) == ("setting_missing", "BANK_URL")


def test_secrets_do_not_show_in_a_repr() -> None:
    env = {
        "HUB_SECRET_S": "hush",
        "HUB_ADDRESS_A": "x?key=hush",
    }
    assert settings.load(env=env).secrets["S"] == "hush"
    assert "hush" not in repr(settings.load(env=env))


@pytest.mark.parametrize(
    ("text", "code", "name"),
    [
        ("prot = 1", "setting_unknown", "prot"),
        ('port = "x"', "setting_invalid", "port"),
        ("port = 70000", "setting_invalid", "port"),
        ("port = true", "setting_invalid", "port"),
        ("host = 1", "setting_invalid", "host"),
        ('test_mode = "maybe"', "setting_invalid", "test_mode"),
        ("proxies = -1", "setting_invalid", "proxies"),
        ("addresses = 1", "setting_invalid", "addresses"),
        ("[secrets]\nS = 1", "setting_invalid", "secrets"),
        ('[api_keys]\nshort = "agent"', "api_key_not_hashed", "api_keys"),
        ('database_uri = "postgresql://db.example/hub"', "setting_unknown", "database_uri"),
        ("port = ", "setting_file_unreadable", "hub.toml"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, text: str, code: str, name: str) -> None:
    assert refused(write(tmp_path, text), {}) == (code, name)


def test_a_file_that_is_no_toml_is_told_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(settings.ConfigError) as caught:
        settings.load(write(tmp_path, "port = 1\n\nhost =\n"), {})
    assert caught.value.where == {"name": "hub.toml", "line": "3"}


def test_wrong_settings_of_the_environment_are_named(tmp_path: Path) -> None:
    assert refused(None, {"HUB_PORT": "x"}) == ("setting_invalid", "port")
    assert refused(tmp_path / "hub.toml", {}) == ("setting_file_missing", "hub.toml")


def test_callers_and_the_proxy_in_front_are_set(tmp_path: Path) -> None:
    found = settings.load(env={"HUB_HOME": str(tmp_path)})
    assert (found.calls_per_second, found.calls_per_day, found.client_cert_header) == (200, 0, "")
    assert found.refused_per_minute == 300
    assert found.proxy_addresses == ("127.0.0.1", "::1")
    path = write(
        tmp_path,
        "calls_per_second = 5\nrefused_per_minute = 7\n"
        'proxies = 1\nclient_cert_header = "X-Cert"\nproxy_addresses = "192.0.2.1"\n',
    )
    found = settings.load(path, {"HUB_CALLS_PER_DAY": "1000"})
    assert (found.calls_per_second, found.calls_per_day, found.refused_per_minute) == (5, 1000, 7)
    assert (found.client_cert_header, found.proxy_addresses) == ("X-Cert", ("192.0.2.1",))
    # Without a proxy in front whoever calls would write it; with an underscore the server takes no header.
    assert refused(None, {"HUB_CLIENT_CERT_HEADER": "X-Cert"}) == ("setting_invalid", "client_cert_header")
    assert refused(path, {"HUB_CLIENT_CERT_HEADER": "X_Cert"}) == ("setting_invalid", "client_cert_header")
    assert refused(None, {"HUB_CALLS_PER_SECOND": "-1"}) == ("setting_invalid", "calls_per_second")


def test_the_door_has_limits_that_can_be_set(tmp_path: Path) -> None:
    found = settings.load(env={"HUB_HOME": str(tmp_path)})
    assert (found.intake_free, found.reserve_free, found.backlog, found.disks) == (5, 1, 250_000, ())
    assert found.budgets.exists()
    path = write(tmp_path, 'intake_free = 8\nbacklog = 10\ndisks = ["pg"]\nbudgets = "b.yaml"\n')
    found = settings.load(path, {"HUB_RESERVE_FREE": "2", "HUB_DISKS": f"/a{os.pathsep}/b"})
    assert (found.intake_free, found.reserve_free, found.backlog) == (8, 2, 10)
    assert found.disks == (Path("/a"), Path("/b")) and found.budgets == tmp_path / "b.yaml"
    assert settings.load(path, {}).disks == (tmp_path / "pg",)
    assert refused(path, {"HUB_RESERVE_FREE": "9"}) == ("setting_invalid", "reserve_free")
    assert refused(None, {"HUB_INTAKE_FREE": "100"}) == ("setting_invalid", "intake_free")
