import pytest

from geocache.languages import is_language, keys_in_order, keys_of


@pytest.mark.parametrize(
    ("language", "keys"),
    [
        ("de", ("de",)),
        ("DE", ("de",)),
        ("de-at", ("de-AT", "de")),
        ("pt-br", ("pt-BR", "pt")),
        ("pt", ("pt", "pt-BR")),
        ("pt-pt", ("pt-PT", "pt", "pt-BR")),
        ("es-419", ("es-419", "es")),
        ("zh-cn", ("zh-CN",)),
        ("zh-hans", ("zh-hans", "zh-CN")),
        ("zh", ("zh", "zh-CN")),
        # These are not read by those who read the others.
        ("zh-tw", ("zh-TW",)),
        ("zh-hant", ("zh-hant", "zh-TW")),
        ("zh-hk", ("zh-HK", "zh-TW")),
        ("sr-latn", ("sr-latn",)),
        ("zh-Hant-TW", ("zh-hant-TW", "zh-hant", "zh-TW")),
        ("zh-Hans-CN", ("zh-hans-CN", "zh-hans", "zh-CN")),
        ("sr-Latn-RS", ("sr-latn-RS", "sr-latn")),
        ("de-AT-1996", ("de-AT-1996", "de-AT", "de")),
    ],
)
def test_keys_of__the_best_comes_first(language, keys):
    assert keys_of(language) == keys


NONSENSE = ["", "-", "d", "german", "de_DE", "de-", "de\n", "de;q=1", "*", "../de", "\0", "é1"]


@pytest.mark.parametrize("language", [*NONSENSE, "de" * 9_999, "de" + "-at" * 9_999])
def test_keys_of__nonsense_has_none(language):
    assert keys_of(language) == ()
    assert not is_language(language)


@pytest.mark.parametrize("value", [None, 7, b"de", ["de"]])
def test_is_language__is_a_text(value):
    assert not is_language(value)


def test_keys_in_order__english_is_the_last():
    assert keys_in_order(["de-at", "pt"]) == ("de-AT", "de", "pt", "pt-BR", "en")
    assert keys_in_order(["en", "de"]) == ("en", "de")
    assert keys_in_order([None, 7, "-"]) == keys_in_order([]) == ("en",)
