"""The site of the bundled project, whose responses say which code and which process made them."""

import os
from pathlib import Path

import geocache
from project.wsgi import application as site

CODE = str(Path(geocache.__file__).resolve().parent.parent)


def application(environ, start_response):
    def start(status, headers, *more):
        own = [("X-Code", CODE), ("X-Process", str(os.getpid()))]
        return start_response(status, [*headers, *own], *more)

    return site(environ, start)
