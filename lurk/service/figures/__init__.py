"""The figures of a unit as Plotly takes them: the page and a notebook draw them with the same functions."""
