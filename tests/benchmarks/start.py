"""A command's start: what does geocache add to one of Django's own?"""

import tempfile

from tests.benchmarks.addresses import supply
from tests.benchmarks.fresh_process import processor_seconds
from tests.benchmarks.measure import Answer, Effort, cost, in_turn, more


def measure(effort: Effort) -> list[Answer]:
    with tempfile.TemporaryDirectory() as folder:
        figures = in_turn(
            {
                "lookup_geo ADDRESS": lambda: _run(
                    folder, ["lookup_geo", *supply.take(1)], BENCHMARK_APP="geocache"
                ),
                "diffsettings, without geocache": lambda: _run(folder, ["diffsettings"]),
                "diffsettings, with geocache": lambda: _run(
                    folder, ["diffsettings"], BENCHMARK_APP="geocache"
                ),
            },
            effort.scaled(max(10, effort.rounds), 3),
        )
    own, peer, beside = figures.values()
    bars = [
        more("more than Django's bare command", own, peer, 0.12),
        more("more than one in the same project", own, beside, 0.12),
        cost("of what Django's bare command costs", own, peer),
    ]
    question = "A management command from start to end, processor time"
    return [Answer(question, list(figures.values()), bars)]


def _run(folder: str, arguments: list[str], **environment: str) -> float:
    return processor_seconds(folder, "-m", "django", *arguments, **environment)
