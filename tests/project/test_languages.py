from project.languages import translated


def test_translated__english_and_each_compiled_file(tmp_path):
    for name in ("pt_BR", "fr"):
        folder = tmp_path / name / "LC_MESSAGES"
        folder.mkdir(parents=True)
        (folder / "django.mo").touch()
    (tmp_path / "it" / "LC_MESSAGES").mkdir(parents=True)
    assert translated(tmp_path) == [
        ("en", "English"),
        ("fr", "français"),
        ("pt-br", "Português Brasileiro"),
    ]


def test_translated__those_of_the_project(settings):
    assert settings.LANGUAGES == [("en", "English"), ("de", "Deutsch")]
