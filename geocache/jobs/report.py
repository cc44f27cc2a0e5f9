"""What came of a run of a job, as plain JSON."""

from typing import Any, Final, Literal, TypedDict

Status = Literal["done", "nothing_due", "busy", "failed", "disabled"]

DONE: Final = "done"
NOTHING_DUE: Final = "nothing_due"
BUSY: Final = "busy"
FAILED: Final = "failed"
DISABLED: Final = "disabled"


class JobReport(TypedDict):
    """One run; ``detail`` holds the job's own counts, ``error`` why it is busy, failed or off."""

    job: str
    status: Status
    seconds: float
    detail: dict[str, Any]
    error: str
