"""How often each country is among addresses, as people and programs read it on a terminal."""

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

from geocache import countries
from geocache.location import Location
from geocache.management.answer_output import Writer
from geocache.management.base_command import ShellCommand
from geocache.management.text_tables import Column, Table
from geocache.models import Reason

COLUMNS: Final = (Column("COUNTRY"), Column("NAME", 40), Column("COUNT", is_number=True))


class CountWriter(Writer):
    """Count answers by country, and those without one by the reason; write only the counts."""

    def __init__(self, command: ShellCommand, *, is_json: bool) -> None:
        super().__init__(command, is_json=is_json)
        # Under the code of a country, which is in capitals, or a reason, which is not.
        self.counts: Counter[str] = Counter()

    def finish(self) -> None:
        """Write the counts, the largest first, and the credits."""
        counts = self.counts.most_common()
        if self.is_json:
            self.command.stdout.write(json.dumps(self._plain(counts)))
        elif counts:
            rows = [_row(name, count) for name, count in counts]
            table = Table(COLUMNS, rows)
            heading = self.command.style.MIGRATE_HEADING(table.heading())
            self.command.stdout.write("\n".join([heading, *map(table.line, rows)]))
            super().finish()

    def _texts(self, locations: list[Location]) -> Iterable[str]:
        return [one.reason or one.country_code for one in locations]

    def _put(self, lines: Iterable[str]) -> None:
        self.counts.update(lines)

    def _plain(self, counts: list[tuple[str, int]]) -> dict[str, Any]:
        return {
            "count": self.counts.total(),
            "countries": [
                {"country_code": name, "reason": "", "count": count}
                if name not in Reason
                else {"country_code": "", "reason": name, "count": count}
                for name, count in counts
            ],
            "credits": self.thanks.of(sorted(self.shown_sources)),
        }


def _row(name: str, count: int) -> tuple[str, ...]:
    if name in Reason:
        return ("-", f"({Reason.label_of(name)})", str(count))
    return (name or "-", countries.name(name) or "-", str(count))
