"""What traits are called on pages, in the reader's language."""


def trait_name(trait: str) -> str:
    """Return the name of a trait for people; an unknown one in words."""
    return trait.replace("_", " ")
