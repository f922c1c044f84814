"""What every page has in common: frame and style, plots, how values are written, where a page goes."""
