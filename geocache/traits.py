"""What kind of network an address is in: labels by the names of MaxMind, for people."""

import re
from typing import Final

# Labels that an answer may have; what is longer or more is left out.
MAX_LENGTH: Final = 40
MAX_COUNT: Final = 12
LABEL: Final = re.compile(rf"[a-z0-9_]{{1,{MAX_LENGTH}}}")
# People hide behind such an address.
ANONYMOUS: Final = frozenset(
    (
        "anonymous",
        "anonymous_proxy",
        "anonymous_vpn",
        "consumer_privacy_network",
        "proxy",
        "public_proxy",
        "relay",
        "residential_proxy",
        "tor",
        "tor_exit_node",
        "vpn",
        "web_proxy",
    )
)
# A machine in a data centre, and most likely no person.
HOSTING: Final = frozenset(("cloud", "hosting", "hosting_provider"))
