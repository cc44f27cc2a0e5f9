from typing import Any

import pytest

from geocache.management.demo_run import CHUNK_ADDRESSES, Trial
from geocache.statistics.table import read_statistics
from tests.factories import LONDON, MOSCOW_V6, use_dummy_provider


@pytest.mark.django_db(transaction=True)
def test_trial__counts_what_it_did(settings: Any) -> None:
    use_dummy_provider(
        settings, answers={LONDON: {"country_code": "GB"}, MOSCOW_V6: {"country_code": "RU"}}
    )
    done: list[int] = []
    trial = Trial()
    trial.resolve([LONDON, MOSCOW_V6, "8.8.8.8"], done.append)
    trial.flush()
    figures = trial.to_plain()
    assert figures.pop("first_per_second") > 0
    assert figures.pop("known_per_second") > 0
    assert figures.pop("seconds") >= 0
    assert figures.pop("sources")[0]["name"] == "Dummy 1"
    assert figures == {
        "addresses": 3,
        "found": 2,
        "countries": 2,
        "dirty": 3,
        "flushed": 3,
        "pending": 0,
        "rows": 3,
    }
    assert (snapshot := read_statistics()) is not None
    assert snapshot.countries == {"GB": 1, "RU": 1}
    assert done == [3]


@pytest.mark.django_db
def test_trial__reports_each_chunk(settings: Any) -> None:
    use_dummy_provider(settings)
    done: list[int] = []
    addresses = [f"20.0.{n >> 8}.{n & 255}" for n in range(CHUNK_ADDRESSES + 1)]
    Trial().resolve(addresses, done.append)
    assert done == [CHUNK_ADDRESSES, 1]
