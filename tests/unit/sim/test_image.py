"""Register image files: what is taken, and what is said when it is not."""

from pathlib import Path

import pytest

from tinybms_sim.image import ImageError, load_overrides, words_with


def test_numbers_may_be_decimal_hex_or_negative(tmp_path: Path) -> None:
    file = tmp_path / "image.json"
    file.write_text('{"36": 7864, "0x25": "0x425F", "48": -205}')
    assert load_overrides(file) == {36: 7864, 37: 0x425F, 48: 0xFF33}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[1]", "expected an object"),
        ("{", "expected JSON"),
        ('{"36": 65536}', "36"),
        ('{"36": 1.5}', "36"),
        ('{"36": true}', "36"),
        ('{"volt": 1}', "volt"),
        ('{"70000": 1}', "70000"),
    ],
)
def test_a_bad_file_is_refused_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "image.json"
    file.write_text(text)
    with pytest.raises(ImageError, match=said) as caught:
        load_overrides(file)
    assert str(file) in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="nothing-here"):
        load_overrides(tmp_path / "nothing-here.json")


def test_given_cells_make_a_pack_of_their_number() -> None:
    words = words_with(dict.fromkeys(range(2, 16), 33000), 254)
    assert (words[53], words[307], words[0], words[1]) == (14, 14, 0, 0)


def test_what_is_given_is_never_recomputed() -> None:
    given = dict.fromkeys(range(16), 33000) | {36: 1, 37: 2, 40: 3, 53: 15, 307: 14, 104: 9, 34: 8}
    words = words_with(given, 254)
    assert {a: words[a] for a in given} == given
