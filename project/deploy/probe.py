"""Ask the web server of this container for a page, as its proxy would: ``probe.py [PATH]``."""

import os
import sys
from http.client import HTTPConnection, HTTPException


def main(path: str) -> str:
    """Return what is wrong; the empty text when the page is there."""
    host = os.environ.get("ALLOWED_HOSTS", "localhost").split(",")[0].strip().lstrip(".")
    connection = HTTPConnection("127.0.0.1", int(os.environ.get("PORT", "8000")), timeout=5)
    try:
        connection.request("GET", path, headers={"Host": host, "X-Forwarded-Proto": "https"})
        status = connection.getresponse().status
    except (OSError, HTTPException) as error:
        return f"{path}: {error}"
    return "" if status == 200 else f"{path}: {status}"


if __name__ == "__main__":
    sys.exit(main(*(sys.argv[1:] or ["/health/ready"])) or None)
