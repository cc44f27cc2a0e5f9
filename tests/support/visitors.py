"""What a project may name in CLIENT_IP_HEADER."""

from django.http import HttpRequest

TEXT = "not callable"


def told(request: HttpRequest) -> str:
    return "81.2.69.142" if request.META["REMOTE_ADDR"] else ""


def told_with_port(request: HttpRequest) -> str:
    return f"{told(request)}:443"


def not_told(_: HttpRequest) -> None:
    return None


def fails(_: HttpRequest) -> str:
    raise RuntimeError("of the project")
