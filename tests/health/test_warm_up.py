import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from geocache.health import parts, warm_up
from tests.support.commands import environment, run
from tests.support.processes import ROOT

pytestmark = pytest.mark.any_services
CODE = """
import json, sys, django
django.setup()
from geocache.health import parts, warm_up
warm_up.warm_up()
silent = sorted(parts.read(0).silent_parts)
print(json.dumps([silent, "geocache.web.views.dashboard" in sys.modules]))
"""


@pytest.mark.slow
def test_warm_up__loads_the_views_and_reads_each_part(tmp_path: Path) -> None:
    assert run(tmp_path, "migrate", "-v0").returncode == 0
    env = environment(tmp_path, DJANGO_SETTINGS_MODULE="project.settings")
    ended = subprocess.run(
        [sys.executable, "-c", CODE], cwd=ROOT, env=env, capture_output=True, text=True, check=True
    )
    silent, has_views = json.loads(ended.stdout)
    assert not silent
    assert has_views


def test_warm_up__addresses_that_cannot_be_loaded_end_nothing(settings: Any) -> None:
    settings.ROOT_URLCONF = "no.such.module"
    warm_up.warm_up()


def test_warm_up__in_a_test_reads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: float) -> None:
        raise AssertionError

    monkeypatch.setattr(parts, "read", fail)
    warm_up.warm_up()
