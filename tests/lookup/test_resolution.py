from ipaddress import ip_address

import pytest

from geocache.exceptions import ProviderError
from geocache.lookup.metered import PaidResolver
from geocache.lookup.resolution import INCOMPLETE, FreeResolver, Resolution
from tests.factories import LONDON, a_location, use_dummy_provider

# In three networks, so that a paid provider is queried about each.
ADDRESSES = {text: ip_address(text) for text in (LONDON, "9.9.9.9", "20.0.0.1")}
ANSWERS = {
    LONDON: {"city": "London", "network": "81.2.69.0/24"},
    "9.9.9.9": {"city": "Berkeley", "network": "9.9.9.0/24"},
    "20.0.0.1": {"city": "Boydton", "network": "20.0.0.0/24"},
}

pytestmark = pytest.mark.django_db


@pytest.fixture(params=[FreeResolver(), PaidResolver()], ids=["free", "paid"])
def resolver(request):
    return request.param


@pytest.fixture
def provider(settings, resolver):
    is_metered = isinstance(resolver, PaidResolver)
    return use_dummy_provider(settings, answers=ANSWERS, is_metered=is_metered)


@pytest.fixture
def fails_on(provider, monkeypatch):
    """Let the provider fail on some addresses, and answer for others."""
    resolve = provider.resolve

    def use(*failing):
        def partly(address):
            if address in failing:
                raise ProviderError("broken")
            return resolve(address)

        monkeypatch.setattr(provider, "resolve", partly)

    return use


def cities(resolution):
    return {text: location.city for text, location in resolution.locations.items()}


def test_of__a_location_for_each_address_is_no_failure():
    locations = {LONDON: a_location(LONDON)}
    assert Resolution.of([LONDON], locations) == Resolution(locations, None)
    assert Resolution.of([], {}).failure is None


def test_of__an_address_without_a_location_is_a_failure():
    resolution = Resolution.of([LONDON, "9.9.9.9"], {LONDON: a_location(LONDON)})
    assert list(resolution.locations) == [LONDON]
    assert str(resolution.failure) == INCOMPLETE


def test_resolve__all_resolved_is_no_failure(resolver, provider):
    resolution = resolver.resolve(provider, provider.build(), ADDRESSES)
    assert cities(resolution) == {text: fields["city"] for text, fields in ANSWERS.items()}
    assert resolution.failure is None


def test_resolve__not_found_is_no_failure(resolver, provider):
    provider.answers = {}
    resolution = resolver.resolve(provider, provider.build(), ADDRESSES)
    assert resolution.locations.keys() == ADDRESSES.keys()
    assert resolution.failure is None


def test_resolve__a_partial_failure_keeps_what_was_resolved(resolver, provider, fails_on):
    fails_on("20.0.0.1")
    resolution = resolver.resolve(provider, provider.build(), ADDRESSES)
    assert cities(resolution) == {LONDON: "London", "9.9.9.9": "Berkeley"}
    assert resolution.failure is not None


def test_resolve__a_failing_provider_is_the_failure(resolver, provider):
    provider.is_failing = True
    resolution = resolver.resolve(provider, provider.build(), ADDRESSES)
    assert resolution.locations == {}
    assert str(resolution.failure) == "the dummy provider was told to fail"


def test_resolve__a_failed_round_keeps_what_earlier_rounds_paid_for(settings, monkeypatch):
    # Addresses of one /8 are queried in rounds, as one location may hold for several of them.
    provider = use_dummy_provider(settings, answers=ANSWERS, is_metered=True)
    resolve_into, rounds = provider.resolve_into, []

    def first_round_only(answers, addresses):
        rounds.append(list(addresses))
        if len(rounds) > 1:
            raise ProviderError("broken")
        resolve_into(answers, rounds[0])

    monkeypatch.setattr(provider, "resolve_into", first_round_only)
    addresses = {text: ip_address(text) for text in (LONDON, "81.200.0.1")}
    resolution = PaidResolver().resolve(provider, provider.build(), addresses)
    assert rounds == [[LONDON], ["81.200.0.1"]]
    assert cities(resolution) == {LONDON: "London"}
    assert str(resolution.failure) == "broken"
