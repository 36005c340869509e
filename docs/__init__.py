"""What `make docs` runs: notebooks executed, pages written as plain Markdown, and the built site checked.

The pages that people write lie in `docs/pages`. Everything else is written into `build/docs` out of the sources, so
that the generator of the site has nothing to do but turn Markdown and docstrings into HTML.
"""
