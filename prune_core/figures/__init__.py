"""Figures, the same in the app and in a notebook: one file a figure, a data function and a drawing function each."""
