"""System checks of what the pages need from the project that they are a part of."""

from typing import Any

from django.core.checks import CheckMessage, Error, Tags, register
from django.core.checks import Warning as Caution

from geocache import conf
from geocache.mounts import PAGES, is_included


@register(Tags.templates)
def check_base_template(**_: Any) -> list[CheckMessage]:
    """Check that the project's template for the pages is there, and has the blocks they fill."""
    if conf.problems():
        return []
    # What these need is loaded by processes that show pages, and by the checks alone.
    from geocache.web import frame  # noqa: PLC0415 - see above

    problem = frame.problem()
    hint = 'See "In the frame of your site" in docs/integration.md.'
    said = f'GEOCACHE["BASE_TEMPLATE"]: {problem}.'
    return [Error(said, hint=hint, id="geocache.E065")] if problem else []


@register(Tags.urls)
def check_log_in(**_: Any) -> list[CheckMessage]:
    """Check that somebody who has to log in can be sent somewhere."""
    if not is_included(PAGES):
        return []
    from geocache.web import log_in  # noqa: PLC0415 - see above

    problem = log_in.problem()
    hint = "Set LOGIN_URL to the project's page to log in, or include the addresses of the admin."
    return [Caution(f"{problem}.", hint=hint, id="geocache.W060")] if problem else []
