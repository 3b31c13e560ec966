"""Models by recipes of our own: each folder has a recipe, its program, a card and limits."""
