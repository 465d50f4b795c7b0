"""Sphinx' settings: `sphinx-build -W docs site`.

The gallery runs the examples with small arguments (two minutes on two cores), the
reference is made of the docstrings, and the front page is README.
"""

import gc
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "Agg")

DOCS = pathlib.Path(__file__).parent
ROOT = DOCS.parent
sys.path[:0] = [str(DOCS / "extensions"), str(ROOT / "examples")]

import quiet_start  # noqa: E402, F401 (of examples/; goes before what loads TensorFlow)

import keras_trainkit  # noqa: E402

# KerasTuner collects garbage twice for each model, half a second with all libraries.
gc.freeze()

project = "keras_trainkit"
author = "keras_trainkit developers"
copyright = author
version = release = keras_trainkit.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_gallery.gen_gallery",
    "myst_parser",
    "repository_pages",
    "markdown_docstrings",
    "public_names",
    "arrows",
]
exclude_patterns = ["gallery", "extensions", "templates"]
templates_path = ["templates"]
highlight_language = "text"  # of blocks that name none; those of Python do

myst_heading_anchors = 3
myst_enable_extensions = ["fieldlist"]

autodoc_typehints = "none"  # docstrings have types, with units and ranges
autodoc_inherit_docstrings = False
autosummary_ignore_module_all = False
add_module_names = False
toc_object_entries_show_parents = "hide"

html_context = {"default_mode": "auto"}  # of light and dark
html_theme = "pydata_sphinx_theme"
html_title = f"keras_trainkit {version}"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_show_copyright = False
html_theme_options = {
    "navbar_align": "left",
    "header_links_before_dropdown": 5,
    "show_nav_level": 1,
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": [],
    "footer_end": ["theme-version"],
}

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "examples",
    "filename_pattern": r"plot_",
    "image_scrapers": ("gallery_pictures.pictures_of",),
    "within_subsection_order": "ExampleTitleSortKey",
    "capture_repr": (),
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "write_computation_times": False,
    "backreferences_dir": None,
}
