"""The keys file: its owner's alone, read anew, and never repeated in an error."""

import pytest

from engine.errors import DataError
from live.venues.keys import Key, KeyFile, MemoryKeys, write_keys


@pytest.fixture
def path(tmp_path):
    made = tmp_path / "keys" / "keys.json"
    write_keys(made, {"ann": Key("ANNKEY", "ann secret"), "id-2": Key("BOBKEY", "bob secret")})
    return made


def test_a_key_is_found_by_id_or_name(path):
    keys = KeyFile(path)
    assert keys.of("id-1", "ann") == Key("ANNKEY", "ann secret")
    assert keys.of("id-2", "bob") == Key("BOBKEY", "bob secret")
    assert keys.of("id-3", "eve") is None
    assert path.stat().st_mode & 0o777 == 0o600
    assert keys.wrong() == ""


def test_a_file_open_to_others_is_refused(path):
    for mode in (0o640, 0o604, 0o660, 0o601):
        path.chmod(mode)
        with pytest.raises(DataError, match="open to others"):
            KeyFile(path).of("id-1", "ann")
        assert "chmod" not in KeyFile(path).wrong()


@pytest.mark.parametrize("text", ["", "{", '{"ann": "ann secret"}', '{"ann": {"key": "k"}}', "[]"])
def test_what_is_no_keys_file_is_not_repeated(path, text):
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        KeyFile(path).of("id-1", "ann")
    assert "ann secret" not in f"{caught.value.what}{caught.value.why}{caught.value.hint}"
    assert caught.value.__cause__ is None


def test_a_missing_file_says_which(tmp_path):
    with pytest.raises(DataError, match=r"nobody\.json cannot be read"):
        KeyFile(tmp_path / "nobody.json").of("id-1", "ann")


def test_a_secret_shows_nowhere():
    keys = MemoryKeys()
    keys.put("id-1", Key("KEY", "hidden words"))
    assert "hidden" not in repr(keys.of("id-1", "ann"))
    assert "hidden" not in repr(keys) + str(keys)
