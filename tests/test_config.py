"""Configuration: flags beat environment beat file beat default, and no mistake is passed over."""

import dataclasses
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tetrarch.config import FILE_NAME, FILE_SIZE_BYTES_MAX, NodeConfig, SigningSource, load_config
from tetrarch.errors import ConfigInvalid


def load(
    folder: Path,
    text: str | None = None,
    *,
    flags: dict[str, Any] | None = None,
    environment: dict[str, str] | None = None,
) -> NodeConfig:
    if text is not None:
        (folder / FILE_NAME).write_text(text)
    return load_config(folder, flags=flags, environment=environment or {})


def test_folder_without_a_file_has_the_defaults(tmp_path) -> None:
    config = load(tmp_path)
    assert config == NodeConfig()
    assert config.signing is SigningSource.ENCLAVE
    assert config.validator_api.listen_host == "127.0.0.1", "open to nobody else by default"
    assert config.monitoring.listen_host == "127.0.0.1"


def test_every_layer_beats_the_one_below(tmp_path) -> None:
    text = '[beacon_node]\nurl = "http://file"\ntimeout_ms = 1\n[log]\nlevel = "debug"\n'
    environment = {"TETRARCH_BEACON_NODE__URL": "http://env", "TETRARCH_LOG__LEVEL": "warning"}
    flags = {"beacon_node.url": "http://flag", "log.format": None}
    config = load(tmp_path, text, flags=flags, environment=environment)
    assert config.beacon_node.url == "http://flag"
    assert config.log.level == "warning"
    assert config.beacon_node.timeout_ms == 1
    assert config.log.format == "console", "a flag that is not given sets nothing"


def test_one_beacon_node_or_several(tmp_path) -> None:
    def primaries(text: str = "", **layers: Any) -> tuple[str, ...]:
        return load(tmp_path, text, **layers).beacon_node.primary_urls

    one, several = (
        '[beacon_node]\nurl = "http://a"\n',
        '[beacon_node]\nurls = ["http://b", "http://c"]\n',
    )
    assert primaries() == ("http://127.0.0.1:5052",)
    assert primaries(one) == ("http://a",)
    assert primaries(several) == ("http://b", "http://c")
    by_variable = {"TETRARCH_BEACON_NODE__URLS": "http://d, http://e"}
    assert primaries(one, environment=by_variable) == ("http://d", "http://e")
    assert primaries(several, environment={"TETRARCH_BEACON_NODE__URL": "http://f"}) == (
        "http://f",
    )
    by_flag = {"beacon_node.urls": ["http://g"]}
    assert primaries(one, environment=by_variable, flags=by_flag) == ("http://g",)
    fallbacks = '[beacon_node]\nurl = "http://a"\nfallback_urls = ["http://z"]\n'
    assert load(tmp_path, fallbacks).beacon_node.fallback_urls == ("http://z",)


@pytest.mark.parametrize(
    ("text", "environment"),
    [
        ('[beacon_node]\nurl = "http://a"\nurls = ["http://b"]\n', {}),
        (
            "",
            {
                "TETRARCH_BEACON_NODE__URL": "http://a",
                "TETRARCH_BEACON_NODE__URLS": "http://b",
            },
        ),
    ],
)
def test_one_beacon_node_and_several_is_a_mistake(tmp_path, text: str, environment) -> None:
    with pytest.raises(ConfigInvalid, match="set one of them"):
        load(tmp_path, text, environment=environment)


def test_environment_reads_numbers_and_booleans(tmp_path) -> None:
    environment = {
        "TETRARCH_BUILDER_API": "TRUE",
        "TETRARCH_MESH__LISTEN_PORT": "3610",
        "TETRARCH_SIGNING": "validator_client",
        "TETRARCH_MESH__PEERS__2": "127.0.0.1:9000",
        "OTHER_URL": "ignored",
    }
    config = load(tmp_path, environment=environment)
    assert config.builder_api is True
    assert config.mesh.listen_port == 3610
    assert config.signing is SigningSource.VALIDATOR_CLIENT
    assert config.mesh.peers == {"2": "127.0.0.1:9000"}


