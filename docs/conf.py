"""Settings of the site, which `make site` builds from this folder."""

import hashlib
import os
import re
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from numpydoc.xref import DEFAULT_LINKS
from sphinx.application import Sphinx
from sphinx.ext.autosummary import import_by_name
from sphinx.util.nodes import make_refnode

import peculiar

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
sys.path.insert(0, str(DOCS))

import make_doors  # noqa: E402

_project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

project = "peculiar"
author = _project["authors"][0]["name"]
copyright = author
version = release = _project["version"]

extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_copybutton",
    "sphinx_design",
]
exclude_patterns = ["_templates", "*.py"]
templates_path = ["_templates"]
language = "en"

# A single backtick in a docstring is a link where the name can be found, and italic where it is an argument.
default_role = "autolink"
autosummary_generate = True
autodoc_typehints = "none"  # numpydoc states the types, with the shapes and units that an annotation lacks
autodoc_member_order = "groupwise"
numpydoc_show_class_members = False
# Types link to the classes of this package; lists of the classes of others would have to be downloaded.
DEFAULT_LINKS.clear()
numpydoc_xref_param_type = True
numpydoc_xref_ignore = "all"
numpydoc_xref_aliases = {name: f"peculiar.{name}" for name in peculiar.__all__ if name[0].isupper()}
nitpick_ignore = [("py:obj", "astropy.table.Table"), ("py:obj", "pandas.DataFrame")]

myst_enable_extensions = ["attrs_block", "attrs_inline", "colon_fence", "deflist"]
myst_heading_anchors = 4

# Notebooks are executed again when they, the package or the real galaxies have changed.
_code = hashlib.sha256(os.environ.get("PECULIAR_DATA", "").encode())
for _file in sorted((ROOT / "src" / "peculiar").rglob("*.py")):
    _code.update(_file.read_bytes())
nb_execution_mode = "cache"
nb_execution_cache_path = str(ROOT / "build" / "notebooks" / _code.hexdigest()[:16])
nb_execution_in_temp = True
nb_execution_timeout = 900  # seconds of one cell, also on a busy machine
nb_execution_excludepatterns = [] if find_spec("keras") else ["notebooks/keras.md"]
nb_execution_raise_on_error = True
nb_merge_streams = True
# The defaults name scripts of other hosts.
nb_ipywidgets_js: dict[str, Any] = {}

html_theme = "pydata_sphinx_theme"
html_title = f"peculiar {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_copy_source = False
html_show_sourcelink = False
html_show_search_summary = False  # it fetches the pages found, which a site opened from a disk may not
html_context = {"default_mode": "auto"}
html_sidebars = {"index": []}
html_theme_options = {
    "logo": {"text": "peculiar"},
    "navbar_align": "left",
    "navbar_end": ["theme-switcher"],
    "header_links_before_dropdown": 6,
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
    "show_toc_level": 2,
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}

# Pages that lie at the top of the repository, where people look for them, and their names on the site.
_AT_THE_TOP = {"contributing": "CONTRIBUTING.md", "security": "SECURITY.md", "changelog": "CHANGELOG.md"}


def _read_pages_at_the_top(app: Sphinx, page: str, text: list[str]) -> None:
    """Take the text of pages that lie at the top of the repository, and let links lead to them."""
    if page in _AT_THE_TOP:
        text[0] = (ROOT / _AT_THE_TOP[page]).read_text(encoding="utf-8").replace("](docs/", "](")
        app.env.note_dependency(str(ROOT / _AT_THE_TOP[page]))
    for place, name in _AT_THE_TOP.items():
        text[0] = re.sub(rf"\]\((\.\./)?{name}", f"]({place}.md", text[0])


def _find_name(app: Sphinx, env: Any, node: Any, text: Any) -> Any:
    """Lead names of the package that have no page of their own to their public name, or to the list of modules.

    A name that does not exist stays missing, and fails the build.
    """
    name = node["reftarget"]
    if node.get("refdomain") != "py":
        return None
    if "." not in name and name not in peculiar.__all__:
        return text  # a field of the class, or an argument that is called like a module
    if name.startswith("peculiar."):
        try:
            import_by_name(name)
        except ImportError:
            return None
        home, _, last = name.removeprefix("peculiar.").rpartition(".")
        page = f"api/peculiar.{last}" if peculiar._HOME_OF.get(last) == home else "modules"
        return make_refnode(app.builder, node["refdoc"], page, "", text)
    return None


def setup(app: Sphinx) -> None:
    """Connect what this site does by itself."""
    make_doors.draw()
    app.connect("source-read", _read_pages_at_the_top)
    app.connect("missing-reference", _find_name)
