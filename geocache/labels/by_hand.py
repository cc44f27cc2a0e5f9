"""Mark a list as a label by hand: with the command, or in the admin."""

from geocache.labels.follow import changed_by_hand
from geocache.models import ImportSource


def give_label(name: str, label: str) -> None:
    """Give the list ``name`` a label, or take the one away that it was given by hand.

    ``label`` is one without ``label_problem``, or empty.
    """
    # Only this column: a process that imports the list writes to the others.
    if ImportSource.objects.filter(name=name).exclude(label=label).update(label=label):
        changed_by_hand()
