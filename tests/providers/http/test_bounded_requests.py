import gzip

import pytest
import requests

from geocache.providers.http import bounded_requests
from geocache.providers.http.bounded_requests import (
    MAX_BODY_BYTES,
    bound,
)
from geocache.providers.http.rest import Rest
from tests.support.http_server import Reply, serving


@pytest.fixture
def service():
    with serving() as stand_in:
        yield stand_in


def get(stand_in, rest=None):
    with requests.Session() as session:
        return bound(session, rest or Rest(), 2).get(f"http://{stand_in.host}/", timeout=2)


def test_bound__a_body_comes_whole(service):
    body = bytes(range(256)) * (MAX_BODY_BYTES // 256)
    service.answer(Reply(body=body))
    assert get(service).content == body


def test_bound__one_byte_more_is_refused(service):
    service.answer(Reply(body=bytes(MAX_BODY_BYTES + 1)))
    with pytest.raises(bounded_requests.TooLarge):
        get(service)


def test_bound__what_is_compressed_is_measured_unpacked(service):
    zipped = {"Content-Encoding": "gzip"}
    service.answer(Reply(body=gzip.compress(b"text", mtime=0), headers=zipped))
    assert get(service).content == b"text"
    service.answer(Reply(body=gzip.compress(bytes(MAX_BODY_BYTES * 50), mtime=0), headers=zipped))
    with pytest.raises(bounded_requests.TooLarge):
        get(service)
