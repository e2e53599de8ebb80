"""The file of proxy targets: tokens from three places, and errors that never show one."""

from pathlib import Path

import pytest

from service.proxy_targets import load_proxy_targets
from service.settings import SettingsInvalid

TOKEN = "canary-3f1c"


def written(folder: Path, text: str) -> Path:
    file = folder / "targets.yaml"
    file.write_text(text)
    return file


def test_a_token_comes_from_a_value_a_file_or_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}-file\n")
    monkeypatch.setenv("A_TOKEN", f"{TOKEN}-env")
    file = written(
        tmp_path,
        f"""
a: {{address: "proxy:1", token: {{value: {TOKEN}}}}}
b: {{address: "http://proxy:2", token: {{file: {tmp_path / "token"}}}}}
c: {{address: "https://proxy:3/", token: {{env: A_TOKEN}}}}
""",
    )

    targets = load_proxy_targets(file)

    assert {group: target.api_token for group, target in targets.items()} == {
        "a": TOKEN,
        "b": f"{TOKEN}-file",
        "c": f"{TOKEN}-env",
    }
    assert TOKEN not in repr(targets)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (f"a: {{addres: 'proxy:1', token: {{value: {TOKEN}}}}}", "a.addres"),
        (f"a: {{address: 'proxy:1', token: {{value: {TOKEN}, env: X}}}}", "exactly one of value, file and env"),
        (f"a: {{address: 'ftp://proxy', token: {{value: {TOKEN}}}}}", "ftp"),
        ("a: {address: 'proxy:1', token: {env: NOT_SET_ANYWHERE}}", "NOT_SET_ANYWHERE"),
        ("a: {address: 'proxy:1', token: {file: /no/such/file}}", "/no/such/file"),
        ("a: {address: 'proxy:1', token: {}}", "scaling group 'a': proxy token is empty"),
        ("a: {address: 'proxy:1', token: {file: /dev/null}}", "scaling group 'a': token file /dev/null is empty"),
        (f'a: {{address: "proxy:1", token: {{value: "{TOKEN}\\nX: y"}}}}', "a header cannot carry"),
        (f'a: {{address: "proxy:1", token: {{value: "{TOKEN}ü"}}}}', "a header cannot carry"),
        (f"a: [{TOKEN}", "not YAML"),
        (f"- {TOKEN}", "dictionary"),
        ("", "is empty; write {} for no proxies"),
        ("# nothing yet\n", "is empty"),
        ("[" * 20_000, "is not usable: it is nested too deep"),
        (f"a: {{address: 'proxy:1', token: {{value: {TOKEN}}}}}\n" + "#" * 1024 * 1024, "is longer than 1048576 bytes"),
    ],
)
def test_a_file_that_cannot_be_used_says_where_and_shows_no_token(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(SettingsInvalid) as refused:
        load_proxy_targets(written(tmp_path, text))

    assert complaint in str(refused.value)
    assert TOKEN not in str(refused.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match=r"missing\.yaml"):
        load_proxy_targets(tmp_path / "missing.yaml")


def test_no_proxies_are_written_explicitly(tmp_path: Path) -> None:
    assert load_proxy_targets(written(tmp_path, "{}")) == {}


@pytest.mark.parametrize(
    ("content", "complaint"), [("", "is empty"), (" \n", "is empty"), (TOKEN * 10_000, "is longer than 65536 bytes")]
)
def test_a_token_file_that_holds_no_token_is_named(tmp_path: Path, content: str, complaint: str) -> None:
    (tmp_path / "token").write_text(content)
    file = written(tmp_path, f"a: {{address: 'proxy:1', token: {{file: {tmp_path / 'token'}}}}}")

    with pytest.raises(SettingsInvalid) as refused:
        load_proxy_targets(file)

    assert f"token file {tmp_path / 'token'} {complaint}" in str(refused.value)
    assert TOKEN not in str(refused.value)
