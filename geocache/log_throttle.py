"""Rate-limit a log message."""

import time


class LogThrottle:
    """Lets one message through in ``seconds``, for messages about a state that lasts."""

    def __init__(self, *, seconds: float) -> None:
        self.seconds = seconds
        self.reset()

    def reset(self) -> None:
        """Let the next message through."""
        self._due_at = 0.0

    def is_due(self) -> bool:
        """Tell whether the message is due, and count it as logged."""
        now = time.monotonic()
        if now < self._due_at:
            return False
        self._due_at = now + self.seconds
        return True
