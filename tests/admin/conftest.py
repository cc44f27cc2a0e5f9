"""Somebody who is logged in."""

import pytest

from tests.factories import a_viewer, an_admin


@pytest.fixture
def viewer(client):
    client.force_login(a_viewer())
    return client


@pytest.fixture
def superuser(client):
    client.force_login(an_admin())
    return client
