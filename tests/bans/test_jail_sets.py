"""The commands of actions as servers of fail2ban have them, and what the tools answer."""

import json
from collections.abc import Sequence

import pytest

from geocache.bans.jail_sets import find_sets
from geocache.bans.ranges import Range
from geocache.exceptions import BanError

SETS = "nft add set inet f2b-table <addr_set> \\{ type <addr_type>\\;"
NFTABLES = {
    "actionban": "nft add element inet f2b-table <addr_set> \\{ <ip> \\}",
    "actionstart": f"nft add table inet f2b-table\n{SETS} \\}}",
    "addr_set": "addr-set-<name>",
    "addr_set?family=inet6": "addr6-set-<name>",
    "name": "geocache",
}
INTERVAL = {**NFTABLES, "actionstart": f"{SETS} flags interval\\; \\}}"}
IPSET = {
    "actionban": "ipset -exist add <ipmset> <ip> timeout 0",
    "actionstart": "ipset -exist create <ipmset> hash:ip timeout 0 <familyopt>",
    "ipmset": "f2b-<name>",
    "ipmset?family=inet6": "f2b-<name>6",
    "name": "geocache",
}
IPTABLES = {
    "actionban": "<iptables> -I f2b-geocache 1 -s <ip> -j <blocktype>",
    "actionstart": "<iptables> -N f2b-geocache",
}
NOTE = {"actionban": 'echo "ban <ip>"', "actionstart": ""}


class Server:
    """Answers as ``fail2ban-client get JAIL ...`` does."""

    def __init__(self, **actions: dict[str, str]) -> None:
        self.actions = actions

    def __call__(self, *words: str) -> str:
        if words[2] == "actions":
            if not self.actions:
                return "No actions for jail geocache\n"
            return f"The jail geocache has the following actions:\n{', '.join(self.actions)}\n"
        held = self.actions[words[3]]
        if words[4] not in held:
            raise BanError(f"'CommandAction' object has no attribute '{words[4]}'")
        return f"{held[words[4]]}\n"


@pytest.mark.parametrize(
    ("action", "takes_networks", "ipv4", "ipv6"),
    [
        (
            NFTABLES,
            False,
            "nft -j list set inet f2b-table addr-set-geocache",
            "nft -j list set inet f2b-table addr6-set-geocache",
        ),
        (
            INTERVAL,
            True,
            "nft -j list set inet f2b-table addr-set-geocache",
            "nft -j list set inet f2b-table addr6-set-geocache",
        ),
        (IPSET, False, "ipset save f2b-geocache", "ipset save f2b-geocache6"),
        (IPTABLES, True, "iptables -w -S f2b-geocache", "ip6tables -w -S f2b-geocache"),
    ],
)
def test_find_sets__tells_by_the_commands_of_an_action(
    action: dict[str, str], takes_networks: bool, ipv4: str, ipv6: str
) -> None:
    (found,) = find_sets(Server(blocking=action), "geocache")
    assert found.action == "blocking"
    assert found.takes_networks is takes_networks
    assert [" ".join(found.commands[version]) for version in (4, 6)] == [ipv4, ipv6]


def test_find_sets__passes_over_what_it_does_not_know() -> None:
    assert find_sets(Server(), "geocache") == []
    # An action in Python has none of these.
    found = find_sets(Server(note=NOTE, smtp={}, nftables=NFTABLES), "geocache")
    assert [one.action for one in found] == ["nftables"]


IPTABLES_SAYS = """\
-N f2b-geocache
-A f2b-geocache -s 9.9.9.9/32 -j REJECT --reject-with icmp-port-unreachable
-A f2b-geocache -s 1.0.0.0/24 -j REJECT --reject-with icmp-port-unreachable
-A f2b-geocache -j RETURN
"""
NFT_SAYS = {
    "nftables": [
        {"metainfo": {"version": "1.0.6"}},
        {
            "set": {
                "name": "addr-set-geocache",
                "elem": [
                    "9.9.9.9",
                    {"prefix": {"addr": "1.0.0.0", "len": 24}},
                    {"range": ["1.1.1.1", "1.1.1.7"]},
                    {"elem": {"val": "8.8.8.8", "timeout": 600}},
                    {"elem": {"val": {"prefix": {"addr": "8.8.4.0", "len": 24}}, "expires": 3}},
                ],
            }
        },
    ]
}


@pytest.mark.parametrize(
    ("action", "said", "held"),
    [
        (
            NFTABLES,
            json.dumps(NFT_SAYS),
            ["9.9.9.9", "1.0.0.0/24", "1.1.1.1-1.1.1.7", "8.8.8.8", "8.8.4.0/24"],
        ),
        (NFTABLES, '{"nftables": [{"set": {"name": "x"}}]}', []),
        (
            IPSET,
            "create f2b-geocache hash:ip family inet\nadd f2b-geocache 9.9.9.9 timeout 0\n",
            ["9.9.9.9"],
        ),
        (
            IPTABLES,
            IPTABLES_SAYS,
            ["9.9.9.9", "1.0.0.0/24"],
        ),
    ],
)
def test_read__gives_what_the_set_holds(action: dict[str, str], said: str, held: list[str]) -> None:
    (found,) = find_sets(Server(blocking=action), "geocache")
    assert found.read(lambda _: said, 4) == [Range.parse(one) for one in held]


def _fail(command: Sequence[str]) -> str:
    raise BanError(f"{command[0]} has failed with exit code 1: Operation not permitted")


@pytest.mark.parametrize(
    "said", ["", "{}", "[]", '{"nftables": [1]}', '{"nftables": [{"set": {"elem": [{}]}}]}']
)
def test_read__tells_nothing_where_it_cannot_be_read(said: str) -> None:
    (found,) = find_sets(Server(blocking=NFTABLES), "geocache")
    assert found.read(lambda _: said, 4) is None
    assert found.read(_fail, 4) is None


@pytest.mark.parametrize(
    ("action", "said"),
    [
        (NFTABLES, "Error: No such file or directory list set inet f2b-table addr-set-geocache"),
        (IPSET, "ipset v7.17: The set with the given name does not exist"),
        (IPTABLES, "iptables: No chain/target/match by that name."),
    ],
)
def test_read__of_a_set_that_is_gone_is_empty(action: dict[str, str], said: str) -> None:
    def run(command: Sequence[str]) -> str:
        raise BanError(f"{command[0]} has failed with exit code 1: {said}")

    (found,) = find_sets(Server(blocking=action), "geocache")
    assert found.read(run, 4) == []


def test_read__of_a_program_that_is_not_there_tells_nothing() -> None:
    def run(command: Sequence[str]) -> str:
        raise BanError(f"{command[0]} cannot be run: No such file or directory")

    (found,) = find_sets(Server(blocking=NFTABLES), "geocache")
    assert found.read(run, 4) is None
