"""Options that the programs of this folder share."""

import argparse
from collections.abc import Sequence


def add_only(parser: argparse.ArgumentParser, questions: Sequence[str]) -> None:
    """Add ``--only``, which chooses some of ``questions``; all without it."""
    parser.add_argument(
        "--only",
        nargs="+",
        choices=questions,
        default=questions,
        metavar="NAME",
        help=f"of {', '.join(questions)}",
    )
