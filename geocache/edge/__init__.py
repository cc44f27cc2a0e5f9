"""Where a visitor is, as the network in front of the site has written into headers.

``networks`` has one table for each network, ``values`` reads a header, ``said`` decides who is
believed, and ``filling`` completes the answer of a database.
"""

from geocache.edge.said import Said, said_of

__all__ = ["Said", "said_of"]
