import pytest

from geocache.decoding.signatures import binary_problem


@pytest.mark.parametrize("text", [b"", b"9.9.9.9\n", b"PK;9.9.9.9\n", b"7z\n", b"BZ\n", b"%PD\n"])
def test_binary_problem__is_none_of_text(text: bytes) -> None:
    assert binary_problem(text) == ""
