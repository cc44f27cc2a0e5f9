"""Where a visitor is, as the network in front of the site has written into headers."""
