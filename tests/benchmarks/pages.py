"""``python -m tests.benchmarks.pages --rows 1000000``: what each page costs over a large table.

The table is in a database of its own beside the one that ``DATABASE_URL`` names, and stays there:
ten million rows are made once. ``--anew`` makes it again, after a change of migrations or of rows.
"""

import argparse
import os
from pathlib import Path


def main() -> None:
    """Make the table, ask for each page, and print what it cost."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.pages", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="in the table (1000000)")
    parser.add_argument("--requests", type=int, default=20, help="of each page (20)")
    parser.add_argument("--anew", action="store_true", help="make the database again")
    parser.add_argument("--only", default="", help="pages whose line contains this")
    options = parser.parse_args()
    set_up(options.rows, is_kept=not options.anew)

    from tests.benchmarks import full_table, machine, page_costs

    full_table.fill(options.rows)
    machine.print_machine()
    print(f"{options.rows:,} rows; {options.requests} requests a page, after one to warm up\n")
    page_costs.print_head()
    for page in page_costs.pages():
        if options.only in page.label:
            page_costs.print_cost(page, options.requests)


def set_up(rows: int, *, is_kept: bool) -> None:
    """Start Django on a database that is kept, beside that of the environment."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    os.environ["CACHE_KEY_PREFIX"] = "geocache-pages"
    os.environ.setdefault("LOG_LEVEL", "ERROR")

    import django

    django.setup()
    from django.conf import settings
    from django.db import connection
    from django.test.utils import setup_databases

    settings.ALLOWED_HOSTS = ["testserver"]
    name = f"{connection.settings_dict['NAME']}_pages_{rows}"
    if connection.vendor == "sqlite":
        folder = Path(settings.BASE_DIR) / "var"
        folder.mkdir(exist_ok=True)
        name = str(folder / f"pages_{rows}.sqlite3")
    connection.settings_dict["TEST"]["NAME"] = name
    setup_databases(verbosity=0, interactive=False, keepdb=is_kept, serialized_aliases=set())


if __name__ == "__main__":
    main()
