from geocache.text import printable


def test_printable__replaces_what_no_page_may_hold_and_nothing_else():
    assert printable("a\x00\x1b\x7f\x9f\ufdd0\uffff") == "a" + 6 * "\ufffd"
    assert printable("a\t\n\r <b> é 😀") == "a\t\n\r <b> é 😀"
