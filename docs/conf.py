"""Configuration of the manual: ``make docs`` builds it with warnings as errors."""

import inspect
import os
import re
import sys
from pathlib import Path
from urllib.request import Request, urlopen

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import api_reference
import pictures
import thumbnails

import skaudio

project = "skaudio"
author = "skaudio developers"
copyright = f"2026, {author}"
version = release = skaudio.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "matplotlib.sphinxext.plot_directive",  # examples that draw show what they draw
    "sphinx.ext.mathjax",
    "sphinx-mathjax-offline",  # ships MathJax with the pages
    "myst_parser",  # CHANGELOG.md, CONTRIBUTING.md and benchmarks/README.md
    "numpydoc",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "_templates", "examples", "**/*.examples"]
default_role = "literal"
add_module_names = False
toc_object_entries_show_parents = "hide"

autodoc_typehints = "none"  # the docstrings give types, units and shapes
autosummary_generate = True
numpydoc_use_plots = True
plot_include_source = True
plot_html_show_source_link = plot_html_show_formats = False
plot_formats = [("png", 90)]
numpydoc_show_class_members = False  # the class template lists them
myst_heading_anchors = 3
# parts of CONTRIBUTING.md start with headings below level 1
suppress_warnings = ["myst.header"]

sphinx_gallery_conf = {
    "within_subsection_order": "gallery_order.ByUse",
    "examples_dirs": "examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"[/\\]plot_",
    "backreferences_dir": "api/generated",
    "doc_module": ("skaudio",),
    "reference_url": {"skaudio": None},
    "abort_on_example_error": True,
    "download_all_examples": False,
    "remove_config_comments": True,
    "show_memory": False,
}

html_theme = "pydata_sphinx_theme"
html_title = f"skaudio {release}"
html_static_path = ["_static"]
html_css_files = ["skaudio.css"]
html_show_sourcelink = False
html_copy_source = False
WITHOUT_SIDEBAR = "index install papers benchmarks glossary changelog"
html_sidebars = {page: [] for page in WITHOUT_SIDEBAR.split()}
html_theme_options = {
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "show_prev_next": True,
}

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

# Names of other libraries link into their manuals, where these can be reached: Sphinx
# has to read their inventories. SKAUDIO_INTERSPHINX=0 does not even try.
INVENTORIES = {
    "python": "https://docs.python.org/3",
    "numpy": "https://numpy.org/doc/stable",
    "sklearn": "https://scikit-learn.org/stable",
    "torch": "https://docs.pytorch.org/docs/stable",
    "librosa": "https://librosa.org/doc/latest",
}


def is_reachable(address):
    """Whether there is an inventory to read, within a few seconds."""
    request = Request(f"{address}/objects.inv", method="HEAD")
    try:
        with urlopen(request, timeout=3):
            return True
    except (OSError, ValueError):
        return False


if os.environ.get("SKAUDIO_INTERSPHINX") != "0":
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_timeout = 10
    intersphinx_mapping = {
        name: (address, None)
        for name, address in INVENTORIES.items()
        if is_reachable(address)
    }

# scikit-learn adds these to every estimator; their texts link into its own manual
ROUTING = re.compile(r"set_\w+_request|get_metadata_routing")


def skip_foreign(app, what, name, obj, skip, options):
    """List methods that skaudio wrote, also inherited ones, but not those of bases."""
    function = inspect.unwrap(getattr(obj, "fget", None) or getattr(obj, "fn", obj))
    module = getattr(function, "__module__", None) or ""
    return True if ROUTING.fullmatch(name) or not module.startswith("skaudio") else skip


def setup(app):
    api_reference.write(HERE)
    pictures.write(HERE / "_static" / "generated")
    thumbnails.write(HERE / "_static" / "generated" / "guide")
    app.connect("autodoc-skip-member", skip_foreign)
