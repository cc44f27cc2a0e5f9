"""Say a thing once in a while instead of once an answer."""

import time


class Throttle:
    """True once in ``seconds``, for messages about a state that lasts."""

    def __init__(self, *, seconds: float) -> None:
        self.seconds = seconds
        self._due_at = 0.0

    def is_due(self) -> bool:
        """Tell whether it is time to say it, and count this as said."""
        now = time.monotonic()
        if now < self._due_at:
            return False
        self._due_at = now + self.seconds
        return True
