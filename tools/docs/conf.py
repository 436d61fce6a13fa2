"""Sphinx's settings for `make docs`. Anything that it remarks on is an error there: a link that leads nowhere too."""

project = "wgnode"
extensions = ["myst_parser"]
html_theme = "alabaster"
html_theme_options = {"description": "A mesh of WireGuard gateways, deployed by Pulumi", "page_width": "72em"}
html_sidebars = {"**": ["about.html", "searchfield.html", "navigation.html"]}
html_show_copyright = html_show_sourcelink = False
myst_heading_anchors = 4
myst_url_schemes = ["http", "https", "mailto"]
nitpicky = True
suppress_warnings = ["myst.header"]  # tables of performance.md are of one level
