"""The page that comes with every data set: look at its first cases, read its card and what protects whom."""

VIEWER = "index.html"
