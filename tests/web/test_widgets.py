from django.forms.utils import flatatt

from geocache.web.widgets import LongSelect

CHOICES = [("", "all"), ("GB", "United Kingdom"), ("x'\"", "<b>")]


def shown(value):
    return LongSelect(choices=CHOICES).render("country", value, {"id": "id_country"})


def test_select__one_choice_is_chosen_in_any_case():
    assert '<option value="GB" selected>United Kingdom</option>' in shown("gb")
    assert shown("gb").count("selected") == shown(None).count("selected") == 1
    assert '<option value="" selected>all</option>' in shown(None)


def test_select__is_named_and_has_its_attributes():
    assert flatatt({"name": "country", "id": "id_country"}) in shown("")


def test_select__text_is_never_markup():
    assert '<option value="x&#x27;&quot;">&lt;b&gt;</option>' in shown("")
