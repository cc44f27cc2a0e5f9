"""Labels that lists give to addresses: traits beside those that providers state.

A list that is marked as a label gives it to each address that is on it, alone or inside a network.
No answer that is stored has it: labels are added where answers are shown.
"""

from geocache.labels.answers import given_to, label_names, labelled, labels_of
from geocache.labels.by_hand import give_label
from geocache.labels.names import label_of, label_problem
from geocache.labels.table import counts, rows_with

__all__ = [
    "counts",
    "give_label",
    "given_to",
    "label_names",
    "label_of",
    "label_problem",
    "labelled",
    "labels_of",
    "rows_with",
]
