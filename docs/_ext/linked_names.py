"""Names of the package lead to the reference: in signatures, and as code in the text of every page."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.osutil import relative_uri

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.domains.python import PythonDomain
    from sphinx.util.typing import ExtensionMetadata

_CODE = re.compile(
    r"(?:await )?(?P<name>[A-Za-z_][\w.]*)(?:\(.*\))?"
    r"|(?:tuple|list)?\[?(?P<type>[A-Z]\w*)(?:, \.\.\.)?\]?(?: \| None)?",
    re.DOTALL,
)
"""A name, a call of it, or a type of such values."""
_LINKED = (nodes.reference, pending_xref, nodes.title, nodes.raw)


class Target(NamedTuple):
    """Where a name is told of."""

    page: str
    anchor: str
    is_call: bool
    """Whether it is a function, or an operation of a resource."""


class Names:
    """What the reference tells of, by full names and by their last parts."""

    def __init__(self, domain: PythonDomain) -> None:
        self._full = {
            name: Target(one.docname, one.node_id, one.objtype == "function" or name.startswith("meitner."))
            for name, one in domain.objects.items()
            if not one.aliased
        }
        self._short: dict[str, list[str]] = defaultdict(list)
        for name in self._full:
            self._short[name.removeprefix("meitner_aio.")].append(name)
            self._short[name.rpartition(".")[2]].append(name)

    def find(self, text: str, page: str, *, words: bool = True) -> Target | None:
        """Return what code means on a page: what that page tells of, what the package exports, or the only one.

        Without `words`, a word in lower case, or in capitals, is a name only on the page that tells of such a function.
        """
        said = _CODE.fullmatch(text)
        name = said["name"] or said["type"] if said else ""
        if name in self._full:
            return self._full[name]
        found = [*dict.fromkeys(self._short.get(name, ()))]
        here = [one for one in found if self._full[one].page == page]
        if not words and (name.islower() or name.isupper()) and "." not in name:
            found = here = [one for one in here if self._full[one].is_call]
        ours = [one for one in found if one == f"meitner_aio.{name}"]
        several = next((one for one in (here, ours, found) if len(one) == 1), None)
        return self._full[several[0]] if several else None


@cache
def _names(domain: PythonDomain) -> Names:
    return Names(domain)


class LinkNames(SphinxPostTransform):
    """Link the names of signatures, and code in the text that is a name, before Sphinx guesses what they mean."""

    default_priority = 5
    formats = ("html",)

    def run(self, **_: object) -> None:
        """Replace what is found; a name of a signature that is not of the package stays text."""
        names, page = _names(self.env.domains.python_domain), self.env.current_document.docname
        for node in list(self.document.findall(pending_xref)):
            if node.get("refdomain") == "py":
                _replace(node, page, names.find(node["reftarget"], page), node.children)
        for literal in list(self.document.findall(nodes.literal)):
            target = None if _is_inside(literal, _LINKED) else names.find(literal.astext(), page, words=False)
            if target is not None:
                _replace(literal, page, target, [literal.deepcopy()])


def _replace(node: nodes.Element, page: str, target: Target | None, children: Sequence[nodes.Node]) -> None:
    if target is None:
        node.replace_self(list(children))
        return
    where = "" if page == target.page else relative_uri(f"{page}.html", f"{target.page}.html")
    node.replace_self(nodes.reference("", "", *children, internal=True, refuri=f"{where}#{target.anchor}"))


def _is_inside(node: nodes.Node, kinds: tuple[type[nodes.Node], ...]) -> bool:
    above = node.parent
    while above is not None and not isinstance(above, kinds):
        above = above.parent
    return above is not None


def setup(app: Sphinx) -> ExtensionMetadata:
    """Connect to Sphinx."""
    app.add_post_transform(LinkNames)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