def test_the_tests_own_variable_is_no_setting(tmp_path) -> None:
    assert load(tmp_path, environment={"TETRARCH_VECTORS": "/somewhere"}) == NodeConfig()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('graffitti = "x"', "graffitti"),
        ('[beacon_node]\nurll = "x"', "urll"),
        ("[beacon]\n", "beacon"),
        ('signing = "both"', "signing"),
        ("[mesh]\nlisten_port = 65536", "mesh.listen_port"),
        ("[mesh]\nlisten_port = -1", "mesh.listen_port"),
        ("[mesh]\nlisten_port = '1'", "mesh.listen_port"),
        ("[beacon_node]\ntimeout_ms = 0", "beacon_node.timeout_ms"),
        ('[log]\nlevel = "loud"', "log.level"),
        (f'graffiti = "{"x" * 33}"', "graffiti"),
        ("mesh = 5", "mesh"),
        ("= 3", FILE_NAME),
        ("[mesh\n", FILE_NAME),
    ],
)
def test_mistake_is_named_with_its_place(tmp_path, text: str, named: str) -> None:
    with pytest.raises(ConfigInvalid) as raised:
        load(tmp_path, text)
    assert named in str(raised.value)
    assert FILE_NAME in str(raised.value)
    assert "\n" not in str(raised.value), "one line"


@pytest.mark.parametrize(
    ("flags", "environment", "named"),
    [
        ({"mesh.port": 1}, {}, "port"),
        ({}, {"TETRARCH_MESH__PORT": "1"}, "port"),
        ({}, {"TETRARCH_NONSENSE": "1"}, "nonsense"),
        ({"graffiti.colour": "red"}, {"TETRARCH_GRAFFITI": "text"}, "graffiti.colour"),
    ],
)
def test_unknown_flag_or_variable_is_named(tmp_path, flags, environment, named: str) -> None:
    with pytest.raises(ConfigInvalid) as raised:
        load(tmp_path, flags=flags, environment=environment)
    assert named in str(raised.value)


def test_file_that_is_too_large_is_not_read(tmp_path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"#" * (FILE_SIZE_BYTES_MAX + 1))
    with pytest.raises(ConfigInvalid, match="larger than 1 MiB"):
        load(tmp_path)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"a = '\xff'", b"\0"])
def test_bytes_that_are_no_text_are_one_clear_error(tmp_path, content: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    with pytest.raises(ConfigInvalid):
        load(tmp_path)


def test_folder_in_place_of_the_file_is_one_clear_error(tmp_path) -> None:
    (tmp_path / FILE_NAME).mkdir()
    with pytest.raises(ConfigInvalid):
        load(tmp_path)


def test_configuration_cannot_be_changed() -> None:
    with pytest.raises((AttributeError, dataclasses.FrozenInstanceError)):
        NodeConfig().builder_api = True  # type: ignore[misc]  # the point of the test


def test_every_setting_has_a_default_that_its_own_rules_allow() -> None:
    plain = msgspec.to_builtins(NodeConfig())
    assert msgspec.convert(plain, type=NodeConfig) == NodeConfig()


def test_signers_in_a_variable_are_parted_by_commas(tmp_path: Path) -> None:
    variables = {
        "TETRARCH_REMOTE_SIGNER__URLS": "https://a:9000, https://b:9000",
        "TETRARCH_SIGNER_API__ALLOWED_HOSTS": "signer.example",
    }
    config = load_config(tmp_path, environment=variables)
    assert config.remote_signer.urls == ("https://a:9000", "https://b:9000")
    assert config.signer_api.allowed_hosts == ("signer.example",)


def test_a_seal_opens_by_one_file_and_a_higher_layer_replaces_the_other_kind(tmp_path) -> None:
    assert load(tmp_path).enclave.passphrase_file == ""
    config = load(
        tmp_path,
        '[enclave]\npassphrase_file = "words"\n',
        environment={"TETRARCH_ENCLAVE__KEY_FILE": "key"},
    )
    assert (config.enclave.passphrase_file, config.enclave.key_file) == ("", "key")
    with pytest.raises(ConfigInvalid, match="one of them"):
        load(tmp_path, '[enclave]\npassphrase_file = "words"\nkey_file = "key"\n')
    flags = {"enclave.key_file": "k", "enclave.passphrase_file": "p"}
    with pytest.raises(ConfigInvalid, match="one of them"):
        load(tmp_path, "", flags=flags)


def test_a_counter_needs_its_tpm(tmp_path: Path) -> None:
    config = load(tmp_path, '[enclave]\ntpm = "/dev/tpmrm0"\n[election]\ntpm_counter = true\n')
    assert (config.enclave.tpm, config.election.tpm_counter) == ("/dev/tpmrm0", True)
    with pytest.raises(ConfigInvalid, match="needs enclave"):
        load(tmp_path, "[election]\ntpm_counter = true\n")
