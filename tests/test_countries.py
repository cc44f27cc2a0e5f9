from geocache.countries import sort_text


def test_sort_text__letters_with_marks_stand_among_those_without():
    countries = ["Zypern", "Österreich", "Ägypten", "Oman", "Afghanistan", "Åland", "Polen"]
    assert sorted(countries, key=sort_text) == [
        "Afghanistan",
        "Ägypten",
        "Åland",
        "Oman",
        "Österreich",
        "Polen",
        "Zypern",
    ]


def test_sort_text__capitals_make_no_difference():
    assert sort_text("ÅLAND") == sort_text("åland")
