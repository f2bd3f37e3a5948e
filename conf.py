# The pages without jupyter-book: `make book PLAIN=1`, or with Sphinx alone `sphinx-build . FOLDER`.
# `make conf` writes this file, of _config.yml.
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent / "tools")]
author = 'the resnet_lib authors'
bibtex_bibfiles = ['book/references.bib']
comments_config = {'hypothesis': False, 'utterances': False}
copyright = '2026'
exclude_patterns = ['**.ipynb_checkpoints', '**.pytest_cache', '**.venv', '**node_modules', '.DS_Store', 'CONTRIBUTING.md', 'README.md', 'Thumbs.db', '_build', 'build']
exercise_style = 'solution_follow_exercise'
extensions = ['sphinx_togglebutton', 'sphinx_copybutton', 'myst_nb', 'sphinx_comments', 'sphinx_external_toc', 'sphinx.ext.intersphinx', 'sphinx_design', 'sphinx_book_theme', 'sphinxcontrib.bibtex', 'sphinx_exercise', 'sphinx-mathjax-offline', 'book.extensions.run_pages', 'book.extensions.chapters', 'book.extensions.from_records', 'book.extensions.classroom', 'book.extensions.how_to_cite', 'book.extensions.numbered_tables', 'book.extensions.page_heads', 'book.extensions.pictures', 'book.extensions.exercises', 'book.extensions.languages', 'sphinx_multitoc_numbering']
external_toc_exclude_missing = True
external_toc_path = '_toc.yml'
gettext_compact = False
gettext_location = False
html_baseurl = ''
html_context = {'default_mode': 'auto'}
html_css_files = ['custom.css']
html_favicon = 'book/_static/icon.svg'
html_js_files = ['explore.js']
html_logo = ''
html_show_copyright = False
html_sourcelink_suffix = ''
html_static_path = ['book/_static']
html_theme = 'sphinx_book_theme'
html_theme_options = {'search_bar_text': 'Search this book...', 'launch_buttons': {'notebook_interface': 'classic', 'binderhub_url': '', 'jupyterhub_url': '', 'thebe': False, 'colab_url': 'https://colab.research.google.com', 'deepnote_url': ''}, 'path_to_docs': '', 'repository_url': 'https://github.com/resnet-lib/resnet-lib', 'repository_branch': 'main', 'extra_footer': '', 'home_page_in_toc': True, 'announcement': '', 'analytics': {'google_analytics_id': '', 'plausible_analytics_domain': '', 'plausible_analytics_url': 'https://plausible.io/js/script.js'}, 'use_repository_button': True, 'use_edit_page_button': False, 'use_issues_button': True}
html_title = 'Deep residual learning, measured'
latex_engine = 'pdflatex'
myst_enable_extensions = ['amsmath', 'colon_fence', 'deflist', 'dollarmath', 'linkify', 'substitution', 'tasklist']
myst_url_schemes = ['mailto', 'http', 'https']
nb_execution_allow_errors = False
nb_execution_cache_path = ''
nb_execution_excludepatterns = []
nb_execution_in_temp = False
nb_execution_mode = 'off'
nb_execution_timeout = 30
nb_output_stderr = 'error'
numfig = True
numfig_format = {'figure': 'Fig. %s', 'table': 'Tab. %s'}
pygments_style = 'sphinx'
suppress_warnings = ['myst.domains']
use_jupyterbook_latex = True
use_multitoc_numbering = True
