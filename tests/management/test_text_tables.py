from geocache.management.text_tables import Column, Table, pairs

COLUMNS = (Column("NAME"), Column("COUNT", is_number=True), Column("PLACE", 6))


def test_table__is_as_wide_as_its_first_rows() -> None:
    rows = [("one", "1", "Rome"), ("twelve", "12", "")]
    table = Table(COLUMNS, rows)
    assert [*table.heading().splitlines(), *map(table.line, rows)] == [
        "NAME    COUNT  PLACE",
        "------  -----  -----",
        "one         1  Rome",
        "twelve     12",
    ]


def test_table__a_later_row_is_not_cut_to_the_widths() -> None:
    table = Table(COLUMNS, [("one", "1", "Rome")])
    assert table.line(("2a02:6b8::1", "1", "x")) == "2a02:6b8::1      1  x"


def test_table__a_cell_is_cut_to_its_limit() -> None:
    table = Table(COLUMNS, [])
    assert table.line(("a", "1", "Llanfair")) == "a         1  Llanf…"


def test_table__cannot_move_the_cursor() -> None:
    table = Table(COLUMNS, [])
    assert table.line(("a\x1b[2J\n", "1", "x")) == "a?[2J?      1  x"


def test_pairs__further_lines_stand_below() -> None:
    assert pairs([("One", "a\nb"), ("Three", "c")]) == "One    a\n       b\nThree  c"


def test_pairs__an_empty_value() -> None:
    assert pairs([("One", "")]) == "One"
