"""What a page stands in: a frame of our own, or the project's template of ``BASE_TEMPLATE``."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from django.contrib.auth.context_processors import PermWrapper
from django.contrib.messages import get_messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template import TemplateDoesNotExist, TemplateSyntaxError
from django.template.base import Node, Template, VariableNode
from django.template.loader import get_template
from django.template.loader_tags import BlockNode, ExtendsNode

from geocache import conf

# What a page fills of the project's template.
BLOCKS: Final = ("title", "extra_head", "content")
# What all pages extend, and what that puts into the project's template.
ROOT: Final = "geocache/base.html"


def render_page(
    request: HttpRequest,
    template: str,
    context: Mapping[str, Any],
    *,
    status: int = HTTPStatus.OK,
) -> HttpResponse:
    """Return a page in its frame. It needs none of the project's context processors."""
    user = getattr(request, "user", None)
    shown = {
        "request": request,
        "user": user,
        "perms": PermWrapper(user),
        "messages": get_messages(request),
        "geocache_host_template": conf.get("BASE_TEMPLATE"),
    }
    return render(request, template, shown | dict(context), status=status)


def problem() -> str:
    """Return why the pages cannot stand in ``BASE_TEMPLATE``, or the empty text."""
    name = conf.get("BASE_TEMPLATE")
    try:
        return _problem_of(_inheritance(name), name) if name else ""
    except TemplateDoesNotExist as error:
        if str(error) == name:
            return f"there is no Django template {name}"
        return f"the template {name} extends {error}, which is not there"
    except (TemplateSyntaxError, UnicodeDecodeError) as error:
        return f"the template {name} cannot be used: {error}"
    except OSError as error:
        return f"the template {name} cannot be read: {error.strerror}"


def _problem_of(chain: Sequence[Template], name: str) -> str:
    # A template that was found has its name.
    if any(one.origin.template_name == ROOT for one in chain):
        return f"{name} extends {ROOT}, which extends {name}: extend geocache/frame.html instead"
    shown = _shown_blocks(chain)
    if lacking := [block for block in BLOCKS if block not in shown]:
        return f"the template {name} does not show the block {', '.join(lacking)}"
    return ""


def _inheritance(name: str) -> list[Template]:
    """Return a template and all that it extends; none where only a request tells what that is."""
    # The engine that finds the pages is the one that looks for what they extend.
    page: Any = get_template(ROOT)
    engine = page.template.engine
    chain: list[Template] = []
    wanted: str | None = name
    while wanted is not None:
        # A template may extend the one of its own name that is found after it.
        found, _ = engine.find_template(wanted, skip=[one.origin for one in chain])
        chain.append(found)
        extends = _extends(found)
        if extends is None or wanted == ROOT:
            return chain
        wanted = _literal(extends)
    return []


def _extends(template: Template) -> ExtendsNode | None:
    return next((one for one in template.nodelist if isinstance(one, ExtendsNode)), None)


def _literal(extends: ExtendsNode) -> str | None:
    """Return the name that a template extends, None where it is a variable."""
    parent: Any = extends.parent_name
    return str(parent.var) if isinstance(parent.var, str) and not parent.filters else None


def _shown_blocks(chain: Sequence[Template]) -> frozenset[str]:
    """Return the names of the blocks that a page can fill; all where that cannot be told."""
    if not chain:
        return frozenset(BLOCKS)
    overrides = [_blocks_of(template) for template in chain]
    found: set[str] = set()
    waiting = list(_blocks_in(chain[-1].nodelist))
    while waiting:
        name = waiting.pop().name
        if name in found:
            continue
        found.add(name)
        # What the last one puts in its place is shown, and the one before it by block.super.
        for block in (blocks[name] for blocks in overrides if name in blocks):
            waiting += _blocks_in(block.nodelist)
            if not _shows_super(block):
                break
    return frozenset(found)


def _blocks_in(nodes: Iterable[Node]) -> Iterator[BlockNode]:
    """Return the outermost blocks among some nodes."""
    for node in nodes:
        if isinstance(node, BlockNode):
            yield node
            continue
        for inner in node.child_nodelists:
            yield from _blocks_in(getattr(node, inner, None) or ())


def _blocks_of(template: Template) -> dict[str, BlockNode]:
    """Return all blocks of one template, also those inside of others."""
    found: Any = template.nodelist.get_nodes_by_type(BlockNode)
    return {one.name: one for one in found}


def _shows_super(block: BlockNode) -> bool:
    shown: Any = block.nodelist.get_nodes_by_type(VariableNode)
    return any("block.super" in str(one.filter_expression.token) for one in shown)
