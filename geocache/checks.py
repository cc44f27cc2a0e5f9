"""System checks: a wrong set-up is found by ``manage.py check``, with an id and what to do."""
