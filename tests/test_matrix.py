"""What pyproject.toml, the sessions of nox, pre-commit and the workflow file say of each other."""

import ast
import re
import tomllib
from pathlib import Path

import yaml

import noxfile

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def classified(subject):
    """Return the versions of the classifiers of Python or of Django, in their order."""
    pattern = re.compile(re.escape(subject) + r" :: (\d+\.\d+)")
    return [match[1] for one in PROJECT["classifiers"] if (match := pattern.fullmatch(one))]


def minor(version):
    return tuple(map(int, version.split(".")))


def test_classifiers__begin_with_the_oldest_that_can_be_installed():
    (django,) = [one for one in PROJECT["dependencies"] if re.match(r"django[<>=]", one)]
    assert PROJECT["requires-python"] == f">={classified('Programming Language :: Python')[0]}"
    assert django.startswith(f"django>={classified('Framework :: Django')[0]},")


def test_unit_session__runs_on_each_python_with_each_django_that_can_have_it():
    pythons, djangos = (
        classified("Programming Language :: Python"),
        classified("Framework :: Django"),
    )
    assert {python for python, _ in noxfile.PAIRS} == set(pythons)
    assert {django for _, django in noxfile.PAIRS} == set(djangos)
    expected = [
        (python, django)
        for python in pythons
        for django in djangos
        # Django 6 needs Python 3.12.
        if minor(django) < (6,) or minor(python) >= (3, 12)
    ]
    assert expected == noxfile.PAIRS


def test_ends__are_the_oldest_and_the_newest():
    pythons, djangos = (
        classified("Programming Language :: Python"),
        classified("Framework :: Django"),
    )
    assert (min(pythons, key=minor), min(djangos, key=minor)) == noxfile.OLDEST
    assert (max(pythons, key=minor), max(djangos, key=minor)) == noxfile.NEWEST


def test_where_both_meet__are_folders_of_tests():
    assert all(list((ROOT / one).glob("test_*.py")) for one in noxfile.WHERE_BOTH_MEET)


def sessions_in_ci():
    """Return the sessions that ``.ci/run`` names."""
    lines = re.findall(r"^sessions .*--session (.+)$", (ROOT / ".ci/run").read_text(), re.MULTILINE)
    return [name for line in lines for name in line.split()]


def test_ci__runs_every_session():
    syntax = ast.parse((ROOT / "noxfile.py").read_text())
    sessions = [
        node.name
        for node in syntax.body
        if isinstance(node, ast.FunctionDef)
        and any(ast.unparse(one).startswith("nox.session") for one in node.decorator_list)
    ]
    assert sorted(sessions_in_ci()) == sorted(sessions)


def test_workflow__calls_ci_with_each_service():
    (job,) = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"].values()
    assert [step["run"] for step in job["steps"] if ".ci/run" in step.get("run", "")] == [".ci/run"]
    urls = [url for name, url in job["env"].items() if name.startswith("GEOCACHE_TEST_")]
    hosts = {re.match(r"\w+://(?:\w+@)?(\w+):", url)[1] for url in urls}
    assert hosts == set(job["services"]) == {"postgres", "mariadb", "redis"}


def test_pre_commit__runs_the_tools_of_the_project():
    repositories = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    (local,) = [one for one in repositories if one["repo"] == "local"]
    assert [hook["id"] for hook in local["hooks"]] == ["ruff", "ruff-format", "mypy"]
    assert all(hook["entry"].startswith("uv run ") for hook in local["hooks"])
    others = [one["repo"] for one in repositories if one["repo"] != "local"]
    assert others == ["https://github.com/pre-commit/pre-commit-hooks"]
