"""Published datasets brought into the layout that everything here reads."""
