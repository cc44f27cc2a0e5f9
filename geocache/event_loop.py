"""Whether the caller is inside of an event loop, where nothing may block."""

import asyncio


def is_running() -> bool:
    """Tell whether an event loop runs in this thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
