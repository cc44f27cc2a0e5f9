"""A small site of asynchronous views, which a test serves with a real server."""
