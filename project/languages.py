"""Which languages there are: English, and each that somebody has translated it into."""

from pathlib import Path

from django.utils.translation import get_language_info, to_language


def translated(folder: Path) -> list[tuple[str, str]]:
    """Return code and own name of English and of the compiled translations below ``folder``."""
    files = folder.glob("*/LC_MESSAGES/django.mo")
    codes = sorted(to_language(file.parts[-3]) for file in files)
    return [(code, get_language_info(code)["name_local"]) for code in ("en", *codes)]
