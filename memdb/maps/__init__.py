"""Maps of embedding neighbourhoods: sample, exact graph, layout, and how far the picture can be believed."""
